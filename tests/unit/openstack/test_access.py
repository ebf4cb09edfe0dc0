import asyncio
import subprocess
import sys
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from keystoneauth1.exceptions import ServiceUnavailable
from typing_extensions import override

from stackroles.errors import CloudError, CloudUnavailable, LeadershipLost
from stackroles.openstack.access import CloudAccess, Credentials, accepted, translate
from stackroles.openstack.catalogue import Wanted, ensure_catalogue
from stackroles.openstack.services import list_services, set_enabled
from tests.support.fake_openstack import FakeCloud
from tests.support.relay import relaying

if TYPE_CHECKING:
    from openstack.connection import Connection

WANTED = Wanted(region="RegionOne", entries=(), passwords={})


async def test_refused_password_says_where_it_must_be_right(administrator: Credentials) -> None:
    access = CloudAccess(replace(administrator, password="wrong"), lambda: 10.0)
    with pytest.raises(CloudError, match="Secret demo-admin, key password") as caught:
        await access.call("listing services", list_services)
    assert not isinstance(caught.value, CloudUnavailable)


async def test_failing_server_is_unavailable(cloud: FakeCloud, access: CloudAccess) -> None:
    await access.call("listing services", list_services)
    cloud.broken = 503
    with pytest.raises(CloudUnavailable, match="listing services"):
        await access.call("listing services", list_services)
    cloud.broken = None
    assert await access.call("listing services", list_services) == ()


@pytest.mark.parametrize("details", [None, "Busy (HTTP 503) (Request-ID: {id})"])
def test_an_error_has_the_same_text_each_time(details: str | None) -> None:
    def text(number: int) -> str:
        request = f"req-0a1b2c3d-0000-4000-8000-{number:012d}"
        failure = ServiceUnavailable(
            message="Service Unavailable",
            details=details and details.format(id=request),
            request_id=request,
        )
        return str(translate(failure, "asking", "demo-admin"))

    assert text(1) == text(2), "a new text wakes whoever polls"
    assert "(HTTP 503)" in text(1)


async def test_nothing_listens_is_unavailable(administrator: Credentials) -> None:
    access = CloudAccess(replace(administrator, auth_url="http://127.0.0.1:9/v3"), lambda: 10.0)
    with pytest.raises(CloudUnavailable, match="listing services"):
        await access.call("listing services", list_services)


class Stranger(BaseHTTPRequestHandler):
    """Somebody who answers everything and keeps connections, as a proxy on the way out may."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    @override
    def log_message(self, *_: Any) -> None:
        pass


async def test_connection_to_a_stranger_is_not_kept(
    cloud: FakeCloud, administrator: Credentials
) -> None:
    real = urlsplit(cloud.url)
    assert real.hostname
    assert real.port
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        thread = threading.Thread(target=stranger.serve_forever, daemon=True)
        thread.start()
        with relaying(("127.0.0.1", stranger.server_port)) as relay:
            url = f"http://127.0.0.1:{relay.port}/identity/v3"
            access = CloudAccess(replace(administrator, auth_url=url), lambda: 10.0)
            with pytest.raises(CloudError, match="404"):
                await access.call("listing services", list_services)

            relay.target = (real.hostname, real.port)
            assert await access.call("listing services", list_services) == ()
        stranger.shutdown()


async def test_hanging_server_is_left_at_the_deadline(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.hanging.clear()
    with pytest.raises(CloudUnavailable, match=r"within 0 s|within 1 s"):
        await access.call("listing services", list_services, deadline=0.5)
    cloud.hanging.set()
    assert await access.call("listing services", list_services) == ()


async def test_nothing_is_changed_without_the_lease(
    cloud: FakeCloud, administrator: Credentials
) -> None:
    def fence() -> float:
        raise LeadershipLost("another replica may lead")

    access = CloudAccess(administrator, fence)
    assert await access.call("listing services", list_services) == ()

    with pytest.raises(LeadershipLost):
        await access.call("filling", ensure_catalogue, WANTED, administrator)
    with pytest.raises(LeadershipLost):
        await access.call("disabling", set_enabled, "s1", False, "leaves")

    assert cloud.writes() == []


async def test_call_that_was_given_up_changes_nothing_more(
    cloud: FakeCloud, administrator: Credentials
) -> None:
    going = threading.Event()
    threads: set[asyncio.Future[Any]] = set()
    access = CloudAccess(administrator, lambda: 10.0, threads)

    def work(connection: "Connection") -> None:
        going.wait(10)
        ensure_catalogue(connection, WANTED, administrator)

    with pytest.raises(CloudUnavailable):
        await access.call("filling", work, deadline=0.1)
    assert len(threads) == 1
    going.set()
    await asyncio.wait(set(threads), timeout=10)

    assert (cloud.writes(), threads) == ([], set())
    await access.call("filling", ensure_catalogue, WANTED, administrator)
    assert cloud.writes()


async def test_calls_run_one_after_the_other(access: CloudAccess) -> None:
    running = 0
    most = 0

    def work(_connection: object) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        running -= 1

    await asyncio.gather(*(access.call("working", work) for _ in range(5)))
    assert most == 1


async def test_mistake_in_the_code_is_not_taken_for_a_cloud(access: CloudAccess) -> None:
    def work(_connection: object) -> None:
        raise KeyError("mistake")

    with pytest.raises(KeyError):
        await access.call("working", work)


def test_password_is_tried_with_keystone(administrator: Credentials) -> None:
    assert accepted(administrator)
    assert not accepted(replace(administrator, password="wrong"))


def test_password_is_not_in_the_representation(administrator: Credentials) -> None:
    shown = repr(replace(administrator, password="Do-not-show-me"))
    assert "Do-not-show-me" not in shown


def test_sdk_is_imported_with_the_first_call_only() -> None:
    modules = "access, aggregates, catalogue, servers, services"
    program = (
        f"from stackroles.openstack import {modules}; import sys; print('openstack' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"

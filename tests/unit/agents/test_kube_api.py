"""A pod's access to the Kubernetes API: bounded, with locking, over one connection."""

import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stackroles.agents import kube_api
from stackroles.agents.kube_api import CONFLICT, GONE, ApiError, Event, KubeApi
from tests.support.kube_server import KubeServer, kube_server

PATH = "/apis/coordination.k8s.io/v1/namespaces/a/leases/b"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[KubeServer]:
    with kube_server(tmp_path) as running:
        running.put(PATH, {"spec": {"holderIdentity": "x"}})
        yield running


@pytest.fixture
def api(server: KubeServer, tmp_path: Path) -> Iterator[KubeApi]:
    api = KubeApi("127.0.0.1", server.port, tmp_path)
    yield api
    api.close()


def line(kind: str, version: str, **more: object) -> bytes:
    body = {"metadata": {"resourceVersion": version}, **more}
    return json.dumps({"type": kind, "object": body}).encode() + b"\n"


def test_an_object_is_read_and_replaced_over_one_connection(
    api: KubeApi, server: KubeServer
) -> None:
    lease = api.get(PATH, seconds=5)
    lease["spec"]["holderIdentity"] = "y"
    written = api.update(PATH, lease, seconds=5)

    assert api.get(PATH, seconds=5) == written
    assert written["metadata"]["resourceVersion"] == "2"
    assert server.connections == 1


def test_an_update_of_what_somebody_changed_is_a_conflict(api: KubeApi, server: KubeServer) -> None:
    lease = api.get(PATH, seconds=5)
    server.put(PATH, {"spec": {"holderIdentity": "z"}})
    with pytest.raises(ApiError, match="has been modified") as refused:
        api.update(PATH, lease, seconds=5)
    assert refused.value.status == CONFLICT
    assert api.get(PATH, seconds=5)["spec"] == {"holderIdentity": "z"}


def test_a_replaced_token_is_used_at_once(api: KubeApi, server: KubeServer, tmp_path: Path) -> None:
    right = (tmp_path / "token").read_text()
    (tmp_path / "token").write_text("another")
    with pytest.raises(ApiError, match="401: Unauthorized"):
        api.get(PATH, seconds=5)
    (tmp_path / "token").write_text(right)
    api.get(PATH, seconds=5)


def test_a_connection_that_the_server_closed_is_opened_anew(
    api: KubeApi, server: KubeServer
) -> None:
    api.get(PATH, seconds=5)
    assert api._connection is not None
    socket.socket.shutdown(api._connection.sock, socket.SHUT_RDWR)
    api.get(PATH, seconds=5)
    assert server.connections == 2


def test_an_answer_that_is_late_is_none(api: KubeApi, server: KubeServer) -> None:
    api.get(PATH, seconds=5)
    server.delay = 1.0
    began = time.monotonic()
    with pytest.raises(TimeoutError):
        api.get(PATH, seconds=0.2)
    assert time.monotonic() - began < 0.9
    server.delay = 0.0
    assert api.get(PATH, seconds=5)["spec"] == {"holderIdentity": "x"}


def test_a_server_that_never_greets_is_left_in_time(tmp_path: Path, server: KubeServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        api = KubeApi("127.0.0.1", silent.getsockname()[1], tmp_path)
        with pytest.raises(TimeoutError):
            api.get(PATH, seconds=0.2)


def test_a_server_with_another_certificate_gets_no_token(
    server: KubeServer, tmp_path: Path
) -> None:
    with kube_server(tmp_path / "other"):
        api = KubeApi("127.0.0.1", server.port, tmp_path / "other")
        with pytest.raises(ssl.SSLCertVerificationError):
            api.get(PATH, seconds=5)
    assert server.requests == []


def test_an_answer_that_is_too_large_is_none(
    api: KubeApi, server: KubeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_api, "LARGEST", 100)
    server.put(PATH, {"spec": {"holderIdentity": "x" * 100}})
    with pytest.raises(OSError, match="more than 100 bytes"):
        api.get(PATH, seconds=5)
    server.put(PATH, {})
    assert api.get(PATH, seconds=5)["metadata"]


def test_a_watch_yields_events_until_the_server_ends_it(api: KubeApi, server: KubeServer) -> None:
    server.events = [line("ADDED", "7", a=1), line("BOOKMARK", "9")]
    events = [*api.watch("/slices", "5", seconds=30, labelSelector="a=b")]

    assert [(event.type, event.version) for event in events] == [("ADDED", "7"), ("BOOKMARK", "9")]
    assert events[0] == Event("ADDED", {"metadata": {"resourceVersion": "7"}, "a": 1})
    assert server.requests[-1] == (
        "GET /slices?labelSelector=a%3Db&watch=true&allowWatchBookmarks=true&resourceVersion=5"
        "&timeoutSeconds=30"
    )


def test_a_version_that_is_too_old_is_told_as_gone(api: KubeApi, server: KubeServer) -> None:
    server.events = [line("ERROR", "", code=410, message="too old resource version")]
    with pytest.raises(ApiError, match="too old") as refused:
        next(api.watch("/slices", "5", seconds=30))
    assert refused.value.status == GONE


@pytest.mark.parametrize("sent", [b"no JSON\n", b"[]\n", b'{"type": 1}\n', b"x" * 200])
def test_a_line_that_is_no_event_ends_the_watch(
    api: KubeApi, server: KubeServer, sent: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kube_api, "LARGEST", 100)
    server.events = [sent]
    with pytest.raises(OSError, match=r"not JSON|no JSON object|no event|more than 100 bytes"):
        next(api.watch("/slices", "5", seconds=30))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_address_is_that_of_the_environment(tmp_path: Path, host: str) -> None:
    with kube_server(tmp_path / "other", host) as server:
        server.put(PATH, {"spec": {}})
        environment = {
            "KUBERNETES_SERVICE_HOST": host,
            "KUBERNETES_SERVICE_PORT": str(server.port),
        }
        api = KubeApi.in_pod(environment, tmp_path / "other")
        assert api.get(PATH, seconds=5)["spec"] == {}
        api.close()

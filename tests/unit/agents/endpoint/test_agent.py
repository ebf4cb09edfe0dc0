"""The endpoint with the real HAProxy: members come, leave and die under load."""

import http.client
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from stackroles.agents.endpoint.protocol import EndpointStatus
from stackroles.agents.endpoint.slots import Slot, State, commands
from stackroles.roles import endpoint, registry
from tests.support.clouds import cloud
from tests.support.endpoint_world import (
    DRAIN_SECONDS,
    HOLD_SECONDS,
    ROLE,
    Background,
    World,
    haproxy,
    refused,
    short_folder,
    until,
    world,
)

AWAY_SECONDS = 4.0
# As a token with many roles; more than HAProxy's default takes, and than http.server's lines.
LONG = "x" * 40_000


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return HAProxy."""
    found = haproxy(tmp_path_factory.mktemp("haproxy"))
    if found is None:
        pytest.skip("no haproxy: neither on PATH nor as the role image (`make images`)")
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short path."""
    made = short_folder("endpoint")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def served(folder: Path, program: Path) -> Iterator[World]:
    """Return an endpoint with three members."""
    with world(folder, program, members=3) as made:
        yield made


@pytest.fixture(scope="module")
def shared(program: Path) -> Iterator[World]:
    """Return an endpoint with a member, for tests that leave it as it was."""
    folder = short_folder("endpoint-shared")
    try:
        with world(folder, program, members=1) as made:
            yield made
    finally:
        shutil.rmtree(folder)


def serves(world: World, member: str) -> bool:
    """Return whether a member gets requests."""
    return member in world.up()


def test_members_rolled_one_after_the_other_cost_no_request(served: World) -> None:
    former = list(served.members)
    with served.load() as calls:
        for address in former:
            new = served.start()
            until(partial(serves, served, new), f"{new} serves")
            served.leave(address)
        until(lambda: served.up() == set(served.members) - set(former), "only new ones serve")

    assert calls.failed == []
    assert set(served.members) == set(calls.served), "each of them served"


def test_a_killed_member_costs_no_read(served: World) -> None:
    first, *others = served.members
    with served.load() as calls:
        until(lambda: calls.served.get(first, 0) > 20, "all of them serve")
        served.kill(first)
        until(lambda: served.up() == set(others), "the killed one is noticed")

    assert calls.failed == []


def test_a_killed_member_costs_the_writes_that_it_had_and_no_others(served: World) -> None:
    first, *others = served.members
    with served.load(method="POST") as calls:
        until(lambda: calls.served.get(first, 0) > 20, "all of them serve")
        dead = served.kill(first)
        until(lambda: served.up() == set(others), "the killed one is noticed")

    assert calls.failed_of_later(dead) == []


def test_a_session_outlives_its_servers_next_member(served: World) -> None:
    slow = Background(served, "/slow/60", "GET")
    until(lambda: slow.member, "the slow request runs")
    servers = served.runtime.servers()
    (name,) = (n for n, server in servers.items() if server.slot.address == slow.member)
    other = Slot(next(a for a in served.members if a != slow.member), State.READY)

    served.runtime.run(*commands(name, served.member_ports[0], servers[name].slot, other))

    assert servers[name].slot.sessions == 1
    assert served.runtime.servers()[name].slot == replace(other, sessions=1)
    assert slow.result() == (200, 60_000)


def test_a_member_that_answers_404_completes_what_runs_and_gets_nothing_new(served: World) -> None:
    first, *others = served.members
    slow = Background(served, "/slow/60", "GET")
    until(lambda: slow.member, "the slow request runs")
    served.members[slow.member].send_signal(signal.SIGUSR1)
    until(lambda: slow.member not in served.working(), "it gets nothing new")

    with served.load() as calls:
        until(lambda: sum(calls.served.values()) > 50, "the others serve")
    assert calls.failed == []
    assert set(calls.served) == {first, *others} - {slow.member}
    assert slow.result() == (200, 60_000)


def test_a_proxy_that_leaves_completes_a_download_and_takes_no_more(served: World) -> None:
    slow = Background(served, "/slow/120", "GET")
    until(lambda: slow.member, "the slow request runs")
    served.agent.terminate()
    asked = time.monotonic()
    until(lambda: not served.ready(), "the kubelet learns of it", 10)
    assert served.ask()[0] == 200, "connections are accepted until they are sent elsewhere"
    until(lambda: refused(served.port), "no connection is accepted any more")

    assert time.monotonic() - asked >= DRAIN_SECONDS
    assert served.agent.poll() is None
    assert slow.result() == (200, 120_000)
    assert served.agent.wait(30) == 0


def test_sessions_end_when_a_proxy_may_wait_no_longer(folder: Path, program: Path) -> None:
    with world(folder, program, members=1, stop_seconds=1.0) as served:
        slow = Background(served, "/slow/200", "GET")
        until(lambda: slow.member, "the slow request runs")
        served.agent.terminate()

        assert served.agent.wait(DRAIN_SECONDS + 8) == 0
        assert slow.result()[1] < 200_000


def test_members_serve_on_while_the_api_server_is_away(served: World) -> None:
    first, *others = served.members
    with served.load() as calls:
        served.kube.down.set()
        away = time.monotonic()
        served.kill(first)
        until(lambda: served.up() == set(others), "the killed one is noticed")
        # What the API server learns meanwhile reaches the endpoint when it is back.
        late = served.start()
        until(lambda: time.monotonic() - away > AWAY_SECONDS, "time passes", AWAY_SECONDS + 5)
        assert late not in served.up()
        assert "503: etcd has no leader" in served.status().message
        served.kube.down.clear()
        until(lambda: served.up() == {*others, late}, "the new member serves", 5)
        assert served.status().message == ""

    assert calls.failed == []


def test_a_request_waits_for_a_member_of_a_role_that_fails_over(
    folder: Path, program: Path
) -> None:
    with world(folder, program, members=2) as served:
        active, standby = served.members
        served.members[standby].send_signal(signal.SIGUSR2)
        until(lambda: served.up() == {active}, "one is active")
        with served.load(rate=20) as calls:
            until(lambda: calls.served.get(active, 0) > 20, "the active one serves")
            served.kill(active)
            until(lambda: not served.up(), "it is noticed")
            new = served.start()
            until(partial(serves, served, new), "another takes over")
            until(lambda: calls.served.get(new, 0) > 20, "it serves")

    assert calls.failed == []
    assert calls.longest > 1.0


def test_a_request_is_refused_in_the_end_without_a_member(folder: Path, program: Path) -> None:
    with world(folder, program, members=1) as served:
        (only,) = served.members
        served.kill(only)
        until(lambda: not served.up(), "it is noticed")
        began = time.monotonic()

        status, body = served.ask("/", "POST", seconds=HOLD_SECONDS + 10)

        assert (status, body) == (503, f"no member of {ROLE} serves\n")
        assert HOLD_SECONDS - 1 < time.monotonic() - began < HOLD_SECONDS + 3


def refusal(name: str) -> tuple[int, str]:
    """Return what a client of a paused role gets."""
    return 503, f"the cloud is being restored (Restore {name}); try again later\n"


def test_a_paused_role_is_refused_at_once_though_its_members_serve(shared: World) -> None:
    shared.pause("night-2.x")
    until(lambda: shared.status().paused == {ROLE: "night-2.x"}, "it is paused")
    try:
        assert shared.up() == set(shared.members)
        for method in ("GET", "POST"):
            began = time.monotonic()
            assert shared.ask(method=method) == refusal("night-2.x")
            assert time.monotonic() - began < HOLD_SECONDS / 2
        connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
        connection.request("GET", "/")
        headers = connection.getresponse().headers
        connection.close()
        assert (headers["Retry-After"], headers["Content-Type"]) == ("30", "text/plain")
        assert shared.ready(), "the proxy is needed to say so"

        shared.pause("other")
        until(lambda: shared.status().paused == {ROLE: "other"}, "another pauses it")
        assert shared.ask() == refusal("other")
    finally:
        shared.pause("")

    until(lambda: shared.status().paused == {}, "it goes on")
    assert shared.ask()[0] == 200


def test_a_pause_answers_who_waits_and_outlasts_a_killed_haproxy(
    folder: Path, program: Path
) -> None:
    with world(folder, program, members=1) as served, ThreadPoolExecutor() as pool:
        (only,) = served.members
        served.kill(only)
        served.publish()
        until(lambda: not served.status().members[ROLE], "no pod is left")
        began = time.monotonic()
        waiting = pool.submit(served.ask)
        until(lambda: holds(served), "a request waits for a member")
        served.pause("night")

        assert waiting.result() == refusal("night")
        assert time.monotonic() - began < HOLD_SECONDS - 1
        assert served.status() == EndpointStatus(members={ROLE: {}}, paused={ROLE: "night"})

        served.kill_haproxy()
        until(lambda: served.status().paused == {ROLE: "night"}, "its successor knows it")
        assert served.ask() == refusal("night")
        assert served.ready()

        new = served.start()
        served.pause("")
        until(lambda: serves(served, new) and not served.status().paused, "it goes on")
        assert served.ask() == (200, new)


def holds(world: World) -> bool:
    """Return whether a request waits for a member."""
    return f" fe={ROLE}-hold " in world.runtime.run("show sess")


def test_servers_that_a_person_changes_are_set_again(shared: World) -> None:
    first = next(iter(shared.members))
    api = shared.runtime
    (name,) = (n for n, server in api.servers().items() if server.slot.address == first)

    api.run(f"set server {name} state maint")
    assert api.servers()[name].slot.state is State.MAINT
    shared.publish()

    until(partial(serves, shared, first), "it serves again")


def test_a_killed_haproxy_costs_the_requests_that_it_had_and_no_others(served: World) -> None:
    slow = Background(served, "/slow/100", "GET")
    until(lambda: slow.member, "the slow request runs")
    with served.load() as calls:
        until(lambda: sum(calls.served.values()) > 20, "it serves")
        dead = served.kill_haproxy()
        seen = sum(calls.served.values())
        until(lambda: sum(calls.served.values()) > seen + 50, "it serves again")

    assert slow.result()[1] < 100_000
    assert calls.failed_of_later(dead) == []


def test_a_haproxy_that_does_not_last_ends_the_container(folder: Path, program: Path) -> None:
    with world(folder, program, members=1, lasting_seconds=1000) as made:
        made.kill_haproxy()

        assert made.agent.wait(30) == 1
        assert refused(made.port)


def test_haproxy_accepts_the_file_of_all_apis(folder: Path, program: Path) -> None:
    backends = endpoint.backends_of(registry.CONTROLLER_ROLES)
    assert {backend.role for backend in backends} >= {"keystone", "glance", "nova-novncproxy"}
    role = endpoint.endpoint_role(backends)
    assert role.files is not None
    for path, text in role.files(cloud()).items():
        adapted = text.replace("/run/haproxy", str(folder)).replace("/etc/stackroles", str(folder))
        (folder / Path(path).name).write_text(adapted)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        sockets = {f"LISTEN_{backend.port}": str(listener.fileno()) for backend in backends}
        checked = subprocess.run(
            [program, "-c", "-f", folder / "haproxy.cfg"],
            env={**os.environ, **sockets},
            pass_fds=[listener.fileno()],
            capture_output=True,
            text=True,
            check=False,
        )

    assert (checked.returncode, checked.stderr) == (0, "")


def test_headers_reach_a_member_as_they_are(shared: World) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", shared.port, timeout=10)
    connection.request("GET", "/headers", headers={"X-Forwarded-For": "10.1.2.3", "X-Long": LONG})
    found = connection.getresponse().read().decode()
    connection.close()

    assert [line for line in found.splitlines() if "orwarded" in line] == [
        "x-forwarded-for: 10.1.2.3"
    ]
    assert LONG in found


def test_a_console_is_a_tunnel(shared: World) -> None:
    key = "dGhlIHNhbXBsZSBub25jZQ=="
    request = (
        "GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as client:
        client.sendall(request.encode())
        answer = client.makefile("rb")
        assert answer.readline().split()[1] == b"101"
        while answer.readline().strip():
            pass
        for word in (b"to and fro\n", b"again\n"):
            client.sendall(word)
            assert answer.readline() == word

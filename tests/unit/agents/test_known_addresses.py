"""Known addresses are kept while names cannot be asked, and not when a name is gone."""

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents import known_addresses
from stackroles.agents.known_addresses import KnownAddresses
from stackroles.roles import resolvers
from stackroles.workloads.manifests.agents import agent_sources
from tests.support.clouds import cloud

PAUSE = 15.0


class NameServer:
    """Stands for the system's resolver and the clock."""

    def __init__(self) -> None:
        self.addresses: dict[str, str] = {"db": "10.0.0.1"}
        self.failure = 0
        self.asked = 0
        self.now = 100.0

    def ask(self, host: str, port: int, *_: int, **__: int) -> list[Any]:
        self.asked += 1
        if self.failure:
            raise socket.gaierror(self.failure, "no answer")
        if host not in self.addresses:
            raise socket.gaierror(socket.EAI_NONAME, "unknown")
        return [(self.addresses[host], port)]


@pytest.fixture
def server() -> NameServer:
    return NameServer()


@pytest.fixture
def memory(server: NameServer) -> KnownAddresses:
    return KnownAddresses(server.ask, lambda: server.now, pause=PAUSE, most=3)


@pytest.mark.parametrize("failure", [socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM])
def test_a_known_address_is_kept_while_no_name_server_answers(
    server: NameServer, memory: KnownAddresses, failure: int
) -> None:
    known = memory.getaddrinfo("db", 3306, type=socket.SOCK_STREAM)
    server.failure = failure

    assert memory.getaddrinfo("db", 3306, type=socket.SOCK_STREAM) == known


def test_after_a_failure_known_names_are_not_asked_for_until_the_pause_is_over(
    server: NameServer, memory: KnownAddresses
) -> None:
    memory.getaddrinfo("db", 3306)
    server.failure = socket.EAI_AGAIN
    memory.getaddrinfo("db", 3306)
    server.failure, server.addresses = 0, {"db": "10.0.0.2", "new": "10.0.0.3"}
    asked = server.asked

    assert memory.getaddrinfo("db", 3306) == [("10.0.0.1", 3306)]
    assert server.asked == asked
    assert memory.getaddrinfo("new", 80) == [("10.0.0.3", 80)]
    server.now += PAUSE
    assert memory.getaddrinfo("db", 3306) == [("10.0.0.2", 3306)]


def test_a_name_that_does_not_exist_any_more_is_not_answered_from_memory(
    server: NameServer, memory: KnownAddresses
) -> None:
    memory.getaddrinfo("db", 3306)
    server.addresses = {}

    with pytest.raises(socket.gaierror, match="unknown"):
        memory.getaddrinfo("db", 3306)


def test_what_was_never_known_fails_as_it_did(server: NameServer, memory: KnownAddresses) -> None:
    server.failure = socket.EAI_AGAIN

    with pytest.raises(socket.gaierror, match="no answer"):
        memory.getaddrinfo("db", 3306)


def test_the_memory_is_bounded_and_drops_the_oldest(
    server: NameServer, memory: KnownAddresses
) -> None:
    server.addresses = {str(number): f"10.0.0.{number}" for number in range(5)}
    for host in server.addresses:
        memory.getaddrinfo(host, 80)
    server.failure = socket.EAI_AGAIN

    assert memory.getaddrinfo("4", 80) == [("10.0.0.4", 80)]
    with pytest.raises(socket.gaierror):
        memory.getaddrinfo("0", 80)


def test_python_loads_it_at_its_start(tmp_path: Path) -> None:
    declared = cloud()
    sources = {**declared.agents, **agent_sources()}
    object.__setattr__(declared, "agents", sources)
    ((path, text),) = resolvers.python_files(declared).items()
    (tmp_path / Path(path).name).write_text(text)

    command = [sys.executable, "-c", "import socket; print(socket.getaddrinfo.__self__)"]
    done = subprocess.run(
        command, env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )
    assert known_addresses.KnownAddresses.__name__ in done.stdout

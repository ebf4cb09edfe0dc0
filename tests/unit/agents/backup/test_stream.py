"""The member's backup stream and clients that are slow to take it."""

import contextlib
import http.client
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import MagicMock

import pytest

from stackroles.agents.galera import backup_stream, mariadb, tables
from stackroles.agents.galera.http_server import MemberHandler, MemberServer
from stackroles.agents.galera.tables_protocol import CopyBegan
from tests.support.alarm import alarm

SIZE = 64 << 20
PROGRAM = (
    "import sys\n"
    f"for _ in range({SIZE >> 20}): sys.stdout.buffer.write(bytes(1 << 20))\n"
    "print('completed OK!', file=sys.stderr)\n"
)
SILENT = "import time; time.sleep(600)"


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(180):
        yield


@pytest.fixture(autouse=True)
def _server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a server that says what a copy begins with."""
    began = CopyBegan(epoch=1.0, monotonic=1.0, newest=1)
    monkeypatch.setattr(mariadb.Connection, "unix", lambda *_: MagicMock())
    monkeypatch.setattr(tables, "begin", lambda _: began)


def settings(program: str) -> SimpleNamespace:
    command = [sys.executable, "-c", program]
    return SimpleNamespace(
        port=0,
        backup_token="token",
        backup_command=lambda: command,
        socket="",
        user="",
        volume=Path("/nowhere"),
    )


@contextlib.contextmanager
def serving(program: str) -> Iterator[MemberServer]:
    agent = SimpleNamespace(settings=settings(program), wsrep=lambda: None)
    server = MemberServer(agent)  # type: ignore[arg-type]
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(server: MemberServer) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.request("POST", "/backup", headers={"Authorization": "Bearer token"})
    return connection


def test_a_client_may_take_nothing_for_longer_than_a_request_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(MemberHandler, "timeout", 0.3)
    with serving(PROGRAM) as server, contextlib.closing(ask(server)) as connection:
        answer = connection.getresponse()
        size = len(answer.read(1 << 20))
        time.sleep(1.5)  # its repository is slow
        while data := answer.read(1 << 20):
            size += len(data)

    assert size == SIZE


def test_a_client_that_is_gone_without_a_word_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backup_stream, "STALL_SECONDS", 0.5)
    with serving(PROGRAM) as server, contextlib.closing(ask(server)) as connection:
        connection.getresponse()
        printed, end = "", time.monotonic() + 20
        while "\n" not in printed:
            assert time.monotonic() < end
            time.sleep(0.05)
            printed += capsys.readouterr().out

    assert printed == "Backup failed: the client took nothing for 0 s\n"


def test_a_program_that_writes_nothing_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(backup_stream, "STALL_SECONDS", 1.0)
    with (
        serving(SILENT) as server,
        contextlib.closing(ask(server)) as connection,
        pytest.raises(http.client.IncompleteRead),
    ):
        connection.getresponse().read()

    assert capsys.readouterr().out == "Backup failed: mariadb-backup wrote nothing for 1 s\n"


def test_the_stream_moves_more_at_a_time_than_a_pipe_usually_holds() -> None:
    largest = 0
    with serving(PROGRAM) as server, contextlib.closing(ask(server)) as connection:
        raw = connection.getresponse().fp
        time.sleep(0.5)  # what is on its way is full by then
        while size := int(raw.readline(), 16):
            raw.read(size + 2)
            largest = max(largest, size)

    assert largest > 1 << 16

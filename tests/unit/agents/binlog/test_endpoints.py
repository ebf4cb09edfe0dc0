"""What is answered over HTTP: binary logs of a member, a shipper's report, a reader's part."""

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from stackroles.agents import wire
from stackroles.agents.backup.protocol import to_environment
from stackroles.agents.backup.reader import ReaderServer
from stackroles.agents.backup.reader_protocol import ReaderProblem
from stackroles.agents.binlog.protocol import (
    PREFIX,
    TRANSACTIONS_MISSING,
    BinlogFiles,
    Coverage,
    ShipperReport,
    ShipperSettings,
    ShippingState,
)
from stackroles.agents.binlog.shipping import Shipping
from stackroles.agents.binlog.store import PieceStore
from stackroles.agents.binlog.transactions import Transactions
from stackroles.agents.galera import binlog_files
from tests.support.alarm import alarm
from tests.support.binaries import ROOT, binary
from tests.support.binlogs import HISTORY, TOKEN, PlayedMember, answering, numbers_of
from tests.support.memory_restic import MemoryRestic
from tests.support.ports import free_port


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(300):
        yield


@pytest.fixture
def member(tmp_path: Path) -> PlayedMember:
    played = PlayedMember(tmp_path / "m-0")
    played.begin_log(0)
    played.commit(1, 2)
    return played


def ask(port: int | None, path: str, token: str = TOKEN) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.closing(connection):
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        with connection.getresponse() as answer:
            return answer.status, answer.read()


def test_a_member_answers_its_logs(member: PlayedMember, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binlog_files, "LONGEST_ANSWER", 300)
    log = (member.data / "binlog.000001").read_bytes()
    with answering(member) as [reached]:
        port = reached._port
        found = wire.loads(BinlogFiles, ask(port, "/binlogs")[1])

        assert [(file.name, file.size) for file in found.files] == [("binlog.000001", len(log))]
        assert found.history == HISTORY
        assert ask(port, "/binlogs/binlog.000001") == (200, log[:300])
        assert ask(port, "/binlogs/binlog.000001?offset=10&limit=5") == (200, log[10:15])
        assert ask(port, "/binlogs/binlog.000001?offset=999999") == (200, b"")


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        ("/binlogs", "another", 401),
        ("/binlogs", "", 401),
        ("/binlogs/binlog.000009", TOKEN, 404),
        ("/binlogs/binlog.index", TOKEN, 404),
        ("/binlogs/../data/binlog.000001", TOKEN, 404),
        ("/binlogs/binlog.000001?offset=-1", TOKEN, 400),
        ("/binlogs/binlog.000001?limit=x", TOKEN, 400),
    ],
)
def test_a_member_refuses_what_is_no_log(
    member: PlayedMember, path: str, token: str, status: int
) -> None:
    with answering(member) as [reached]:
        assert ask(reached._port, path, token)[0] == status


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"wsrep_cluster_status": "non-Primary"}, 503),
        ({"wsrep_local_state": "1"}, 503),
        ({"wsrep_local_state": "2", "wsrep_local_recv_queue": "4"}, 503),
        ({"wsrep_local_state": "2"}, 200),
    ],
    ids=["alone", "joining", "donor-behind", "donor"],
)
def test_a_member_that_may_be_behind_says_so(
    member: PlayedMember, changes: dict[str, str], status: int
) -> None:
    member.status |= changes
    with answering(member) as [reached]:
        assert ask(reached._port, "/binlogs")[0] == status


@contextlib.contextmanager
def reader(binlogs: Any) -> Iterator[int]:
    transactions = Transactions("daily", lambda _: binlogs)
    server = ReaderServer(MagicMock(), TOKEN, 0, transactions=transactions)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.stop()


def test_a_reader_answers_transactions(member: PlayedMember) -> None:
    binlogs: Any = MemoryRestic()
    with answering(member) as members:
        Shipping("daily", members, PieceStore(binlogs, "daily", binlogs)).round()
    soon = int(time.time())
    with reader(binlogs) as port:
        status, body = ask(port, f"/transactions/coverage?history={HISTORY}")
        coverage = wire.loads(Coverage, body)
        assert (status, coverage.first, coverage.last) == (200, 1, 2)
        until = int(coverage.until)
        path = f"/transactions?history={HISTORY}&after=1&until"

        assert ask(port, f"{path}={until}", "another")[0] == 401
        assert ask(port, f"{path}=x")[0] == 400
        assert ask(port, f"{path}={soon - 3600}") == (200, b"")
        status, body = ask(port, f"{path}={until + 3600}")
        assert status == 503
        found = wire.loads(ReaderProblem, body)
        assert found.reason == TRANSACTIONS_MISSING
        assert str(until + 3600) in found.message
        assert str(until) in found.message


def test_an_answer_of_a_damaged_piece_has_no_end(member: PlayedMember) -> None:
    binlogs: Any = MemoryRestic()
    member.forget()
    member.begin_log(0)
    member.commit(1, at=5, content=bytes(600_000))
    with answering(member) as members:
        Shipping("daily", members, PieceStore(binlogs, "daily", binlogs)).round()
    [(name, (snapshot, data))] = binlogs.found.items()
    binlogs.found[name] = (snapshot, data + b"x")
    with reader(binlogs) as port, pytest.raises(http.client.IncompleteRead):
        ask(port, f"/transactions?history={HISTORY}&after=0&until=9")


def test_the_program_ships_into_a_repository_below_the_policys(
    member: PlayedMember, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    port = free_port()
    program = (
        "import sys\n"
        "from stackroles.agents.binlog import shipper\n"
        f"shipper.PORT = {port}\n"
        "sys.exit(shipper.main())\n"
    )
    with answering(member) as [reached]:
        settings = ShipperSettings(
            cloud="demo",
            policy="daily",
            members=f"http://127.0.0.1:{free_port()},{reached.url}",
            token_file=str(tmp_path / "token"),
            interval=1,
        )
        environment = {
            **os.environ,
            **to_environment(settings),
            "PATH": f"{binary('restic').parent}:{os.environ['PATH']}",
            "PYTHONPATH": str(ROOT / "operator"),
            "RESTIC_PASSWORD": "of the repository",
            "RESTIC_REPOSITORY": str(tmp_path / "repository"),
        }
        with subprocess.Popen([sys.executable, "-B", "-c", program], env=environment) as process:
            try:
                report = shipped(port, process, 2)
                assert (report.state, report.member) == (ShippingState.SHIPPING, "127.0.0.1")
                member.commit(3)
                process.send_signal(signal.SIGTERM)
                assert process.wait(120) == 0
            finally:
                process.kill()
    assert stored(environment, tmp_path) == [1, 2, 3]


def shipped(port: int, process: "subprocess.Popen[bytes]", last: int) -> ShipperReport:
    """Wait until transactions are stored; return the report that says so."""
    while process.poll() is None:
        with contextlib.suppress(ConnectionError):
            status, body = ask(port, "/report")
            assert status == 200
            report = wire.loads(ShipperReport, body)
            if report.coverage.last >= last and report.state is not ShippingState.STARTING:
                return report
        time.sleep(0.1)
    raise AssertionError(f"the shipper ended with {process.returncode}")


def stored(environment: dict[str, str], root: Path) -> list[int]:
    """Return the numbers in all pieces, by restic itself."""
    command = ["restic", "-r", str(root / "repository" / PREFIX)]
    listed = json.loads(subprocess.check_output([*command, "snapshots", "--json"], env=environment))
    numbers: list[int] = []
    for snapshot in sorted(listed, key=lambda found: str(found["time"])):
        dump = [*command, "dump", snapshot["id"], "/transactions.binlog"]
        numbers += numbers_of(subprocess.check_output(dump, env=environment))
    return numbers

"""A restore of one member's volume, around programs that stand in for the database's."""

import contextlib
import hashlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import MagicMock

import pytest
from typing_extensions import override

from stackroles.agents import wire
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.reader_protocol import ReaderProblem
from stackroles.agents.binlog.events import MAGIC
from stackroles.agents.galera import new_history, physical_copy, restore
from stackroles.agents.galera.incoming import Incoming
from stackroles.agents.galera.restore_protocol import (
    RestoreMode,
    RestoreOutcome,
    RestoreSettings,
    from_environment,
    to_environment,
)
from stackroles.agents.galera.volume import AppliedDecision, Volume
from tests.support.alarm import alarm
from tests.support.binaries import ROOT
from tests.support.binlogs import described, transaction

COPY = b"page" * 50_000
HISTORY = "57536cfa-e693-11f1-bcb2-eb91ac8f95a5"
FORMER = "11111111-1111-1111-1111-111111111111"
SYNCED = {
    "wsrep_cluster_status": "Primary",
    "wsrep_ready": "ON",
    "wsrep_local_state": "4",
    "wsrep_local_state_comment": "Synced",
    "wsrep_cluster_state_uuid": HISTORY,
}
MARKS = {"joining", "creating"}
STEPS = (
    (restore, "fetch"),
    (restore, "make_consistent"),
    (restore, "begin_history"),
    (Incoming, "begin"),
    (Incoming, "complete"),
    (Incoming, "exchange"),
    (Volume, "exchange"),
    (Volume, "end_creation"),
    (Volume, "end_join"),
)


class Killed(BaseException):
    """Stands for a kill: from then on nothing on the volume changes."""


class Reader(BaseHTTPRequestHandler):
    """What a reader answers; a stream without an end where it is not `whole`."""

    protocol_version = "HTTP/1.1"
    body = COPY
    whole = True
    problem: ReaderProblem | None = None
    transactions: bytes | ReaderProblem = b""
    asked: ClassVar[list[str]] = []

    @override
    def log_message(self, format: str, *args: object) -> None:
        return

    def do_GET(self) -> None:
        self.close_connection = True
        if self.path.startswith("/transactions?"):
            self.asked.append(self.path)
            if isinstance(self.transactions, bytes):
                self._send(self.transactions, whole=True)
            else:
                self._refuse(503, wire.dumps(self.transactions))
        elif self.headers["Authorization"] != "Bearer geheim" or self.path != "/parts/database":
            self._refuse(401, "a bearer token is required")
        elif self.problem:
            self._refuse(503, wire.dumps(self.problem))
        else:
            self._send(self.body, whole=self.whole)

    def _send(self, body: bytes, *, whole: bool) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            if body:
                self.wfile.write(b"%x\r\n" % len(body) + body + b"\r\n")
            self.wfile.write(b"0\r\n\r\n" if whole else b"")

    def _refuse(self, code: int, why: str) -> None:
        self.send_response(code)
        self.send_header("Content-Length", str(len(why)))
        self.end_headers()
        self.wfile.write(why.encode())


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(300):
        yield


@pytest.fixture(scope="module")
def source() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/parts/database"
    server.shutdown()
    thread.join()
    server.server_close()


class Job:
    """A restore's Job with a member's volume, which holds data of a former history."""

    def __init__(self, root: Path, source: str) -> None:
        self.root = root
        self.control = root / "control"
        self.volume = Volume(root / "volume")
        for path in (self.control, root / "bin"):
            path.mkdir(parents=True)
        self.id = self.volume.prepare()
        self.volume.record_applied(AppliedDecision("a", 3))
        (self.volume.data / "nova").mkdir()
        (self.volume.data / "nova/instances.ibd").write_text("former")
        (self.volume.data / "grastate.dat").write_text(grastate(FORMER, 9))
        (root / "token").write_text("geheim\n")
        (self.control / "status.json").write_text(json.dumps(SYNCED))
        (self.control / "tables").write_text("42")
        (self.control / "prepare-log").write_text("reading\ncompleted OK!")
        (self.control / "grastate").write_text(grastate(HISTORY, 2))
        programs: dict[str, Any] = {
            field: str(root / "bin" / name) for field, name in PROGRAMS.items()
        }
        self.settings = RestoreSettings(
            id="uid-1",
            member="m-0",
            mode=RestoreMode.RESTORE,
            source=source,
            token_file=str(root / "token"),
            bytes=len(COPY),
            sha256=hashlib.sha256(COPY).hexdigest(),
            volume=str(root / "volume"),
            defaults=str(root / "my.cnf"),
            socket=str(root / "sock"),
            **programs,
        )
        _, _, program = (ROOT / "tests/support/fake_mariadbd.py").read_text().partition("\n")
        for name in PROGRAMS.values():
            (root / "bin" / name).write_text(f"#!{sys.executable} -SE\n{program}")
            (root / "bin" / name).chmod(0o755)

    def run(self, **changes: Any) -> RestoreOutcome:
        self.settings = replace(self.settings, **changes)
        return restore.run(self.settings, Progress(write=lambda _: None))

    def starts(self) -> list[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError):
            lines = (self.control / "started").read_text().splitlines()
            return [json.loads(line) for line in lines]
        return []

    def holds(self) -> str:
        """Return which data is at `data`, whole: `former`, `restored` or `nothing`."""
        found = {path.relative_to(self.volume.data).as_posix(): path for path in self.files()}
        if found.keys() == {"nova/instances.ibd", "grastate.dat"}:
            assert found["grastate.dat"].read_text() == grastate(FORMER, 9)
            return "former"
        if found.keys() == {"ibdata1", "grastate.dat"}:
            assert found["ibdata1"].read_bytes() == COPY
            assert found["grastate.dat"].read_text() == grastate(HISTORY, 2)
            return "restored"
        assert not found
        return "nothing"

    def files(self) -> list[Path]:
        return [path for path in self.volume.data.rglob("*") if path.is_file()]

    def marks(self) -> set[str]:
        return {path.name for path in (self.root / "volume/agent").iterdir()}

    def folders(self) -> set[str]:
        return {path.name for path in (self.root / "volume").iterdir()}


PROGRAMS = {"server": "mariadbd", "backup": "mariadb-backup", "mbstream": "mbstream"}


def grastate(uuid: str, seqno: int) -> str:
    return f"version: 2.1\nuuid:    {uuid}\nseqno:   {seqno}\nsafe_to_bootstrap: 1\n"


@pytest.fixture
def job(tmp_path: Path, source: str, monkeypatch: pytest.MonkeyPatch) -> Job:
    made = Job(tmp_path, source)
    monkeypatch.setenv("FAKE_CONTROL", str(made.control))
    return made


def assert_restored(job: Job, outcome: RestoreOutcome) -> None:
    assert (outcome.ok, outcome.message) == (True, "")
    assert (outcome.volume_id, outcome.uuid, outcome.seqno) == (job.id, HISTORY, 2)
    assert (outcome.tables, outcome.bytes) == (42, len(COPY))
    assert job.holds() == "restored"
    assert job.folders() == {"agent", "data"}
    assert job.marks() == {"id", "applied", "restored"}


def assert_failed(job: Job, outcome: RestoreOutcome, *words: str) -> None:
    assert not outcome.ok
    assert [word for word in words if word not in outcome.message] == [], outcome.message
    assert job.holds() == "former"
    assert job.folders() == {"agent", "data"}
    assert "restored" not in job.marks()


def test_the_copy_becomes_the_data_with_a_history_of_its_own(job: Job) -> None:
    job.volume.begin_join()

    assert_restored(job, job.run())

    assert job.volume.data.stat().st_mode & 0o777 == 0o750
    (start,) = job.starts()
    assert start["arguments"] == [
        f"--defaults-file={job.root}/my.cnf",
        f"--datadir={job.root}/volume/incoming",
        f"--socket={job.root}/sock",
        f"--pid-file={job.root}/restore.pid",
        "--bind-address=127.0.0.1",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-new-cluster",
        "--wsrep-node-name=m-0",
        "--wsrep-node-address=127.0.0.1",
        "--gtid-domain-id=100",
        "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:4567",
    ]


@pytest.fixture
def point_in_time(job: Job, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a restore to a point in time, whose programs take everything."""
    # The stand-in for mbstream unpacks no note of where the copy stands.
    monkeypatch.setattr(restore, "position", lambda _: 22)
    program = job.root / "bin/taker"
    program.write_text("#!/bin/sh\ncat\n")
    program.chmod(0o755)
    monkeypatch.setattr(Reader, "asked", [])
    programs = {"binlog": str(program), "client": str(program)}
    return {"until": 99, "history": "h", **programs}


def test_what_followed_the_copy_is_applied_before_it_becomes_the_data(
    job: Job, monkeypatch: pytest.MonkeyPatch, point_in_time: dict[str, Any]
) -> None:
    log = MAGIC + described() + transaction(23, 50) + transaction(24, 60)
    monkeypatch.setattr(Reader, "transactions", log)

    outcome = job.run(**point_in_time)

    assert_restored(job, outcome)
    assert (outcome.transactions, outcome.last, outcome.until) == (2, 24, 60)
    assert Reader.asked == ["/transactions?history=h&after=22&until=99"]
    applied, began = job.starts()
    assert "--wsrep-on=OFF" in applied["arguments"]
    assert "--wsrep-new-cluster" in began["arguments"]
    assert replace(job.run(**point_in_time), seconds=outcome.seconds) == outcome


def test_without_transactions_the_copy_is_what_it_was(
    job: Job, point_in_time: dict[str, Any]
) -> None:
    outcome = job.run(**point_in_time)

    assert_restored(job, outcome)
    assert (outcome.transactions, outcome.last, outcome.until) == (0, 22, 0)


def test_transactions_that_cannot_be_had_cost_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch, point_in_time: dict[str, Any]
) -> None:
    problem = ReaderProblem(reason="TransactionsMissing", message="they are not stored")
    monkeypatch.setattr(Reader, "transactions", problem)

    assert_failed(job, job.run(**point_in_time), "they are not stored")


def test_transactions_that_are_not_applied_cost_nothing(
    job: Job, monkeypatch: pytest.MonkeyPatch, point_in_time: dict[str, Any]
) -> None:
    log = MAGIC + described() + transaction(23, 50)
    monkeypatch.setattr(Reader, "transactions", log)
    refusing = job.root / "bin/refusing"
    refusing.write_text("#!/bin/sh\ncat >/dev/null\necho ERROR 1032 >&2\nexit 1\n")
    refusing.chmod(0o755)

    outcome = job.run(**{**point_in_time, "client": str(refusing)})

    assert_failed(job, outcome, "transactions were not applied", "ERROR 1032")


def test_a_restore_that_is_done_is_told_again(job: Job) -> None:
    first = job.run()
    (job.volume.data / "written-since").touch()

    again = job.run(source="http://127.0.0.1:1/gone")

    assert replace(again, seconds=first.seconds) == first
    assert (job.volume.data / "written-since").exists()
    assert len(job.starts()) == 1


def test_another_restore_begins_anew(job: Job) -> None:
    job.run()
    (job.volume.data / "written-since").touch()

    assert_restored(job, job.run(id="uid-2"))

    assert len(job.starts()) == 2


def test_what_a_broken_try_left_is_removed_first(job: Job) -> None:
    left = job.root / "volume/incoming"
    left.mkdir()
    (left / "left").touch()

    assert_restored(job, job.run())


def test_a_first_start_that_was_cut_off_is_forgotten(job: Job) -> None:
    job.volume.begin_creation()

    assert_restored(job, job.run())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sha256": "0" * 64}, "with checksum"),
        ({"bytes": 7}, "was taken as 7"),
        ({"source": "http://127.0.0.1:1/parts/database"}, "does not answer"),
        ({"mbstream": "/nowhere/mbstream"}, "/nowhere/mbstream"),
        ({"backup": "/nowhere/mariadb-backup"}, "/nowhere/mariadb-backup"),
        ({"token_file": "/nowhere/token"}, "/nowhere/token"),
        ({"bytes": 1 << 60}, "the volume is full or too small"),
    ],
)
def test_a_copy_that_is_not_the_one_that_was_taken_is_a_failure(
    job: Job, changes: dict[str, Any], words: str
) -> None:
    assert_failed(job, job.run(**changes), words)
    assert not job.starts()


@pytest.mark.parametrize("body", [COPY[:7], COPY])
def test_a_copy_that_breaks_off_is_a_failure(
    job: Job, monkeypatch: pytest.MonkeyPatch, body: bytes
) -> None:
    monkeypatch.setattr(Reader, "body", body)
    monkeypatch.setattr(Reader, "whole", False)

    assert_failed(job, job.run(), "broke off", "IncompleteRead")


def test_a_wrong_token_is_a_failure(job: Job) -> None:
    (job.root / "token").write_text("other")

    assert_failed(job, job.run(), "the reader answered 401: a bearer token is required")


def test_what_the_reader_cannot_read_is_told(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    told = ReaderProblem(reason="SetUnfinished", message="restore another Backup")
    monkeypatch.setattr(Reader, "problem", told)

    assert_failed(job, job.run(), "503: restore another Backup")


def test_a_copy_that_cannot_be_unpacked_is_a_failure(job: Job) -> None:
    (job.control / "mbstream-fails").write_text("mbstream: wrong chunk magic at offset 0x0")

    assert_failed(job, job.run(), "mbstream ended with", "wrong chunk magic")


def test_a_volume_that_fills_up_is_told_as_such(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    (job.control / "mbstream-fails").write_text("mbstream: Error writing file (Errcode: 28)")
    found = MagicMock(f_blocks=2**20, f_bfree=200, f_bavail=200, f_frsize=4096)
    monkeypatch.setattr("os.statvfs", lambda _: found)

    assert_failed(job, job.run(), "the volume is full", "Errcode: 28")


def test_a_copy_that_is_not_made_consistent_is_a_failure(job: Job) -> None:
    (job.control / "prepare-log").write_text("InnoDB: log sequence number is in the future")

    assert_failed(job, job.run(), "--prepare ended with 0", "is in the future")
    assert not job.starts()


def test_a_server_that_does_not_start_is_a_failure(job: Job) -> None:
    (job.control / "refuse").write_text("[ERROR] InnoDB: Missing FILE_CHECKPOINT")

    assert_failed(job, job.run(), "ended with 7", "Missing FILE_CHECKPOINT")


def test_a_server_that_does_not_get_on_is_a_failure(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(physical_copy, "QUIET_SECONDS", 1.0)
    (job.control / "status.json").unlink()

    assert_failed(job, job.run(), "moved for 1 s (it answers nothing)")
    (start,) = job.starts()
    assert not is_running(start["pid"])


def test_a_table_that_does_not_open_is_a_failure(job: Job) -> None:
    (job.control / "unread").write_text("nova.instances: Table doesn't exist in engine")

    assert_failed(job, job.run(), "1 of 42 tables", "nova.instances: Table doesn't exist")


def test_a_server_that_ends_badly_is_a_failure(job: Job) -> None:
    (job.control / "exit-code").write_text("3")

    assert_failed(job, job.run(), "not stop in good order: it ended with 3")


@pytest.mark.parametrize(
    "left", ["", grastate("00000000-0000-0000-0000-000000000000", 2), grastate(HISTORY, -1)]
)
def test_a_server_that_begins_no_history_is_a_failure(job: Job, left: str) -> None:
    (job.control / "grastate").write_text(left)

    assert_failed(job, job.run(), "began no history")


@pytest.mark.parametrize(("owner", "step"), STEPS, ids=lambda value: getattr(value, "__name__", ""))
def test_a_step_that_fails_once_is_made_good(
    job: Job, monkeypatch: pytest.MonkeyPatch, owner: Any, step: str
) -> None:
    job.volume.begin_join()
    with monkeypatch.context() as patch:
        patch.setattr(owner, step, MagicMock(side_effect=OSError("input/output error")))
        failed = job.run()
    assert (failed.ok, failed.message) == (False, "input/output error")

    assert_restored(job, job.run())


class KillAt:
    """Kills at one of the changes of the file system, or starts of programs, that are made."""

    def __init__(self, patch: pytest.MonkeyPatch, number: int) -> None:
        self._left = number
        for name in ("rename", "replace", "mkdir", "unlink", "rmdir", "fsync"):
            patch.setattr(os, name, self._counting(getattr(os, name)))
        begin = self._counting(subprocess.Popen.__init__)
        patch.setattr(subprocess.Popen, "__init__", begin)
        patch.setattr(subprocess.Popen, "__del__", lambda _: None)

    def _counting(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **more: Any) -> Any:
            if self._left <= 0:
                raise Killed
            self._left -= 1
            return function(*args, **more)

        return counted


def killed(job: Job, monkeypatch: pytest.MonkeyPatch, number: int) -> bool:
    """Run until one of its changes; return whether it came so far."""
    with monkeypatch.context() as patch:
        KillAt(patch, number)
        try:
            job.run()
        except Killed:
            return True
    return False


def test_a_restore_that_is_killed_anywhere_leaves_one_of_both(
    job: Job, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each kill the member's agent starts and settles the volume; then it is tried again."""
    # The server's part is tried by others; here it would take most of the time.
    monkeypatch.setattr(restore, "begin_history", write_history)
    seen = []
    for number in itertools.count():
        for folder in ("data", "incoming", "replaced"):
            shutil.rmtree(job.root / "volume" / folder, ignore_errors=True)
        job.volume.data.mkdir()
        (job.volume.data / "nova").mkdir()
        (job.volume.data / "nova/instances.ibd").write_text("former")
        (job.volume.data / "grastate.dat").write_text(grastate(FORMER, 9))
        (job.root / "volume/agent/restored").unlink(missing_ok=True)
        for mark in MARKS:
            (job.root / "volume/agent" / mark).touch()
        was_killed = killed(job, monkeypatch, number)

        Volume(job.root / "volume").prepare()

        seen.append(job.holds())
        assert seen[-1] != "nothing"
        assert job.marks() & MARKS == (MARKS if seen[-1] == "former" else set())
        assert "replaced" not in job.folders()
        assert_restored(job, job.run())
        if not was_killed:
            break

    assert sorted(seen) == seen, "once it is restored it stays so"
    assert {"former", "restored"} == set(seen)


def write_history(_: RestoreSettings, data: Path) -> tuple[str, int, int]:
    (data / "grastate.dat").write_text(grastate(HISTORY, 2))
    return HISTORY, 2, 42


def test_data_that_was_moved_away_comes_back(tmp_path: Path) -> None:
    """Also where an agent that knows nothing of it made an empty directory meanwhile."""
    volume = Volume(tmp_path)
    volume.prepare()
    (volume.data / "ibdata1").touch()
    volume.data.rename(tmp_path / "replaced")
    volume.data.mkdir()
    volume.begin_join()

    volume.prepare()

    assert (volume.data / "ibdata1").exists()
    assert not (tmp_path / "replaced").exists()
    assert (tmp_path / "agent/joining").exists()


def test_a_member_without_data_is_restored_too(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    job.volume.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", MagicMock(side_effect=OSError("no")))
        job.run()

    assert_restored(job, job.run())


def test_a_cleared_volume_is_empty_and_keeps_its_id(job: Job) -> None:
    job.volume.begin_join()
    (job.root / "volume/incoming").mkdir()

    for _ in range(2):
        outcome = job.run(mode=RestoreMode.CLEAR, source="", token_file="")

        assert (outcome.ok, outcome.volume_id, outcome.uuid) == (True, job.id, "")
        assert job.holds() == "nothing"
        assert job.volume.position(["false"]).empty
        assert job.folders() == {"agent", "data"}
        assert job.marks() == {"id", "applied"}
    assert job.volume.applied_decision() == AppliedDecision("a", 3)


def test_a_restored_volume_that_is_cleared_is_restored_no_more(job: Job) -> None:
    job.run()
    job.run(mode=RestoreMode.CLEAR, id="uid-2")

    assert_restored(job, job.run(mode=RestoreMode.RESTORE, id="uid-1"))


@pytest.mark.parametrize("creating", [False, True])
def test_data_that_is_cleared_in_part_counts_for_none(
    job: Job, monkeypatch: pytest.MonkeyPatch, creating: bool
) -> None:
    job.settings = replace(job.settings, mode=RestoreMode.CLEAR)
    for number in itertools.count():
        (job.volume.data / "nova").mkdir(exist_ok=True)
        (job.volume.data / "nova/instances.ibd").write_text("former")
        (job.volume.data / "grastate.dat").write_text(grastate(FORMER, 9))
        if creating:
            (job.root / "volume/agent/creating").touch()
        was_killed = killed(job, monkeypatch, number)

        found = Volume(job.root / "volume").position(["false"])

        whole = (job.volume.data / "nova/instances.ibd").exists()
        assert not found.error
        assert found.empty or found.transfer or (whole and found.uuid == FORMER)
        assert job.run().ok
        if not was_killed:
            break
    assert number > 5


def is_running(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def start(job: Job) -> "subprocess.Popen[bytes]":
    """Run the program as its pod does."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT / "operator"),
        "FAKE_CONTROL": str(job.control),
        "RESTORE_RESULT": str(job.root / "result"),
        **to_environment(job.settings),
    }
    command = [sys.executable, "-B", "-m", "stackroles.agents.galera.restore"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)


def test_the_outcome_is_one_line_in_the_log_and_the_termination_message(job: Job) -> None:
    with start(job) as process:
        log = process.communicate(timeout=120)[0].decode().splitlines()

    assert process.returncode == 0
    message = (job.root / "result").read_text()
    assert log[-1] == message
    assert_restored(job, wire.loads(RestoreOutcome, message))
    progress = [json.loads(line[9:])["part"] for line in log if line.startswith("progress ")]
    assert [part for part, _ in itertools.groupby(progress)] == ["copy", "prepare", "start"]


def test_a_failure_has_an_outcome_too(job: Job) -> None:
    job.settings = replace(job.settings, sha256="0" * 64)
    with start(job) as process:
        process.communicate(timeout=120)

    outcome = wire.loads(RestoreOutcome, (job.root / "result").read_text())
    assert process.returncode == 1
    assert_failed(job, outcome, "with checksum")
    assert outcome.volume_id == job.id


def test_a_restore_that_is_asked_to_end_ends_its_server(job: Job) -> None:
    (job.control / "status.json").unlink()
    with start(job) as process:
        end = time.monotonic() + 60
        while not job.starts():
            assert time.monotonic() < end
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)

    outcome = wire.loads(RestoreOutcome, (job.root / "result").read_text())
    assert process.returncode == 1
    assert_failed(job, outcome, "SIGTERM")
    assert not is_running(job.starts()[0]["pid"])


def test_settings_are_given_as_environment(job: Job) -> None:
    variables = to_environment(job.settings)

    assert variables["RESTORE_MODE"] == "restore"
    assert from_environment({**variables, "PATH": "/bin"}) == job.settings
    least = {"RESTORE_ID": "u", "RESTORE_MEMBER": "m-0", "RESTORE_MODE": "clear"}
    assert from_environment(least) == RestoreSettings(id="u", member="m-0", mode=RestoreMode.CLEAR)
    with pytest.raises(ValueError, match="mode"):
        from_environment({**least, "RESTORE_MODE": "drop"})


def test_no_secret_is_in_a_command(job: Job) -> None:
    command = new_history.command(job.settings, job.volume.data)

    assert "geheim" not in " ".join((*command, *to_environment(job.settings).values()))

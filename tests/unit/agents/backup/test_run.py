"""The backup agent against a stand-in for restic that keeps snapshots as plain files."""

import http.client
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from stackroles.agents import wire
from stackroles.agents.backup.database_copy import DatabaseMember, PositionFinder
from stackroles.agents.backup.manifest import decode, identity
from stackroles.agents.backup.protocol import (
    RemovalSettings,
    RetentionInput,
    RetentionRules,
    RunOutcome,
    RunSettings,
    StepResult,
    Versions,
    from_environment,
    to_environment,
)
from stackroles.agents.backup.removal import remove
from stackroles.agents.backup.repository import Part, Restic, StepFailed, directory, file
from stackroles.agents.backup.run import (
    Plan,
    manifest,
    plan,
    run,
    termination_message,
)
from stackroles.agents.backup.streams import HashingSink, Sink
from stackroles.agents.galera.tables_protocol import Tables
from stackroles.domains.backup.outcome import read_outcome
from tests.support.alarm import alarm
from tests.support.fake_restic import CONFIG, MASTER_KEY, install_restic

KEY = identity(CONFIG, MASTER_KEY)


def now() -> datetime:
    return datetime.now(UTC)


VERSIONS = Versions(operator="0.1.0", release="2025.1", images={"ovn": "r/ovn:1"})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return install_restic(tmp_path)


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(180):
        yield


def wait_for(there: Callable[[], bool]) -> None:
    """Wait until something is so, at most ten seconds."""
    end = time.monotonic() + 10
    while not there():
        assert time.monotonic() < end
        time.sleep(0.01)


def restic(store: Path, stall: float = 60.0, answer: float = 60.0, uid: str = "") -> Restic:
    program = str(store.parent / "restic")
    tags = ("set=one", "policy=daily", *([f"backup-uid={uid}"] if uid else []))
    return Restic(program, tags, "cloud", stall=stall, answer=answer)


def work(tmp_path: Path) -> Plan:
    secrets = tmp_path / "secrets"
    (secrets / "keys").mkdir(parents=True)
    (secrets / "keys" / "0").write_text("abc")
    (tmp_path / "state.json").write_text("{}")
    parts = (
        Part("secrets", "secrets.tar", directory(secrets)),
        Part("state", "state.json", file(tmp_path / "state.json")),
    )
    retention = RetentionInput(rules=RetentionRules(last=3), backups=())
    return Plan("one", "cloud", "daily", VERSIONS, parts, retention)


def test_a_set_is_verified_and_ends_with_its_manifest(store: Path, tmp_path: Path) -> None:
    result = run(work(tmp_path), restic(store), now)

    assert (result.ok, result.verified, result.message) == (True, True, "")
    assert [step.name for step in result.steps] == ["secrets", "state", "manifest"]
    written = json.loads((store / str(result.snapshot)).read_text())
    assert [part["filename"] for part in written["parts"]] == ["secrets.tar", "state.json"]
    assert (written["repository"], written["keyId"]) == ("repository-1", "key-1")
    assert written["versions"] == {
        "operator": "0.1.0",
        "release": "2025.1",
        "images": {"ovn": "r/ovn:1"},
    }


def test_a_set_is_signed_in_the_write_that_finishes_it(store: Path, tmp_path: Path) -> None:
    result = run(work(tmp_path), restic(store), now)

    last = json.loads((store / "log").read_text().splitlines()[-1])
    text = (store / str(result.snapshot)).read_bytes()
    assert last["id"] == result.snapshot
    assert decode(text, last["tags"], KEY).name == "one"


def test_the_master_key_is_in_no_log_and_no_outcome(
    store: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    result = run(work(tmp_path), restic(store), now)

    seen = "".join(capfd.readouterr()) + termination_message(result) + (store / "log").read_text()
    for secret in (json.loads(MASTER_KEY)["encrypt"], KEY.signing.hex()):
        assert secret not in seen


@pytest.mark.parametrize("command", ["cat", "key"])
def test_a_set_that_cannot_be_signed_is_unfinished(
    store: Path, tmp_path: Path, command: str
) -> None:
    def write(sink: Sink) -> dict[str, str]:
        (store / f"fail-{command}").write_text("1 Fatal: it went away")
        return {}

    plan = work(tmp_path)
    plan = replace(plan, parts=(*plan.parts, Part("last", "last", write)))
    result = run(plan, restic(store), now)

    assert (result.ok, result.verified, result.message) == (False, False, "Fatal: it went away")
    assert "part=manifest" not in (store / "log").read_text()


def test_a_key_that_does_not_open_the_repository_is_named(store: Path, tmp_path: Path) -> None:
    (store / "fail-cat").write_text("12 Fatal: wrong password or no key found")

    result = run(work(tmp_path), restic(store), now)

    assert (result.ok, result.reason) == (False, "WrongEncryptionKey")
    assert result.steps[-1].name == "repository"


def test_a_full_volume_fails_the_part_that_met_it(store: Path, tmp_path: Path) -> None:
    (store / "fail-backup").write_text("1 write /repository/data/tmp: no space left on device")

    result = run(work(tmp_path), restic(store), now)

    assert (result.ok, result.reason, result.steps[-1].name) == (False, "RepositoryFull", "secrets")


def test_a_part_that_reads_back_differently_is_no_backup(store: Path, tmp_path: Path) -> None:
    (store / "rot").touch()

    result = run(work(tmp_path), restic(store), now)

    assert (result.ok, result.verified, result.steps[-1].name) == (False, False, "verify")
    assert "part=manifest" not in (store / "log").read_text()


def test_a_failed_repository_check_is_no_backup(store: Path, tmp_path: Path) -> None:
    (store / "fail-check").write_text("1 Fatal: repository contains errors")

    result = run(work(tmp_path), restic(store), now)

    assert (result.ok, result.message) == (False, "Fatal: repository contains errors")


def stream(size: int) -> Part:
    """Return a part of many writes."""

    def write(sink: Sink) -> dict[str, str]:
        for _ in range(size // 65536):
            sink.write(b"p" * 65536)
        return {}

    return Part("database", "mariadb.mbstream", write)


def test_a_restic_that_writes_more_than_its_pipes_hold_is_read_meanwhile(store: Path) -> None:
    put(store)
    (store / "noisy").touch()

    step, _, stored = restic(store).save(stream(4 << 20))

    assert (step.bytes, stored) == (4 << 20, 7)
    assert restic(store).read(step, "mariadb.mbstream") == step.sha256


def test_a_repository_that_takes_no_more_fails_the_part_with_restics_message(store: Path) -> None:
    put(store)
    (store / "deaf").touch()

    with pytest.raises(StepFailed, match=r"no progress for 4 s.*request timeout") as failed:
        restic(store, stall=4.0).save(stream(4 << 20))

    assert (failed.value.step, failed.value.reason) == ("database", "RepositoryStalled")
    assert not list((store / "locks").iterdir())
    assert not ids(store)


@pytest.mark.parametrize("command", ["check", "prune", "snapshots"])
def test_a_command_that_does_not_get_on_is_given_up(
    store: Path, tmp_path: Path, command: str
) -> None:
    put(store)
    (store / f"hang-{command}").write_text(
        "Load(<index/1>) returned error, retrying after 1s: no\n"
    )

    result = run(work(tmp_path), restic(store, stall=4.0), now)

    assert (result.ok, result.reason) == (False, "RepositoryStalled")
    assert "restic: Load(<index/1>)" in result.message


def test_a_repository_that_never_answers_is_given_up_at_once(store: Path, tmp_path: Path) -> None:
    (store / "hang-cat").write_text("Stat(<config/>) returned error, retrying after 1s: 403\n")

    result = run(work(tmp_path), restic(store, answer=4.0), now)

    assert (result.ok, result.reason) == (False, "RepositoryStalled")
    assert "no answer within 4 s" in result.message
    assert "403" in result.message


POSITION = "0f4b8c1e-6f0a-11f0-9b7a-0b3f8a3b2c1d:7929"
INFO = b"XBSTCK01\0P\x1a\0\0\0mariadb_backup_galera_info" + b"\0" * 20 + POSITION.encode() + b"\n"


class Member(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chunks: tuple[bytes, ...] = ()
    whole = True
    busy = 0
    began = ""
    status = 200
    asked: tuple[str, bytes] = ("", b"")

    @override
    def log_message(self, format: str, *args: object) -> None:
        return

    def do_POST(self) -> None:
        self.close_connection = True
        if self.headers["Authorization"] != "Bearer token":
            self.send_error(401)
            return
        if Member.busy:
            Member.busy -= 1
            self.send_error(409)
            return
        if Member.status != 200:
            self.send_error(Member.status)
            return
        Member.asked = self.path, self.rfile.read(int(self.headers["Content-Length"] or 0))
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        if self.began:
            self.send_header("X-Backup-Began", self.began)
        self.end_headers()
        for chunk in self.chunks:
            self.wfile.write(b"%x\r\n" % len(chunk) + chunk + b"\r\n")
        if self.whole:
            self.wfile.write(b"0\r\n\r\n")


@pytest.fixture
def member() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Member)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/backup"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("cut", [1, 30, 60, 80])
def test_the_position_is_read_out_of_the_copy(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    monkeypatch.setattr(Member, "chunks", (b"page" * 100 + INFO[:cut], INFO[cut:] + b"more"))
    part = Part("database", "mariadb.mbstream", DatabaseMember(member, "token").copy)

    step, facts, stored = restic(store).save(part)

    assert (step.bytes, facts, stored) == (404 + len(INFO), {"position": POSITION}, 7)


@pytest.mark.parametrize("size", [1, 7, 31, 64, 300, 10_000])
def test_the_position_is_found_wherever_the_copy_is_cut(size: int) -> None:
    copied = HashingSink()
    finder = PositionFinder(copied)
    text = b"page" * 100 + INFO + b"more" * 100
    for begin in range(0, len(text), size):
        finder.write(text[begin : begin + size])
    assert finder.position == POSITION
    assert copied.bytes == len(text)


@pytest.mark.parametrize(("chunks", "whole"), [((INFO,), False), ((b"page",), True)])
def test_a_copy_that_is_not_whole_never_becomes_a_snapshot(
    store: Path,
    member: str,
    monkeypatch: pytest.MonkeyPatch,
    chunks: tuple[bytes, ...],
    whole: bool,
) -> None:
    monkeypatch.setattr(Member, "chunks", chunks)
    monkeypatch.setattr(Member, "whole", whole)
    part = Part("database", "mariadb.mbstream", DatabaseMember(member, "token").copy)

    with pytest.raises(StepFailed):
        restic(store).save(part)

    assert not (store / "log").exists()


def test_a_member_that_still_ends_another_backup_is_asked_again(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackroles.agents.backup.database_copy.BUSY_PERIOD", 0.0)
    monkeypatch.setattr(Member, "chunks", (INFO,))
    monkeypatch.setattr(Member, "busy", 3)

    _, facts, _ = restic(store).save(Part("database", "m", DatabaseMember(member, "token").copy))

    assert (facts, Member.busy) == ({"position": POSITION}, 0)


def test_a_member_that_stays_busy_is_reported(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackroles.agents.backup.database_copy.BUSY_SECONDS", 0.0)
    monkeypatch.setattr(Member, "busy", 1)

    with pytest.raises(StepFailed, match="409"):
        restic(store).save(Part("database", "m", DatabaseMember(member, "token").copy))


def test_a_wrong_token_is_reported(store: Path, member: str) -> None:
    with pytest.raises(StepFailed, match="401"):
        restic(store).save(Part("database", "m", DatabaseMember(member, "other").copy))


def test_the_tables_are_asked_for_with_what_the_copy_began_with(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Member, "chunks", (INFO,))
    monkeypatch.setattr(Member, "began", '{"epoch": 1.0}')
    copied = DatabaseMember(member, "token")
    restic(store).save(Part("database", "m", copied.copy))
    monkeypatch.setattr(Member, "chunks", (b"\n", b"{}"))

    step, facts, _ = restic(store).save(Part("tables", "t", copied.tables))

    assert Member.asked == ("/tables", b'{"epoch": 1.0}')
    assert (step.bytes, facts) == (2, {})


@pytest.mark.parametrize(
    ("change", "missing"),
    [
        ({"whole": False}, "the member that was copied did not record its tables: IncompleteRead"),
        ({"status": 503}, "the database member answered 503"),
        ({"status": 409}, "the database member answered 409"),
    ],
)
def test_tables_that_are_not_recorded_do_not_fail_the_run(
    store: Path,
    member: str,
    monkeypatch: pytest.MonkeyPatch,
    change: dict[str, object],
    missing: str,
) -> None:
    monkeypatch.setattr("stackroles.agents.backup.database_copy.BUSY_SECONDS", 0.0)
    copied = copied_member(store, member, monkeypatch)
    monkeypatch.setattr(Member, "chunks", (b"\n", b'{"server": "11.8'))
    for name, value in change.items():
        monkeypatch.setattr(Member, name, value)

    step, _, _ = restic(store).save(Part("tables", "t", copied.tables))

    found = wire.loads(Tables, (store / str(step.snapshot)).read_bytes())
    assert found.tables == ()
    assert found.missing.startswith(missing)
    assert len(found.missing) <= 300


def test_tables_of_a_member_that_left_do_not_fail_the_run(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied = copied_member(store, member, monkeypatch)
    monkeypatch.setattr("stackroles.agents.backup.database_copy.BUSY_SECONDS", 0.0)

    def refused(*_: object) -> None:
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(http.client.HTTPConnection, "connect", refused)

    step, _, _ = restic(store).save(Part("tables", "t", copied.tables))

    found = wire.loads(Tables, (store / str(step.snapshot)).read_bytes())
    assert "did not record its tables" in found.missing
    assert "Connection refused" in found.missing


def test_a_member_that_counts_for_too_long_is_not_waited_for(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackroles.agents.backup.database_copy.TABLES_SECONDS", -1.0)
    copied = copied_member(store, member, monkeypatch)

    step, _, _ = restic(store).save(Part("tables", "t", copied.tables))

    found = wire.loads(Tables, (store / str(step.snapshot)).read_bytes())
    assert "it took longer than" in found.missing


class Breaking:
    """A part that breaks off some times before it is whole."""

    def __init__(self, times: int, error: Exception) -> None:
        self.left, self.error, self.asked = times, error, 0

    def write(self, sink: Sink) -> dict[str, str]:
        self.asked += 1
        sink.write(b"half")
        if self.left:
            self.left -= 1
            raise self.error
        sink.write(b" and half")
        return {"position": POSITION}


def copying(tmp_path: Path, source: Breaking, *, again: bool = True) -> Plan:
    plan = work(tmp_path)
    return replace(plan, parts=(Part("database", "m", source.write, again=again), *plan.parts))


GONE = http.client.IncompleteRead(b"")


def test_a_copy_that_breaks_off_is_taken_once_more(store: Path, tmp_path: Path) -> None:
    source = Breaking(1, GONE)
    put(store)

    result = run(copying(tmp_path, source), restic(store), now)

    assert (result.ok, result.position, source.asked) == (True, POSITION, 2)
    assert (store / str(result.steps[0].snapshot)).read_bytes() == b"half and half"
    assert (store.parent / "asked").read_text().split().count("unlock") == 2


def test_a_copy_that_breaks_off_twice_fails_the_run(store: Path, tmp_path: Path) -> None:
    source = Breaking(2, GONE)

    result = run(copying(tmp_path, source), restic(store), now)

    assert (result.ok, result.steps[-1].name, source.asked) == (False, "database", 2)
    assert "reading database failed" in result.message


@pytest.mark.parametrize(
    ("error", "again"), [(GONE, False), (StepFailed("stopped", "asked to end"), True)]
)
def test_only_a_source_that_broke_off_is_asked_again(
    store: Path, tmp_path: Path, error: Exception, again: bool
) -> None:
    source = Breaking(1, error)

    assert not run(copying(tmp_path, source, again=again), restic(store), now).ok
    assert source.asked == 1


def test_a_member_that_is_away_for_a_moment_is_waited_for(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stackroles.agents.backup.database_copy.BUSY_PERIOD", 0.0)
    monkeypatch.setattr(Member, "chunks", (INFO,))
    connect, refusals = http.client.HTTPConnection.connect, iter([1, 2, 3])

    def connecting(connection: http.client.HTTPConnection) -> None:
        if next(refusals, None):
            raise ConnectionRefusedError(111, "Connection refused")
        connect(connection)

    monkeypatch.setattr(http.client.HTTPConnection, "connect", connecting)

    _, facts, _ = restic(store).save(Part("database", "m", DatabaseMember(member, "token").copy))

    assert facts == {"position": POSITION}


def copied_member(store: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> DatabaseMember:
    """Return a member that was copied."""
    monkeypatch.setattr(Member, "chunks", (INFO,))
    monkeypatch.setattr(Member, "began", "{}")
    copied = DatabaseMember(url, "token")
    restic(store).save(Part("database", "m", copied.copy))
    return copied


def test_a_member_of_a_former_version_leaves_a_record_without_tables(
    store: Path, member: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Member, "chunks", (INFO,))
    copied = DatabaseMember(member, "token")
    restic(store).save(Part("database", "m", copied.copy))

    restic(store).save(Part("tables", "t", copied.tables))

    name = json.loads((store / "log").read_text().splitlines()[-1])["id"]
    found = wire.loads(Tables, (store / name).read_bytes())
    assert (found.tables, found.missing) == (
        (), "the agent of the member that was copied does not record tables"
    )  # fmt: skip


def test_a_snapshot_without_a_time_fails_the_run_before_the_copy(
    store: Path, tmp_path: Path
) -> None:
    put(store, {**of_daily("a", "manifest", "0"), "time": "yesterday"})

    result = run(work(tmp_path), restic(store), now)

    assert (result.ok, result.steps[-1].name) == (False, "retention")
    assert result.message == (
        "snapshot a-manifest has the time yesterday, which is none: restic forget it, or wait for "
        "a version that reads it"
    )
    assert ids(store) == ["a-manifest"]


def test_nothing_is_removed_while_a_snapshot_cannot_be_read(store: Path, tmp_path: Path) -> None:
    """restic leaves it out, so that its set passes for unfinished."""
    snapshots = [
        of_daily("a", "database", "0"),
        {**of_daily("a", "manifest", "0"), "damaged": True},
    ]
    put(store, *snapshots)

    result = run(work(tmp_path), restic(store), now)

    assert (result.ok, result.steps[-1].name) == (False, "repository")
    assert "file snapshots/a-manifest of the repository cannot be read" in result.message
    assert ids(store) == ["a-database", "a-manifest"]
    assert not (store / "forgotten").exists()


def put(store: Path, *snapshots: dict[str, object]) -> None:
    """Store snapshots of earlier runs."""
    (store / "config").touch()
    (store / "locks").mkdir(exist_ok=True)
    (store / "log").write_text("".join(json.dumps(found) + "\n" for found in snapshots))


def of_daily(name: str, part: str, digit: str) -> dict[str, object]:
    """Return a snapshot of a year that ends with a digit."""
    when = f"201{digit}-01-01T00:00:00.123456789+01:00"
    tags = ["policy=daily", f"set={name}", f"part={part}"]
    return {"id": f"{name}-{part}", "time": when, "tags": tags}


def ids(store: Path) -> list[str]:
    return [json.loads(line)["id"] for line in (store / "log").read_text().splitlines()]


@pytest.mark.parametrize("locker", ["dead-shared", "dead-exclusive"])
def test_a_lock_that_a_dead_run_left_does_not_stop_the_next(
    store: Path, tmp_path: Path, locker: str
) -> None:
    put(store)
    (store / "locks" / locker).touch()

    assert run(work(tmp_path), restic(store), now).ok


def test_a_part_that_breaks_off_leaves_no_lock(store: Path, tmp_path: Path) -> None:
    put(store)

    def broken(sink: Sink) -> dict[str, str]:
        sink.write(b"half")
        wait_for(lambda: any((store / "locks").iterdir()))
        raise OSError("the other side is gone")

    with pytest.raises(StepFailed, match="gone"):
        restic(store).save(Part("database", "m", broken))

    assert not list((store / "locks").iterdir())
    assert not ids(store)


def test_runs_that_fail_remove_what_broke_off_and_no_older_set(store: Path, tmp_path: Path) -> None:
    put(
        store,
        of_daily("a", "manifest", "1"), of_daily("b", "manifest", "2"),
        of_daily("c", "manifest", "3"), of_daily("d", "manifest", "4"),
        of_daily("broken", "database", "5"),
    )  # fmt: skip
    (store / "fail-backup").write_text("1 write /repository/data/tmp: no space left on device")
    plan = work(tmp_path)

    for _ in range(2):
        result = run(plan, restic(store), now)
        assert (result.ok, result.reason) == (False, "RepositoryFull")

    assert ids(store) == ["a-manifest", "b-manifest", "c-manifest", "d-manifest"]


def test_a_later_run_of_the_same_name_costs_the_older_set_nothing(
    store: Path, tmp_path: Path
) -> None:
    plan = replace(work(tmp_path), uid="2")
    put(
        store,
        *(tagged(of_daily("one", part, "1"), "1") for part in ("database", "manifest")),
        tagged(of_daily("one", "secrets", "5"), "2"),
    )  # fmt: skip
    (store / "fail-check").write_text("1 Fatal: repository contains errors")

    assert not run(plan, restic(store, uid="2"), now).ok
    assert ids(store)[:2] == ["one-database-1", "one-manifest-1"]
    assert "one-secrets-2" not in ids(store)
    (store / "fail-check").unlink()
    assert run(plan, restic(store, uid="2"), now).ok

    last = json.loads((store / "log").read_text().splitlines()[-1])
    assert ids(store)[:2] == ["one-database-1", "one-manifest-1"]
    assert "backup-uid=2" in last["tags"]
    assert json.loads((store / last["id"]).read_text())["uid"] == "2"
    assert len(ids(store)) == 5


def tagged(snapshot: dict[str, object], uid: str) -> dict[str, object]:
    """Return a snapshot as of a Backup with a uid."""
    tags = snapshot["tags"]
    assert isinstance(tags, list)
    return {**snapshot, "id": f"{snapshot['id']}-{uid}", "tags": [*tags, f"backup-uid={uid}"]}


def test_a_set_in_quarantine_takes_no_place(store: Path, tmp_path: Path) -> None:
    put(store, *(of_daily(name, "manifest", name) for name in "0123"))
    plan = retaining(work(tmp_path), *"0123", last=2)
    retention = replace(plan.retention, quarantined=("3",))

    result = run(replace(plan, retention=retention), restic(store), now)

    assert (result.ok, result.expired) == (True, ("0", "1"))
    assert ids(store)[:2] == ["2-manifest", "3-manifest"]


def test_a_set_is_removed_its_manifest_first(store: Path) -> None:
    put(
        store,
        of_daily("a", "database", "1"), of_daily("a", "manifest", "2"),
        of_daily("b", "database", "3"), of_daily("b", "manifest", "4"),
    )  # fmt: skip
    (store / "locks" / "dead").touch()
    asked = store / "forgotten"

    assert remove(restic(store), "daily", "a") == 2

    assert ids(store) == ["b-database", "b-manifest"]
    assert asked.read_text().splitlines() == ["a-manifest", "--prune a-database"]
    assert remove(restic(store), "daily", "a") == 0
    assert remove(restic(store), "other", "b") == 0


def test_a_set_in_a_repository_that_is_not_there_is_gone(store: Path) -> None:
    assert remove(restic(store), "daily", "a") == 0
    assert not (store / "config").exists()


def retaining(plan: Plan, *backups: str, **rules: int) -> Plan:
    retention = RetentionInput(rules=RetentionRules(**{"last": 3, **rules}), backups=backups)
    return replace(plan, retention=retention)


def test_a_run_names_the_backups_whose_sets_are_gone(store: Path, tmp_path: Path) -> None:
    put(
        store, *(of_daily(name, "manifest", name) for name in "0123"),
        of_daily("broken", "database", "4"),
    )  # fmt: skip

    result = run(retaining(work(tmp_path), "lost", "0", "1", "2", "broken"), restic(store), now)

    assert (result.ok, result.expired) == (True, ("lost", "0", "1", "broken"))
    assert ids(store)[:2] == ["2-manifest", "3-manifest"]


def test_sets_with_gaps_between_them_stay(store: Path, tmp_path: Path) -> None:
    put(store, *(of_daily(name, "manifest", name) for name in "012345"))
    (store / "log").write_text(
        (store / "log").read_text().replace("2015-01-01T00:00", "2013-06-01T00:00")
    )
    names = tuple("012345")

    result = run(retaining(work(tmp_path), *names, last=1, yearly=4), restic(store), now)

    assert (result.ok, result.expired) == (True, ("0", "1", "5"))
    assert ids(store)[:3] == ["2-manifest", "3-manifest", "4-manifest"]


def test_a_run_names_no_backup_before_its_set_is_verified(store: Path, tmp_path: Path) -> None:
    put(store)
    (store / "fail-check").write_text("1 Fatal: repository contains errors")

    assert run(retaining(work(tmp_path), "lost"), restic(store), now).expired == ()


def test_a_run_names_so_many_backups_that_another_names_the_rest(
    store: Path, tmp_path: Path
) -> None:
    names = [f"old-{number:02}" for number in range(30)]

    result = run(retaining(work(tmp_path), *names), restic(store), now)

    assert result.expired == tuple(names[:20])


def test_the_set_of_a_run_stays_beside_one_of_a_clock_that_was_ahead(
    store: Path, tmp_path: Path
) -> None:
    put(store, of_daily("ahead", "manifest", "0"), of_daily("a", "manifest", "1"))
    (store / "log").write_text((store / "log").read_text().replace("2010-01", "2999-01"))

    result = run(retaining(work(tmp_path), "ahead", "a", last=1), restic(store), now)

    assert (result.ok, result.expired) == (True, ("a",))
    assert "ahead-manifest" in ids(store)
    assert result.snapshot in ids(store)


def test_a_run_that_is_asked_to_end_says_so_and_ends_restic(store: Path, tmp_path: Path) -> None:
    put(store)
    program = (
        "import sys; from stackroles.agents.backup import protocol, repository, run as backup\n"
        "def wait(sink): print('copying', flush=True); import signal; signal.pause()\n"
        "part = repository.Part('database', 'm', wait)\n"
        "rules = protocol.RetentionRules(last=3)\n"
        "given = protocol.RetentionInput(rules=rules, backups=())\n"
        "work = backup.Plan('one', 'cloud', 'daily', None, (part,), given)\n"
        f"restic = repository.Restic({str(store.parent / 'restic')!r})\n"
        "backup.from_environment = lambda *_: None\n"
        "backup.plan = lambda *_: work; backup.Restic = lambda **_: restic\n"
        "sys.exit(backup.main())\n"
    )
    result = tmp_path / "result"
    environment = {**os.environ, "BACKUP_RESULT": str(result)}
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment
    ) as process:
        wait_for(lambda: any((store / "locks").iterdir()))
        process.terminate()
        process.communicate(timeout=20)

    report = json.loads(result.read_text())
    assert (process.returncode, report["ok"], report["steps"][-1]["name"]) == (1, False, "stopped")
    assert "SIGTERM" in report["message"]
    assert not list((store / "locks").iterdir())


def test_a_result_fits_a_termination_message(tmp_path: Path) -> None:
    steps = (StepResult("database", sha256="a" * 64),) * 8
    text = termination_message(RunOutcome(message="word " * 2000, steps=steps))

    assert len(text.encode()) <= 4096
    found = read_outcome(text)
    assert found is not None
    assert found.steps == steps
    assert found.message is not None
    assert set(found.message.split()) == {"word", "..."}


@given(st.integers(0, 20), st.integers(0, 8000), st.integers(1, 253))
def test_a_termination_message_names_what_fits_the_oldest_first(
    count: int, message: int, length: int
) -> None:
    names = tuple(f"{number:x}".rjust(length, "n")[:length] for number in range(count))
    steps = tuple(
        StepResult(f"part-{number}", 10**12, 3600.25, "a" * 64, "b" * 64) for number in range(9)
    )
    outcome = RunOutcome(
        ok=True, verified=True, snapshot="b" * 64, position="p" * 60, stored=10**12,
        message=("word " * 1600)[:message], expired=names, steps=steps,
    )  # fmt: skip

    text = termination_message(outcome)

    found = read_outcome(text)
    assert found is not None
    assert found.steps == steps
    assert found.expired == names[: len(found.expired)]
    assert found.expired or not names, "each run gets on by one at least"
    assert len(text.encode()) <= 4000
    if len(found.expired) < count:
        assert len(text.encode()) + len(names[len(found.expired)]) + 3 > 4000


def test_a_termination_message_leaves_out_what_a_step_does_not_have() -> None:
    step = StepResult("database", 7, 1.5, "aa", "s1")
    steps = (step, StepResult("x", message="full"))
    outcome = RunOutcome(ok=True, verified=True, expired=("x",), steps=steps)
    text = termination_message(outcome)

    assert text == (
        '{"ok":true,"reason":"","message":"","verified":true,"snapshot":null,"position":null,'
        '"stored":0,"expired":["x"],"steps":[{"name":"database","bytes":7,"seconds":1.5,"sha256":"aa",'
        '"snapshot":"s1"},{"name":"x","message":"full"}]}'
    )
    assert read_outcome(text) == outcome


def test_settings_are_read_from_the_environment_whole_or_not_at_all() -> None:
    settings = RemovalSettings(name="one", policy="daily")
    variables = to_environment(settings)

    assert variables == {"BACKUP_NAME": "one", "BACKUP_POLICY": "daily"}
    assert from_environment(RemovalSettings, {**variables, "PATH": "/bin"}) == settings
    with pytest.raises(ValueError, match="it has no policy"):
        from_environment(RemovalSettings, {"BACKUP_NAME": "one"})


def test_a_plan_is_read_from_what_its_job_gives(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t\n")
    (tmp_path / "copies").mkdir()
    (tmp_path / "copies" / "ovn-nb.ovsdb").touch()
    (tmp_path / "versions.json").write_text(wire.dumps(VERSIONS, sort_keys=True))
    retention = RetentionInput(rules=RetentionRules(last=3, weekly=4), backups=("zero",))
    (tmp_path / "retention.json").write_text(wire.dumps(retention, sort_keys=True))
    settings = RunSettings(
        name="one",
        cloud="cloud",
        policy="daily",
        source="http://10.0.0.7:9300/backup",
        inputs=str(tmp_path),
        copies=str(tmp_path / "copies"),
        secrets=str(tmp_path / "secrets"),
        token_file=str(tmp_path / "token"),
    )

    began = datetime(2026, 11, 28, 3, tzinfo=UTC)
    found = plan(from_environment(RunSettings, to_environment(settings)), began)

    assert (found.versions, found.retention) == (VERSIONS, retention)
    assert [part.name for part in found.parts if part.again] == ["database"]
    assert [part.filename for part in found.parts] == [
        "mariadb.mbstream", "tables.json", "ovn-nb.ovsdb", "secrets.tar", "resources.json",
        "state.json",
    ]  # fmt: skip


def test_the_manifest_names_every_part_by_its_file(tmp_path: Path) -> None:
    outcome = RunOutcome(steps=(StepResult("state", 2, 0.1, "aa", "s1"),))
    target = tmp_path / "manifest"
    with target.open("wb") as sink:
        manifest(work(tmp_path), outcome, KEY, "key-1").write(sink)

    assert json.loads(target.read_text())["parts"][0]["filename"] == "state.json"

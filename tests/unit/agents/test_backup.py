"""The backup agent against a stand-in for restic that keeps snapshots as plain files."""

import json
import stat
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typing_extensions import override

from stackroles.agents.backup import Plan, Result, database, manifest, run, surplus
from stackroles.agents.repository import Part, Restic, Step, StepFailed, directory, file

RESTIC = """#!{python}
import hashlib, json, os, pathlib, sys
args = [a for a in sys.argv[1:] if a != "--no-cache"]
store = pathlib.Path({store!r})
fail = store / ("fail-" + args[0])
if fail.exists():
    code, words = fail.read_text().split(" ", 1)
    sys.stderr.write(words)
    sys.exit(int(code))
if args[0] == "cat":
    sys.exit(0 if (store / "config").exists() else 10)
if args[0] == "init":
    (store / "config").touch()
elif args[0] == "backup":
    data = sys.stdin.buffer.read()
    name = hashlib.sha256(data).hexdigest()[:8]
    tags = [args[i + 1] for i, a in enumerate(args) if a == "--tag"]
    (store / name).write_bytes(data)
    with (store / "log").open("a") as log:
        log.write(json.dumps({{"id": name, "tags": tags, "time": str(len(tags))}}) + "\\n")
    print(json.dumps({{"message_type": "summary", "snapshot_id": name, "data_added_packed": 7}}))
elif args[0] == "dump":
    data = (store / args[1]).read_bytes()
    sys.stdout.buffer.write(data + (b"x" if (store / "rot").exists() else b""))
elif args[0] == "snapshots":
    print(json.dumps([json.loads(l) for l in (store / "log").read_text().splitlines()]))
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    program = tmp_path / "restic"
    repository = tmp_path / "store"
    repository.mkdir()
    program.write_text(RESTIC.format(python=sys.executable, store=str(repository)))
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return repository


def restic(store: Path) -> Restic:
    return Restic(str(store.parent / "restic"), ("set=one", "policy=daily"), "cloud")


def work(tmp_path: Path) -> Plan:
    secrets = tmp_path / "secrets"
    (secrets / "keys").mkdir(parents=True)
    (secrets / "keys" / "0").write_text("abc")
    (tmp_path / "state.json").write_text("{}")
    parts = (
        Part("secrets", "secrets.tar", directory(secrets)),
        Part("state", "state.json", file(tmp_path / "state.json")),
    )
    return Plan("one", "cloud", "daily", {"operator": "0.1.0"}, parts, 3)


def test_a_set_is_verified_and_ends_with_its_manifest(store: Path, tmp_path: Path) -> None:
    result = run(work(tmp_path), restic(store))

    assert (result.ok, result.verified, result.message) == (True, True, "")
    assert [step.name for step in result.steps] == ["secrets", "state", "manifest"]
    written = json.loads((store / str(result.snapshot)).read_text())
    assert [part["filename"] for part in written["parts"]] == ["secrets.tar", "state.json"]
    assert written["versions"] == {"operator": "0.1.0"}


def test_a_key_that_does_not_open_the_repository_is_named(store: Path, tmp_path: Path) -> None:
    (store / "fail-cat").write_text("12 Fatal: wrong password or no key found")

    result = run(work(tmp_path), restic(store))

    assert (result.ok, result.reason) == (False, "WrongEncryptionKey")
    assert result.steps[-1].name == "repository"


def test_a_full_volume_fails_the_part_that_met_it(store: Path, tmp_path: Path) -> None:
    (store / "fail-backup").write_text("1 write /repository/data/tmp: no space left on device")

    result = run(work(tmp_path), restic(store))

    assert (result.ok, result.reason, result.steps[-1].name) == (False, "RepositoryFull", "secrets")


def test_a_part_that_reads_back_differently_is_no_backup(store: Path, tmp_path: Path) -> None:
    (store / "rot").touch()

    result = run(work(tmp_path), restic(store))

    assert (result.ok, result.verified, result.steps[-1].name) == (False, False, "verify")
    assert "part=manifest" not in (store / "log").read_text()


def test_a_failed_repository_check_is_no_backup(store: Path, tmp_path: Path) -> None:
    (store / "fail-check").write_text("1 Fatal: repository contains errors")

    result = run(work(tmp_path), restic(store))

    assert (result.ok, result.message) == (False, "Fatal: repository contains errors")


POSITION = "0f4b8c1e-6f0a-11f0-9b7a-0b3f8a3b2c1d:7929"
INFO = b"XBSTCK01\0P\x1a\0\0\0mariadb_backup_galera_info" + b"\0" * 20 + POSITION.encode() + b"\n"


class Member(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    chunks: tuple[bytes, ...] = ()
    whole = True

    @override
    def log_message(self, format: str, *args: object) -> None:
        return

    def do_POST(self) -> None:
        self.close_connection = True
        if self.headers["Authorization"] != "Bearer token":
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
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
    part = Part("database", "mariadb.mbstream", database(member, "token", None))

    step, facts, stored = restic(store).save(part)

    assert (step.bytes, facts, stored) == (404 + len(INFO), {"position": POSITION}, 7)


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
    part = Part("database", "mariadb.mbstream", database(member, "token", None))

    with pytest.raises(StepFailed):
        restic(store).save(part)

    assert not (store / "log").exists()


def test_a_wrong_token_is_told(store: Path, member: str) -> None:
    with pytest.raises(StepFailed, match="401"):
        restic(store).save(Part("database", "m", database(member, "other", None)))


def snapshot(name: str, part: str, when: str) -> dict[str, object]:
    return {
        "id": f"{name}-{part}",
        "time": when,
        "tags": ["policy=p", f"set={name}", f"part={part}"],
    }


def test_retention_counts_verified_sets_and_takes_older_unfinished_ones_along() -> None:
    snapshots = [
        snapshot("old", "database", "1"), snapshot("old", "manifest", "2"),
        snapshot("broken", "database", "3"),
        snapshot("kept", "database", "4"), snapshot("kept", "manifest", "5"),
        snapshot("running", "database", "6"),
    ]  # fmt: skip

    assert surplus(snapshots, "p", 1) == ["old-database", "old-manifest", "broken-database"]


@pytest.mark.parametrize("keep", [2, 5])
def test_the_last_verified_sets_are_never_dropped(keep: int) -> None:
    snapshots = [snapshot("a", "manifest", "1"), snapshot("b", "manifest", "2")]

    assert surplus(snapshots, "p", keep) == []
    assert surplus(snapshots, "other", 1) == []


def test_a_result_fits_a_termination_message(tmp_path: Path) -> None:
    result = Result(message="x" * 9000, steps=[Step("database", sha256="a" * 64)] * 8)

    assert len(result.text().encode()) <= 4096


def test_the_manifest_names_every_part_by_its_file(tmp_path: Path) -> None:
    result = Result(steps=[Step("state", 2, 0.1, "aa", "s1")])
    target = tmp_path / "manifest"
    with target.open("wb") as sink:
        manifest(work(tmp_path), result).write(sink)

    assert json.loads(target.read_text())["parts"][0]["filename"] == "state.json"

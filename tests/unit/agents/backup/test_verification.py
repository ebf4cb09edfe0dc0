"""A verification of a stored set, around stand-ins for restic and the database's programs."""

import hashlib
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.backup.comparison import Comparison, FoundTable, compare
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import StepResult, Versions
from stackroles.agents.backup.reader_protocol import UNSIGNED_VERSION, Manifest, ManifestPart
from stackroles.agents.backup.repository import Restic, StepFailed
from stackroles.agents.backup.verification import Verification
from stackroles.agents.backup.verification_protocol import (
    Level,
    VerificationOutcome,
    VerificationSettings,
)
from stackroles.agents.galera import physical_copy
from stackroles.agents.galera.tables_protocol import TableRecord, Tables
from tests.support.alarm import alarm
from tests.support.binaries import ROOT
from tests.support.fake_restic import install_restic

NAMES = "SELECT table_schema, table_name, engine FROM"
COPY = b"page" * 50_000
VERSIONS = Versions(operator="0.1.0", release="2025.1", images={"ovn": "r/ovn:1"})
PROGRAMS = {"server": "mariadbd", "backup": "mariadb-backup", "mbstream": "mbstream"}
# Of the columns that the server of `answers` has.
COLUMNS = ["nova", "idle", "id", "int(11)", None]
DEFINITION = hashlib.sha256(json.dumps(COLUMNS[2:]).join("[]").encode()).hexdigest()
IDLE = TableRecord(
    schema="nova",
    name="idle",
    engine="InnoDB",
    definition=DEFINITION,
    comparable=True,
    rows=3,
    checksum="4711",
)
BUSY = replace(IDLE, name="busy", definition="", comparable=False, rows=None, checksum=None)
VERSION = "11.8.3-MariaDB"
TABLES = Tables(server=VERSION, tables=(BUSY, IDLE))


@pytest.fixture(autouse=True)
def _ends() -> Iterator[None]:
    with alarm(180):
        yield


class World:
    """A repository with one set, and the programs of a database."""

    def __init__(self, root: Path) -> None:
        self.root, self.control = root, root / "control"
        self.store = install_restic(root)
        self.parts: list[ManifestPart] = []
        for path in (self.control, root / "bin", root / "scratch", self.store / "locks"):
            path.mkdir()
        (self.store / "config").touch()
        _, _, program = (ROOT / "tests/support/fake_mariadbd.py").read_text().partition("\n")
        for name in PROGRAMS.values():
            (root / "bin" / name).write_text(f"#!{sys.executable} -SE\n{program}")
            (root / "bin" / name).chmod(0o755)
        (self.control / "status.json").write_text("{}")
        (self.control / "prepare-log").write_text("completed OK!")
        self.answer()
        self.put("database", "mariadb.mbstream", COPY)
        self.put("tables", "tables.json", wire.dumps(TABLES).encode())
        self.finish()

    def answer(self, **changes: Any) -> None:
        """Have the server answer; a statement is found by a part of it."""
        given = {
            NAMES: [
                ["nova", "busy", "InnoDB"],
                ["nova", "idle", "InnoDB"],
            ],
            "information_schema.columns": [COLUMNS],
            "CHECK TABLE": [["nova.x", "check", "status", "OK"]],
            "COUNT(*) FROM `nova`.`idle`": [["3"]],
            "CHECKSUM TABLE": [["nova.idle", "4711"]],
            "VERSION()": [[VERSION]],
        }
        (self.control / "answers.json").write_text(json.dumps({**changes, **given, **changes}))

    def put(self, name: str, filename: str, data: bytes) -> None:
        """Store a part."""
        snapshot, digest = f"s-{name}", hashlib.sha256(data).hexdigest()
        (self.store / snapshot).write_bytes(data)
        step = StepResult(name, len(data), 0.1, digest, snapshot)
        self.parts = [part for part in self.parts if part.name != name]
        self.parts.append(ManifestPart.of(step, filename))

    def finish(self) -> None:
        """Store the manifest."""
        manifest = Manifest(
            api_version=UNSIGNED_VERSION,
            name="one",
            cloud="demo",
            policy="daily",
            versions=VERSIONS,
            position="u:7",
            parts=tuple(self.parts),
        )
        (self.store / "m").write_text(wire.dumps(manifest))
        held = [(part.snapshot, part.name) for part in self.parts] + [("m", "manifest")]
        lines = [
            json.dumps(
                {"id": snapshot, "tags": ["set=one", "policy=daily", f"part={name}"], "time": "1"}
            )
            for snapshot, name in held
        ]
        (self.store / "log").write_text("\n".join(lines) + "\n")

    def run(self, level: Level = Level.DATABASE, **changes: Any) -> VerificationOutcome:
        programs = {field: str(self.root / "bin" / name) for field, name in PROGRAMS.items()}
        arguments: dict[str, Any] = {
            "name": "one",
            "policy": "daily",
            "level": level,
            "percent": 10,
            "scratch": str(self.root / "scratch"),
            "defaults": str(self.root / "my.cnf"),
            "socket": str(self.root / "sock"),
            **programs,
            **changes,
        }
        progress = Progress(write=lambda _: None)
        restic = Restic(str(self.root / "restic"), progress=progress)
        return Verification(VerificationSettings(**arguments), restic, progress).run()

    def asked(self) -> list[str]:
        return (self.root / "asked").read_text().split()


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    made = World(tmp_path)
    monkeypatch.setenv("FAKE_CONTROL", str(made.control))
    return made


def test_a_copy_that_is_as_it_was_taken_passes(world: World) -> None:
    outcome = world.run()

    assert (outcome.ok, outcome.damaged, outcome.message) == (True, False, "")
    assert (outcome.level, outcome.set) == (Level.DATABASE, "one")
    assert (outcome.compared, outcome.skipped, outcome.different) == (1, 1, 0)
    (start,) = (world.control / "started").read_text().splitlines()
    arguments = json.loads(start)["arguments"]
    assert arguments[0] == f"--defaults-file={world.root}/my.cnf"
    assert {"--skip-networking", "--wsrep-on=OFF"} <= set(arguments)
    queries = (world.control / "queries").read_text().splitlines()
    assert [sql for sql in queries if sql.startswith("CHECK TABLE")] == [
        "CHECK TABLE `nova`.`busy`", "CHECK TABLE `nova`.`idle`"
    ]  # fmt: skip


def test_a_set_without_a_record_is_verified_to_that_extent(world: World) -> None:
    world.parts = [part for part in world.parts if part.name != "tables"]
    world.finish()

    outcome = world.run()

    assert (outcome.ok, outcome.compared, outcome.skipped) == (True, 0, 2)
    assert outcome.message == (
        "No rows were compared: the set was taken by a version that did not record tables."
    )


@pytest.mark.parametrize(
    ("answers", "name"),
    [
        ({"COUNT(*) FROM `nova`.`idle`": [["2"]]}, "2 rows in the copy, 3 when it was taken"),
        ({"CHECKSUM TABLE": [["x", "1"]]}, "its 3 rows have another checksum"),
        (
            {"information_schema.columns": [["nova", "idle", "id", "text", None]]},
            "its columns are not those that it had",
        ),
        ({NAMES: [["nova", "busy", "InnoDB"]]}, "it is not in the copy"),
        (
            {"CHECK TABLE `nova`.`idle`": [["x", "check", "error", "Index 'PRIMARY' is bad"]]},
            "Index 'PRIMARY' is bad",
        ),
    ],
)
def test_a_table_that_differs_condemns_the_set(
    world: World, answers: dict[str, Any], name: str
) -> None:
    world.answer(**answers)

    outcome = world.run()

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, True, "SetDamaged")
    assert outcome.different == 1
    assert outcome.names[0].startswith("nova.idle: ")
    assert name in outcome.names[0]
    assert "Do not restore this set" in outcome.message


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("mbstream-fails", "wrong chunk magic", "mbstream ended with 1: wrong chunk magic"),
        ("prepare-log", "corrupted", "--prepare ended with 0, last output: corrupted"),
        ("refuse", "[ERROR] corrupt page", "does not start with the copy: it ended with 7"),
    ],
)
def test_a_copy_that_no_server_can_use_condemns_the_set(
    world: World, file: str, content: str, words: str
) -> None:
    (world.control / file).write_text(content)

    outcome = world.run()

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, True, "SetDamaged")
    assert words in outcome.message


@pytest.mark.parametrize(
    "rows",
    [
        [["x", "check", "note", "The storage engine for the table doesn't support check"]],
        [["x", "check", "error", 'Table rebuild required. Please do "ALTER TABLE `x` FORCE"']],
        [["x", "check", "error", 'Table upgrade required. Please do "REPAIR TABLE `x`"']],
    ],
)
def test_a_table_that_cannot_be_checked_does_not_condemn_the_set(
    world: World, rows: list[list[str]]
) -> None:
    world.answer(**{"CHECK TABLE `nova`.`busy`": rows})

    outcome = world.run()

    assert (outcome.ok, outcome.compared, outcome.message) == (True, 1, "")


def test_a_table_whose_rows_are_elsewhere_is_not_checked(world: World) -> None:
    tables = [["nova", "busy", "FEDERATED"], ["nova", "idle", "InnoDB"], ["nova", "lost", None]]
    refused = [["x", "check", "Error", "Unable to connect to foreign data source"]]
    world.answer(**{NAMES: tables, "CHECK TABLE `nova`.`busy`": refused})

    assert world.run().ok
    queries = (world.control / "queries").read_text().splitlines()
    assert [sql for sql in queries if sql.startswith("CHECK TABLE")] == [
        "CHECK TABLE `nova`.`idle`", "CHECK TABLE `nova`.`lost`"
    ]  # fmt: skip


def test_a_table_that_does_not_open_condemns_the_set(world: World) -> None:
    bad = [["x", "check", "Error", "Table is corrupted"], ["x", "check", "error", "Corrupt"]]
    tables = [["nova", "busy", None], ["nova", "idle", "InnoDB"]]
    world.answer(**{NAMES: tables, "CHECK TABLE `nova`.`busy`": bad})

    outcome = world.run()

    assert (outcome.damaged, outcome.names) == (True, ("nova.busy: Table is corrupted; Corrupt",))


@pytest.mark.parametrize("code", [1969, 1205, 1317, 1041, 1021])
def test_a_statement_that_runs_into_a_limit_says_nothing_of_the_set(
    world: World, code: int
) -> None:
    world.answer(**{"CHECK TABLE `nova`.`idle`": f"{code} a limit"})

    outcome = world.run()

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "VerificationBrokeOff")
    assert "a limit" in outcome.message


def test_the_cloud_s_limits_are_not_those_of_the_server_on_the_copy(world: World) -> None:
    world.run()

    (start,) = (world.control / "started").read_text().splitlines()
    assert {"--max-statement-time=0", "--innodb-log-file-size=96M"} <= set(
        json.loads(start)["arguments"]
    )


@pytest.mark.parametrize(
    ("file", "content"), [("prepare-log", "Unsupported redo log"), ("refuse", "[ERROR] redo log")]
)
@pytest.mark.parametrize("recorded", [True, False])
def test_a_copy_of_another_series_that_does_not_open_says_nothing_of_the_set(
    world: World, file: str, content: str, recorded: bool
) -> None:
    if recorded:
        older = replace(TABLES, server="10.11.6-MariaDB")
        world.put("tables", "tables.json", wire.dumps(older).encode())
    else:
        world.parts = [part for part in world.parts if part.name != "tables"]
        world.put("database", "mariadb.mbstream", b"server_version = 10.11.6-MariaDB\n")
        (world.control / "unpacked").write_text("xtrabackup_info")
    world.finish()
    (world.control / file).write_text(content)

    outcome = world.run()

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "VerificationBrokeOff")
    assert "taken by MariaDB 10.11.6-MariaDB, which the server here, 11.8.3" in outcome.message
    assert content in outcome.message


def test_a_copy_of_another_series_that_opens_passes_and_says_so(world: World) -> None:
    older = replace(TABLES, server="10.11.6-MariaDB")
    world.put("tables", "tables.json", wire.dumps(older).encode())
    world.finish()
    world.answer(**{"CHECKSUM TABLE": [["x", "1"]]})

    outcome = world.run()

    assert (outcome.ok, outcome.compared) == (True, 1)
    assert outcome.message.startswith("The set was taken by MariaDB 10.11.6-MariaDB, and opened")


def test_a_server_that_a_table_kills_condemns_the_set(world: World) -> None:
    world.answer(**{"CHECK TABLE `nova`.`idle`": 6})

    outcome = world.run()

    assert (outcome.ok, outcome.damaged) == (False, True)
    assert "broke off with the copy: it ended with 6: [ERROR] mysqld got signal" in outcome.message


def test_a_server_that_is_killed_from_outside_says_nothing_of_the_set(world: World) -> None:
    world.answer(**{"CHECK TABLE `nova`.`idle`": -9})

    outcome = world.run()

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "VerificationBrokeOff")


def test_a_server_that_does_not_get_on_says_nothing_of_the_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(physical_copy, "QUIET_SECONDS", 0.5)
    (world.control / "status.json").unlink()

    outcome = world.run()

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "VerificationBrokeOff")


@pytest.mark.parametrize("level", Level)
def test_a_part_that_reads_back_differently_condemns_the_set(world: World, level: Level) -> None:
    (world.store / "rot").touch()

    outcome = world.run(level)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, True, "PartDamaged")
    assert not (world.control / "started").exists()


@pytest.mark.parametrize("level", Level)
def test_a_repository_that_does_not_answer_says_nothing_of_the_set(
    world: World, level: Level
) -> None:
    (world.store / "fail-snapshots").write_text("1 dial tcp: connection refused")

    outcome = world.run(level)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "StepFailed")
    assert "connection refused" in outcome.message


def test_a_set_that_is_gone_is_named(world: World) -> None:
    outcome = world.run(name="two")

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "SetMissing")


def test_the_repository_is_checked_and_every_part_read(world: World) -> None:
    world.put("state", "state.json", b"{}")
    world.finish()
    (world.store / "locks" / "another").touch()
    (world.store / "read-only").touch()

    outcome = world.run(Level.REPOSITORY)

    assert (outcome.ok, outcome.message) == (True, "")
    assert (world.root / "checked").read_text() == "--read-data-subset=10%"
    assert world.asked()[-4:] == ["check", "dump", "dump", "dump"]
    assert not (world.control / "started").exists()


def test_a_repository_whose_check_fails_is_no_good(world: World) -> None:
    (world.store / "fail-check").write_text("1 Fatal: repository contains errors")

    outcome = world.run(Level.REPOSITORY)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "StepFailed")
    assert "complains of the repository: Fatal: repository contains errors" in outcome.message
    assert "All parts of this set read as they were written" in outcome.message
    assert world.asked()[-2:] == ["dump", "dump"]


@pytest.mark.parametrize("level", Level)
def test_a_part_that_restic_cannot_read_condemns_the_set(world: World, level: Level) -> None:
    (world.store / "breaks").touch()

    outcome = world.run(level)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, True, "PartDamaged")
    assert "cannot be read, while the repository answers: ciphertext" in outcome.message
    assert not (world.control / "started").exists()


@pytest.mark.parametrize("level", Level)
@pytest.mark.parametrize(
    "failure",
    ["1 dump: Access Denied.", "1 open data/ab: permission denied", "2 runtime: out of memory",
     "11 repository is already locked"],
)  # fmt: skip
def test_a_reader_that_is_not_let_in_says_nothing_of_the_set(
    world: World, level: Level, failure: str
) -> None:
    (world.store / "fail-dump").write_text(failure)

    outcome = world.run(level)

    assert (outcome.ok, outcome.damaged) == (False, False)
    assert failure.partition(" ")[2] in outcome.message


def test_a_manifest_that_restic_cannot_read_condemns_the_set(world: World) -> None:
    (world.store / "fail-dump").write_text("1 Fatal: id 4711 not found in repository")

    outcome = world.run()

    assert (outcome.damaged, outcome.reason) == (True, "PartDamaged")
    assert outcome.message.startswith("manifest cannot be read")


@pytest.mark.parametrize("level", Level)
def test_a_reading_that_fails_once_says_nothing_of_the_set(
    world: World, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.store / "breaks").touch()
    snapshots = Restic.snapshots

    def answer(restic: Restic, step: str) -> list[dict[str, Any]]:
        if step == "repository":
            (world.store / "breaks").unlink(missing_ok=True)
        return snapshots(restic, step)

    monkeypatch.setattr(Restic, "snapshots", answer)

    outcome = world.run(level)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "StepFailed")
    assert outcome.message == "ciphertext verification failed"


@pytest.mark.parametrize("level", Level)
def test_a_repository_that_goes_away_while_it_is_read_says_nothing_of_the_set(
    world: World, level: Level, monkeypatch: pytest.MonkeyPatch
) -> None:
    (world.store / "breaks").touch()

    def failing(restic: Restic, step: str) -> Any:
        raise StepFailed(step, "dial tcp: connection refused", complained=True)

    snapshots = Restic.snapshots
    monkeypatch.setattr(
        Restic,
        "snapshots",
        lambda restic, step: (failing if step == "repository" else snapshots)(restic, step),
    )

    outcome = world.run(level)

    assert (outcome.ok, outcome.damaged, outcome.reason) == (False, False, "StepFailed")


FOUND = FoundTable(definition=DEFINITION, rows=3, checksum="4711")


@pytest.mark.parametrize(
    ("recorded", "found", "version", "expected"),
    [
        (TABLES, {("nova", "idle"): FOUND}, VERSION, (1, 1, ())),
        # Made only after the copy.
        (TABLES, {("nova", "idle"): FOUND, ("nova", "new"): FOUND}, VERSION, (1, 2, ())),
        # Another series may count checksums in another way.
        (TABLES, {("nova", "idle"): replace(FOUND, checksum="1")}, "12.1.1", (1, 1, ())),
        (TABLES, {("nova", "idle"): replace(FOUND, checksum="4711")}, "11.8.9", (1, 1, ())),
        (
            TABLES,
            {("nova", "idle"): replace(FOUND, rows=4)},
            "12.1.1",
            (1, 1, ("nova.idle: 4 rows in the copy, 3 when it was taken",)),
        ),
        (
            replace(TABLES, tables=(replace(BUSY, definition="aa"),)),
            {},
            VERSION,
            (0, 1, ("nova.busy: it is not in the copy",)),
        ),
        (
            Tables(server="", missing="why", tables=()),
            {("nova", "idle"): FOUND},
            VERSION,
            (0, 1, ()),
        ),
    ],
)
def test_a_copy_is_compared_with_what_is_certain(
    recorded: Tables, found: Any, version: str, expected: tuple[int, int, tuple[str, ...]]
) -> None:
    compared, skipped, different = expected

    assert compare(recorded, found, version) == Comparison(
        compared=compared, skipped=skipped, different=different
    )

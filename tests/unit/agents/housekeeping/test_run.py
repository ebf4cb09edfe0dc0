"""A housekeeping run: a report changes nothing, a purge is bounded, and what fails is reported."""

import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from stackroles.agents import wire
from stackroles.agents.galera.mariadb import SqlError
from stackroles.agents.housekeeping import run as program
from stackroles.agents.housekeeping.counting import Age, Counts
from stackroles.agents.housekeeping.protocol import (
    DeletedRows,
    HousekeepingOutcome,
    HousekeepingPlan,
    Mode,
    Removal,
)
from stackroles.agents.housekeeping.run import AT_ONCE, Tools, run, termination_message

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
ROWS = DeletedRows(database="db", condition="deleted_at < {before}", tables=("images",))
PURGE = Removal(words=("tool", "purge", "--age", "{days}", "--max_rows", "{batch}"))
ARCHIVE = Removal(words=("tool", "archive", "--before", "{before}"), more=(1,))
PLAN = HousekeepingPlan(url="URL", days=90, seconds=60, batch=10, rows=(ROWS,), removals=(PURGE,))


class World:
    """A table with rows, a tool that removes a batch of them, and a clock that it moves."""

    def __init__(self, rows: int, *, batch: int = 10, takes: float = 1.0) -> None:
        self.rows, self.batch, self.takes = rows, batch, takes
        self.time, self.stop_after = 0.0, -1
        self.commands: list[list[str]] = []
        self.fails: tuple[int, str] | None = None
        self.refuses: SqlError | None = None
        self.ages: list[int] = []

    def count(self, _: Iterable[DeletedRows], age: Age) -> Counts:
        self.ages.append(age.days)
        if self.refuses is not None:
            raise self.refuses
        return {"db.images": self.rows} if self.rows else {}

    def execute(self, words: Sequence[str]) -> tuple[int, str]:
        self.commands.append(list(words))
        self.time += self.takes
        if self.fails is not None:
            return self.fails
        removed = min(self.rows, self.batch)
        self.rows -= removed
        return (int(bool(removed)) if words[1] == "archive" else 0), ""

    def run(self, mode: Mode, plan: HousekeepingPlan = PLAN) -> HousekeepingOutcome:
        tools = Tools(
            count=self.count,
            execute=self.execute,
            seconds=lambda: self.time,
            stopped=lambda: len(self.commands) == self.stop_after,
        )
        return run(plan, mode, NOW, tools)


def test_a_report_counts_and_runs_nothing() -> None:
    world = World(25)

    outcome = world.run(Mode.REPORT)

    assert (outcome.ok, outcome.rows, outcome.left, outcome.days) == (True, 25, 25, 90)
    assert outcome.message == "db.images 25"
    assert world.commands == []
    assert world.ages == [90]


def test_a_purge_removes_batch_after_batch() -> None:
    world = World(25)

    outcome = world.run(Mode.PURGE)

    assert (outcome.ok, outcome.rows, outcome.left) == (True, 25, 0)
    assert world.commands == [["tool", "purge", "--age", "90", "--max_rows", "10"]] * 3
    assert outcome.seconds == 3.0


def test_a_tool_that_tells_is_asked_until_nothing_is_left() -> None:
    world = World(25)
    plan = HousekeepingPlan(
        url="URL", days=90, seconds=60, batch=10, rows=(ROWS,), removals=(ARCHIVE,)
    )

    outcome = world.run(Mode.PURGE, plan)

    assert outcome.left == 0
    assert len(world.commands) == 4
    assert world.commands[0][-1] == "2026-01-31 12:30:00"


def test_nothing_is_run_where_nothing_is_deleted() -> None:
    world = World(0)

    assert world.run(Mode.PURGE).ok
    assert world.commands == []


def test_no_batch_begins_when_the_time_is_up() -> None:
    world = World(100, takes=30.0)

    outcome = world.run(Mode.PURGE)

    assert len(world.commands) == 2
    assert (outcome.ok, outcome.rows, outcome.left) == (True, 20, 80)
    assert "the next run goes on" in outcome.message


def test_a_run_that_is_asked_to_end_begins_no_further_batch() -> None:
    world = World(100)
    world.stop_after = 1

    outcome = world.run(Mode.PURGE)

    assert (outcome.ok, outcome.rows, outcome.left) == (True, 10, 90)


def test_rows_that_the_tool_leaves_are_reported() -> None:
    world = World(5, batch=0)

    outcome = world.run(Mode.PURGE)

    assert (outcome.ok, outcome.rows, outcome.left) == (True, 0, 5)
    assert "the tool leaves them" in outcome.message


def test_a_tool_that_fails_is_named_with_its_output() -> None:
    world = World(5)
    world.fails = 2, "Must supply a positive value for max_rows\n"

    outcome = world.run(Mode.PURGE)

    assert not outcome.ok
    assert outcome.left == 5
    assert "exit code 2: Must supply a positive value" in outcome.message


def test_a_database_that_refuses_is_named() -> None:
    world = World(5)
    world.refuses = SqlError("Access denied for user 'nova'")

    outcome = world.run(Mode.REPORT)

    assert not outcome.ok
    assert "Access denied" in outcome.message


def test_rows_that_one_transaction_would_remove_are_left_where_they_are_too_many() -> None:
    at_once = DeletedRows(
        database="db", condition="deleted_at < {before}", tables=("images",), at_once=True
    )
    plan = HousekeepingPlan(
        url="URL", days=90, seconds=60, batch=10, rows=(at_once,), removals=(PURGE,)
    )
    world = World(AT_ONCE + 1)

    outcome = world.run(Mode.PURGE, plan)

    assert not outcome.ok
    assert world.commands == []
    assert re.search(rf"db.images has {AT_ONCE + 1} rows .* by hand", outcome.message)


def test_an_outcome_fits_a_termination_message() -> None:
    outcome = HousekeepingOutcome(mode=Mode.PURGE, days=90, message='"\n' * 5000)

    text = termination_message(outcome)

    assert len(text.encode()) < 4096
    assert wire.loads(HousekeepingOutcome, text).mode is Mode.PURGE


class TestProgram:
    """The program itself, with a tool and a plan as it finds them in its pod."""

    @pytest.fixture
    def result(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        counts = [{"db.images": 3}, {}]
        monkeypatch.setattr(program, "_count", lambda url: lambda rows, age: counts.pop(0))
        tool = tmp_path / "tool.py"
        tool.write_text("import sys; print('removes', sys.argv[1:])")
        plan = HousekeepingPlan(
            url="DB_URL", days=90, seconds=60, batch=10, rows=(ROWS,),
            removals=(Removal(words=(sys.executable, str(tool), "{days}")),),
        )  # fmt: skip
        (tmp_path / "plan.json").write_text(wire.dumps(plan))
        monkeypatch.setenv("HOUSEKEEPING_PLAN", str(tmp_path / "plan.json"))
        monkeypatch.setenv("HOUSEKEEPING_RESULT", str(tmp_path / "result"))
        monkeypatch.setenv("DB_URL", "mysql+pymysql://nova:a%2Fb@host:3306/nova")
        return tmp_path / "result"

    @pytest.mark.parametrize(("mode", "left"), [("Report", 3), ("Purge", 0)])
    def test_it_leaves_its_outcome(
        self, result: Path, capfd: pytest.CaptureFixture[str], mode: str, left: int
    ) -> None:
        assert program.main([mode]) == 0

        found = json.loads(result.read_text())
        assert (found["ok"], found["rows"], found["left"]) == (True, 3, left)
        assert ("removes ['90']" in capfd.readouterr().out) is (mode == "Purge")

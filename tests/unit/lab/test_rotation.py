"""Long cases: which one a commit runs, and the record of their last runs."""

import re
from pathlib import Path

import pytest

from lab import rotation
from lab.errors import LabError
from lab.rotation import LastRun

HEAD = f"# Title\n\n| {' | '.join(rotation.COLUMNS)} |\n|---|---|---|---|---|---|\n"
RUN = LastRun("2026-01-02", "abc1234", 61.4, "3 passed, 0 failed")
ROW = "| idle | nothing is written | 2026-01-02 | abc1234 | 61 | 3 passed, 0 failed |\n"


def test_a_commit_always_runs_the_same_case() -> None:
    assert rotation.chosen("abc", ["a", "b", "c"]) == rotation.chosen("abc", ["c", "b", "a"])


def test_every_case_has_its_turn() -> None:
    names = list(rotation.cases())
    assert {rotation.chosen(str(number), names) for number in range(200)} == set(names)


def test_every_case_says_in_one_line_what_it_shows() -> None:
    said = rotation.cases()
    assert said
    assert all(re.fullmatch(r"[^|]+\.", line) for line in said.values()), said


def test_a_case_is_named_by_its_file(tmp_path: Path) -> None:
    (tmp_path / "test_one_thing.py").write_text('"""It works.\n\nMore."""\n')
    (tmp_path / "helper.py").write_text('"""No case."""\n')
    assert rotation.cases(tmp_path) == {"one_thing": "It works."}


def test_a_first_run_is_added_below_the_others() -> None:
    once = rotation.recorded(HEAD + "\nThe end.\n", "idle", "nothing is written", RUN)
    assert once == HEAD + ROW + "\nThe end.\n"
    twice = rotation.recorded(once, "pool", "it goes", RUN)
    assert twice.splitlines()[5].startswith("| pool | it goes |")


def test_a_later_run_takes_the_place_of_the_one_before() -> None:
    later = LastRun("2026-02-03", "def5678+", 70, "2 passed, 1 failed")
    text = rotation.recorded(HEAD + ROW + ROW.replace("idle", "pool"), "idle", "what", later)
    assert text == (
        HEAD + "| idle | what | 2026-02-03 | def5678+ | 70 | 2 passed, 1 failed |\n"
        + ROW.replace("idle", "pool")
    )  # fmt: skip


def test_a_record_without_its_table_is_refused() -> None:
    with pytest.raises(LabError, match="no table with the head"):
        rotation.recorded("# Title\n", "idle", "what", RUN)


def test_the_record_names_only_cases_that_there_are() -> None:
    rows = [rotation.ROW.match(line) for line in rotation.RECORD.read_text().splitlines()]
    named = {row["case"] for row in rows if row and row["case"] != "case"}
    assert named <= rotation.cases().keys()

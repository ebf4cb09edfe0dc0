"""Long cases: which one a commit runs, and the record of their last runs."""

import re
from pathlib import Path

import pytest

from lab import budgets, rotation
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
    reasons = rotation.cases()
    assert reasons
    assert all(re.fullmatch(r"[^|]+\.", line) for line in reasons.values()), reasons


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
    assert named <= rotation.cases().keys() | rotation.areas().keys()


def test_every_row_of_the_record_can_be_read() -> None:
    rows = [line for line in rotation.RECORD.read_text().splitlines() if line.startswith("| ")]
    assert len(rotation.last_runs(rotation.RECORD.read_text())) == len(rows) - 1


def test_a_commit_takes_the_areas_that_fit_and_each_area_has_its_turn() -> None:
    seconds = {"a": 100.0, "b": 250.0, "c": 400.0, "d": 900.0}
    taken = {str(number): rotation.chosen_areas(str(number), seconds, 500) for number in range(200)}
    assert taken["7"] == rotation.chosen_areas("7", dict(reversed(seconds.items())), 500)
    assert {area for areas in taken.values() for area in areas} == set(seconds)
    alone = [areas for areas in taken.values() if len(areas) == 1]
    assert all(
        sum(seconds[area] for area in areas) <= 500
        for areas in taken.values()
        if areas not in alone
    )


def test_every_file_of_end_to_end_tests_is_core_area_or_long_case() -> None:
    files = {file.stem.removeprefix("test_") for file in rotation.E2E.glob("test_*.py")}
    assert set(rotation.CORE) <= files
    assert rotation.areas().keys() == files - set(rotation.CORE)
    assert not rotation.areas().keys() & rotation.cases().keys()


def test_every_area_says_in_one_line_what_it_shows() -> None:
    assert all(re.fullmatch(r"[^|]+\.", line) for line in rotation.areas().values())


def test_every_area_on_record_fits_into_its_slice() -> None:
    budget = budgets.load().slices["areas"]
    runs = rotation.last_runs(rotation.RECORD.read_text())
    assert {
        name for name in rotation.areas() if name in runs and runs[name].seconds > budget
    } == set()


def test_what_is_left_out_is_named_with_its_last_run() -> None:
    names = [*rotation.areas(), *rotation.cases()]
    text = rotation.left_out(names[2:], {names[0]: RUN})
    head, first, second = text.splitlines()
    assert head.startswith("left out this time")
    assert re.fullmatch(rf"{names[0]} +2026-01-02  abc1234  61 s  3 passed, 0 failed", first)
    assert re.fullmatch(rf"{names[1]} +none", second)
    assert rotation.left_out(names, {}) == ""


def test_a_part_of_the_core_is_never_the_long_case_of_its_name() -> None:
    for name in (*rotation.CORE, *rotation.areas()):
        assert Path(rotation.path(name)).parent == Path("tests/e2e")
    for case in rotation.cases():
        assert Path(rotation.long_path(case)).parent == Path("tests/e2e/long")

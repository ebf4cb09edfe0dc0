"""Budgets of the test slices and their table."""

from pathlib import Path

import pytest

from lab import budgets, rotation, slices, steps
from lab.budgets import Outcome, Tally
from lab.errors import LabError


def test_every_slice_has_a_budget_within_the_total() -> None:
    assert set(budgets.load().slices) == {item.name for item in slices.every()}


def test_the_areas_of_a_run_leave_time_for_a_machine_that_takes_longer() -> None:
    limits, runs = budgets.load(), rotation.last_runs(rotation.RECORD.read_text())
    seconds = {area: runs[area].seconds for area in rotation.areas() if area in runs}
    for commit in map(str, range(100)):
        areas = rotation.chosen_areas(commit, seconds, limits.planned_areas)
        assert 1.6 * sum(seconds[area] for area in areas) <= limits.slices["areas"], areas


def test_slices_that_need_more_than_the_total_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "budgets.toml"
    file.write_text("total = 10\n[slices]\na = 6\nb = 5\n")
    with pytest.raises(LabError, match="11 minutes, more than the total of 10"):
        budgets.load(file)


@pytest.mark.parametrize(
    ("outcome", "good"),
    [
        (Outcome("a", 59, 60, Tally(passed=3)), True),
        (Outcome("a", 61, 60, Tally(passed=3)), False),
        (Outcome("a", 1, 60, Tally(passed=3, failures=("test_x",))), False),
        (Outcome("a", None, 60, Tally(failures=("test_x",))), False),
    ],
)
def test_a_slice_is_good_when_it_ran_in_time_without_failure(outcome: Outcome, good: bool) -> None:
    assert outcome.good is good


def test_the_table_names_what_was_over_and_what_did_not_run() -> None:
    text = budgets.table(
        [
            Outcome("build", 100.4, 60, Tally(passed=1)),
            Outcome("e2e", None, 600, Tally(failures=("test_x",))),
        ],
        limit=90,
    )
    assert text.splitlines() == [
        "slice  seconds  budget  result",
        "build      100      60  1 passed, 0 failed, over its budget",
        "e2e          -     600  not run: a slice it needs failed",
        "all        100      90  over its budget",
    ]


@pytest.mark.parametrize(
    ("build_seconds", "limit"), [(299, 45 * 60), (301, 70 * 60), (None, 45 * 60)]
)
def test_a_run_with_a_fast_build_has_the_budget_of_warm_caches(
    build_seconds: float | None, limit: float
) -> None:
    outcomes = [Outcome("build", build_seconds, 1320, Tally(passed=1))]
    assert budgets.load().of(outcomes) == limit


def limits() -> budgets.Limits:
    minutes = {"build": 20.0, "unit": 10.0, "e2e": 10.0, "areas": 6.0, "long": 14.0}
    return budgets.Limits(minutes, 60.0, 40.0, 5.0, 3.0, 0.5)


def outcome(name: str, seconds: float) -> Outcome:
    return Outcome(name, seconds, 60, Tally(passed=1))


@pytest.mark.parametrize(
    ("before", "name", "later", "allowed"),
    [
        ([], "build", ["unit", "e2e"], 40.0),
        ([outcome("build", 40)], "unit", ["e2e"], 10.0),
        ([outcome("build", 4)], "unit", ["e2e"], 26.0),
        ([outcome("build", 4), outcome("unit", 26)], "e2e", [], 10.0),
        ([outcome("build", 10), outcome("unit", 10), outcome("e2e", 10)], "areas", [], 6.0),
        ([outcome("build", 4), outcome("unit", 20), outcome("e2e", 12)], "areas", [], 4.0),
    ],
)
def test_a_slice_may_take_what_is_left_but_for_those_that_are_never_left_out(
    before: list[Outcome], name: str, later: list[str], allowed: float
) -> None:
    assert limits().allowed(name, before, later) == allowed


def test_an_area_begins_when_a_machine_half_as_fast_would_end_it_in_time() -> None:
    assert limits().needed("areas", 2.0) == 4.0
    assert limits().needed("areas", 5.0) == 6.0


def test_slices_that_are_good_one_by_one_may_take_too_long_together() -> None:
    outcomes = [Outcome(name, 50, 60, Tally(passed=1)) for name in ("a", "b")]
    assert budgets.good(outcomes, 100)
    assert not budgets.good(outcomes, 99)


def test_counts_come_from_pytests_report() -> None:
    report = """<?xml version="1.0"?><testsuites><testsuite name="pytest">
      <testcase classname="tests.e2e.test_idle" name="test_good"/>
      <testcase classname="tests.e2e.test_idle" name="test_left"><skipped message="why"/></testcase>
      <testcase classname="tests.e2e.test_idle" name="test_bad">
        <failure message="assert 1 == 2&#10; where it matters">text</failure></testcase>
      <testcase classname="tests.e2e.test_idle" name="test_bad"><error message="gone"/></testcase>
      </testsuite></testsuites>"""
    bad = "test_idle::test_bad: assert 1 == 2 where it matters"
    assert steps.counts(report) == Tally(1, (bad, "test_idle::test_bad: gone"), skipped=1)


def test_what_was_not_good_is_named_at_the_end_of_a_run() -> None:
    outcomes = [
        Outcome("unit", 50, 60, Tally(failures=("test_idle::test_bad: gone",))),
        Outcome("e2e", 70, 60, Tally(passed=1)),
        Outcome("long", None, 60, slices.NOT_RUN),
    ]
    assert budgets.explain(outcomes, limit=100) == [
        "unit: test_idle::test_bad: gone",
        "e2e: 70 s, over its budget of 60",
        "long: not run: a slice it needs failed",
        "all: 120 s, over the budget of 100",
    ]
    assert budgets.explain([Outcome("unit", 50, 60, Tally(passed=1))], limit=100) == []


def test_of_many_failures_only_some_are_named_again() -> None:
    failures = tuple(f"test_{number}" for number in range(budgets.SHOWN_FAILURES + 5))
    lines = budgets.explain([Outcome("unit", 50, 60, Tally(failures=failures))], limit=100)
    assert len(lines) == budgets.SHOWN_FAILURES + 1
    assert lines[-1] == "and 5 more, see above"


def test_every_slice_needs_only_earlier_ones() -> None:
    seen: set[str] = set()
    for item in slices.every():
        assert seen.issuperset(item.needs)
        seen.add(item.name)

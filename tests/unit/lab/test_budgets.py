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
        (Outcome("a", 1, 60, Tally(passed=3, failed=1)), False),
        (Outcome("a", None, 60, Tally(failed=1)), False),
    ],
)
def test_a_slice_is_good_when_it_ran_in_time_without_failure(outcome: Outcome, good: bool) -> None:
    assert outcome.good is good


def test_the_table_names_what_was_over_and_what_did_not_run() -> None:
    text = budgets.table(
        [
            Outcome("build", 100.4, 60, Tally(passed=1)),
            Outcome("e2e", None, 600, Tally(failed=1)),
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


def test_slices_that_are_good_one_by_one_may_take_too_long_together() -> None:
    outcomes = [Outcome(name, 50, 60, Tally(passed=1)) for name in ("a", "b")]
    assert budgets.good(outcomes, 100)
    assert not budgets.good(outcomes, 99)


def test_counts_come_from_pytests_report() -> None:
    report = """<?xml version="1.0"?><testsuites>
      <testsuite name="pytest" tests="10" failures="1" errors="2" skipped="3"/></testsuites>"""
    assert steps.counts(report) == Tally(passed=4, failed=3, skipped=3)


def test_every_slice_needs_only_earlier_ones() -> None:
    seen: set[str] = set()
    for item in slices.every():
        assert seen.issuperset(item.needs)
        seen.add(item.name)

"""Retention over 10,000 generated histories, beside an oracle that reads the rules literally."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from stackroles.agents.backup.protocol import RetentionRules
from stackroles.agents.backup.retention import RecoverySet, Retained, retain, unfinished
from stackroles.agents.backup.sets import ids_of, sets_of

START = datetime(2023, 12, 25, 3, tzinfo=UTC)
# What the times of a period have in common, as text: %G and %V are the year and week of ISO 8601.
PERIODS = {
    "hourly": "%Y-%m-%d %H",
    "daily": "%Y-%m-%d",
    "weekly": "%G-%V",
    "monthly": "%Y-%m",
    "yearly": "%Y",
}
HOUR, DAY = 60, 24 * 60


@cache
def periods(time: datetime) -> dict[str, str]:
    return {rule: time.strftime(form) for rule, form in PERIODS.items()}


def names(sets: Iterable[RecoverySet]) -> tuple[str, ...]:
    return tuple(each.name for each in sets)


def keeps(
    one: RecoverySet, verified: list[RecoverySet], rules: RetentionRules, now: datetime
) -> bool:
    """Return whether a rule keeps one of some verified sets, by counting what is newer."""
    newer = [each for each in verified if (each.time, each.name) > (one.time, one.name)]
    if len(newer) < max(rules.last, 1):
        return True
    if one.time <= now and all(each.time > now for each in newer):
        return True
    begin = max([e.time for e in verified if e.time <= now] or [e.time for e in verified])
    if rules.within_days and (begin - one.time).total_seconds() <= rules.within_days * 86400:
        return True
    for rule, own in periods(one.time).items():
        if count := getattr(rules, rule):
            later = {periods(each.time)[rule] for each in newer}
            if own not in later and len(later) < count:
                return True
    return False


def expected(
    sets: Iterable[RecoverySet], rules: RetentionRules, now: datetime, live: Iterable[str] = ()
) -> set[str]:
    """Return the names of the sets that are left, by the oracle."""
    known = tuple(sets)
    verified = [each for each in known if each.verified]
    good = [each for each in verified if not each.damaged]
    wanted = {
        each.name for group in (verified, good) for each in group if keeps(each, group, rules, now)
    }
    return wanted | ({each.name for each in known} & set(live))


@dataclass(frozen=True)
class History:
    """Runs one after the other: their times, and whether each left a set, half of one or none.

    A set that is `damaged` is verified by its run, and found damaged before the next one.
    """

    times: tuple[datetime, ...]
    ends: tuple[str, ...]
    rules: RetentionRules


# Minutes between runs: of a few minutes up to months, as where no run came.
GAPS = (1, 7, HOUR, 6 * HOUR, DAY, DAY, DAY, 7 * DAY, 31 * DAY, 200 * DAY)
JITTER = (0, 0, -20, 45)
ENDS = ("verified", "verified", "verified", "unfinished", "nothing")
ENDS_WITH_DAMAGE = (*ENDS, "damaged", "damaged")
FEW = st.sampled_from([0, 0, 1, 2, 3, 7])
RULES = st.builds(
    RetentionRules, last=st.integers(1, 5), hourly=FEW, daily=FEW, weekly=FEW, monthly=FEW,
    yearly=FEW, within_days=st.sampled_from([0, 0, 1, 10, 400]),
)  # fmt: skip


def histories(
    shortest: int, longest: int, ends: tuple[str, ...] = ENDS
) -> st.SearchStrategy[History]:
    steps = st.sampled_from([(gap + late, end) for gap in GAPS for late in JITTER for end in ends])
    return st.builds(history, st.lists(steps, min_size=shortest, max_size=longest), RULES)


def history(steps: list[tuple[int, str]], rules: RetentionRules) -> History:
    minutes = accumulate(max(0, gap) for gap, _ in steps)
    times = tuple(START + timedelta(minutes=each) for each in minutes)
    return History(times, tuple(end for _, end in steps), rules)


def remaining(sets: Iterable[RecoverySet], retained: Retained) -> tuple[RecoverySet, ...]:
    return tuple(each for each in sets if each not in retained.removed)


def replay(history: History) -> tuple[RecoverySet, ...]:
    """Apply retention run after run as the program does; return what is in the end left.

    Each run is held against the oracle, which knows all earlier sets: one that was removed too
    early is missing as soon as a rule asks for it. Once one was found damaged a rule may ask for
    what had gone rightly by then, and the oracle knows what is there.
    """
    stored: tuple[RecoverySet, ...] = ()
    complete: tuple[RecoverySet, ...] = ()
    for number, (now, end) in enumerate(zip(history.times, history.ends, strict=True)):
        before = [each for each in stored if each.verified]
        stored = tuple(each for each in stored if each not in unfinished(stored))
        assert list(stored) == before, "no verified set goes before there is a new one"
        own = RecoverySet(f"run-{number:04}", now, end in ("verified", "damaged"))
        if end == "nothing":
            continue
        stored, complete = (*stored, own), (*complete, own)
        if not own.verified:
            continue
        known = stored if any(each.damaged for each in stored) else complete
        decided = retain(stored, history.rules, now, {own.key})
        assert sorted(names((*decided.kept, *decided.removed))) == sorted(names(stored))
        stored = remaining(stored, decided)
        left = set(names(stored))
        assert own.name in left, "the newest verified set stays"
        assert left == expected(known, history.rules, now), "nothing went that was needed later"
        assert retain(stored, history.rules, now, {own.key}).removed == (), "once is enough"
        assert names(decided.kept) == tuple(sorted(left, reverse=True)), "the newest first"
        if end == "damaged":
            stored = (*stored[:-1], replace(own, damaged=True))
            complete = stored
        assert retain(stored, history.rules, now + timedelta(days=4000)).removed == (), (
            "no set goes because time passes, or because one is found damaged"
        )
    return stored


@settings(max_examples=9_000)
@given(histories(1, 12))
def test_run_after_run_what_the_rules_ask_for_stays_and_nothing_else(history: History) -> None:
    event(f"{min(len(replay(history)), 8)} left")


@settings(max_examples=1_000)
@given(histories(20, 50))
def test_long_histories_lose_nothing_that_is_needed_later(history: History) -> None:
    event(f"{len(replay(history)) // 5 * 5} and more left")


@settings(max_examples=3_000)
@given(histories(1, 30, ENDS_WITH_DAMAGE))
def test_run_after_run_a_damaged_set_takes_no_place(history: History) -> None:
    left = replay(history)

    event(f"{sum(each.damaged for each in left)} damaged")


CLOCKS = st.integers(-40 * DAY, 40 * DAY) | st.sampled_from([0, 1, -1, 5000 * DAY])


@st.composite
def any_sets(draw: st.DrawFn) -> tuple[RecoverySet, ...]:
    """Draw sets whose clocks were wrong: equal times, times to come, no order at all."""
    drawn = draw(st.lists(st.tuples(CLOCKS, st.booleans(), st.booleans()), max_size=20))
    named = draw(st.permutations([f"set-{number}" for number in range(len(drawn))]))
    return tuple(
        RecoverySet(name, START + timedelta(minutes=minutes), verified, verified and damaged)
        for name, (minutes, verified, damaged) in zip(named, drawn, strict=True)
    )


@settings(max_examples=2_000)
@given(any_sets(), RULES, st.lists(st.sampled_from([f"set-{n}" for n in range(20)]), max_size=2),
       st.randoms(use_true_random=False))  # fmt: skip
def test_wrong_clocks_change_neither_the_rules_nor_what_is_always_kept(
    sets: tuple[RecoverySet, ...], rules: RetentionRules, live: list[str], random: Random
) -> None:
    keys = {(name, "") for name in live}
    decided = retain(sets, rules, START, keys)

    assert set(names(remaining(sets, decided))) == expected(sets, rules, START, live)
    assert not set(names(decided.removed)) & set(live)
    shuffled = random.sample(sets, len(sets))
    again = retain(shuffled, rules, START, keys)
    assert (again.kept, set(again.removed)) == (decided.kept, set(decided.removed))
    assert not retain(remaining(sets, decided), rules, START, keys).removed
    verified = [each for each in sets if each.verified]
    past = [each for each in verified if each.time <= START]
    good = [each for each in verified if not each.damaged]
    for several in (verified, past, good):
        if several:
            assert max(several, key=lambda each: (each.time, each.name)) in decided.kept


@given(any_sets(), RULES, st.sampled_from([each.name for each in fields(RetentionRules)]))
def test_a_rule_that_keeps_more_keeps_all_that_it_kept(
    sets: tuple[RecoverySet, ...], rules: RetentionRules, name: str
) -> None:
    more = replace(rules, **{name: getattr(rules, name) + 1})

    assert set(retain(sets, rules, START).kept) <= set(retain(sets, more, START).kept)


def test_three_years_of_daily_runs_leave_seven_days_four_weeks_and_twelve_months() -> None:
    rules = RetentionRules(last=1, daily=7, weekly=4, monthly=12)
    begin = datetime(2024, 1, 1, 3, tzinfo=UTC)
    left: tuple[RecoverySet, ...] = ()
    for day in range(3 * 365 + 1):
        now = begin + timedelta(days=day)
        left = (*left, RecoverySet(f"{now:%Y-%m-%d}", now, True))
        left = remaining(left, retain(left, rules, now))

    assert [each.name for each in reversed(left)] == [
        # Thursday, 31 December 2026, is of a day, of a week and of a month; so are others of two.
        "2026-12-31", "2026-12-30", "2026-12-29", "2026-12-28", "2026-12-27", "2026-12-26",
        "2026-12-25", "2026-12-20", "2026-12-13", "2026-11-30", "2026-10-31", "2026-09-30",
        "2026-08-31", "2026-07-31", "2026-06-30", "2026-05-31", "2026-04-30", "2026-03-31",
        "2026-02-28", "2026-01-31",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "kept"),
    [
        ({"last": 2}, "gf"),
        ({"last": 1, "hourly": 3}, "gfe"),
        ({"last": 1, "daily": 3}, "gec"),
        ({"last": 1, "weekly": 2}, "gc"),
        ({"last": 1, "monthly": 2}, "gb"),
        ({"last": 1, "yearly": 9}, "ga"),
        ({"last": 1, "within_days": 3}, "gfedc"),
        ({"last": 1, "daily": 2, "yearly": 9}, "gea"),
        ({"last": 0}, "g"),
    ],
)
def test_an_example_of_each_rule(rules: dict[str, int], kept: str) -> None:
    times = {
        "a": "2025-12-27T03:00",  # a Saturday
        "b": "2026-01-31T03:00",
        "c": "2026-02-15T03:00",  # a Sunday
        "d": "2026-02-16T03:00",
        "e": "2026-02-16T04:00",
        "f": "2026-02-17T03:59",
        "g": "2026-02-17T04:00",
    }
    sets = [
        RecoverySet(name, datetime.fromisoformat(when).replace(tzinfo=UTC), True)
        for name, when in times.items()
    ]
    now = datetime(2026, 2, 17, 4, tzinfo=UTC)

    assert "".join(names(retain(sets, RetentionRules(**rules), now).kept)) == kept


@pytest.mark.parametrize("rule", ["hourly", "daily", "weekly", "monthly"])
def test_a_period_of_another_year_is_another_period(rule: str) -> None:
    years = [datetime(year, 1, 7, 3, tzinfo=UTC) for year in (2024, 2025, 2026)]
    sets = [RecoverySet(f"{time:%Y}", time, True) for time in years]

    kept = names(retain(sets, RetentionRules(**{"last": 1, rule: 2}), years[-1]).kept)

    assert kept == ("2026", "2025")


def test_the_newest_set_stays_without_any_rule_also_where_all_times_are_to_come() -> None:
    sets = [RecoverySet(f"{day}", START + timedelta(days=day), True) for day in (1, 2)]

    assert retain(sets, RetentionRules(last=0), START) == Retained((sets[1],), (sets[0],))


def test_a_pause_of_the_runs_costs_no_set_that_is_kept_for_its_age() -> None:
    """As restic counts keep-within: from the newest set."""
    sets = [RecoverySet(f"{day}", START + timedelta(days=day), True) for day in range(10)]
    rules = RetentionRules(last=1, within_days=3)

    assert names(retain(sets, rules, START + timedelta(days=400)).kept) == ("9", "8", "7", "6")


def test_a_set_of_a_time_to_come_does_not_make_the_others_old() -> None:
    sets = [RecoverySet(f"{day}", START + timedelta(days=day), True) for day in (0, 1, 999)]
    rules = RetentionRules(last=1, within_days=3)

    assert names(retain(sets, rules, START + timedelta(days=2)).kept) == ("999", "1", "0")


def test_a_damaged_set_takes_no_place_and_stays_itself() -> None:
    sets = [RecoverySet(f"{day}", START + timedelta(days=day), True, day > 2) for day in range(6)]

    kept = retain(sets, RetentionRules(last=2), START + timedelta(days=6)).kept

    assert names(kept) == ("5", "4", "2", "1")


def snapshot(name: str, part: str, when: str, policy: str = "p", uid: str = "") -> dict[str, Any]:
    tags = [f"policy={policy}", f"set={name}", f"part={part}"]
    tags += [f"backup-uid={uid}"] if uid else []
    return {"id": f"{policy}-{name}-{part}{uid}", "time": when, "tags": tags}


def test_a_set_is_verified_by_its_manifest_and_as_old_as_that() -> None:
    snapshots: list[dict[str, Any]] = [
        snapshot("a", "manifest", "2026-01-02T00:30:00.123456789+01:00"),
        snapshot("a", "database", "2026-01-01T23:00:00Z"),
        snapshot("a", "state", "2026-01-07T23:00:00Z"),
        snapshot("b", "database", "2026-01-01T12:00:00Z"),
        snapshot("b", "state", "2026-01-01T13:00:00Z"),
        snapshot("a", "manifest", "2026-01-05T00:00:00Z", policy="other"),
        {"id": "foreign", "time": "none"},
    ]

    a, b = sets_of(snapshots, "p", ["a"])
    assert (a, b) == (
        RecoverySet("a", datetime(2026, 1, 1, 23, 30, 0, 123456, tzinfo=UTC), True, True),
        RecoverySet("b", datetime(2026, 1, 1, 13, tzinfo=UTC), False),
    )
    assert ids_of(snapshots, "p", [a]) == ("p-a-manifest", "p-a-database", "p-a-state")
    assert ids_of(snapshots, "other", [b]) == ()


def test_a_name_that_is_used_twice_has_two_sets() -> None:
    snapshots = [
        snapshot("a", "database", "2026-01-01T00:00:00Z", uid="1"),
        snapshot("a", "manifest", "2026-01-01T01:00:00Z", uid="1"),
        snapshot("a", "database", "2026-01-02T00:00:00Z", uid="2"),
    ]

    first, second = sets_of(snapshots, "p")

    assert (first.verified, first.time.day) == (True, 1)
    assert (second.verified, second.time.day) == (False, 2)
    assert unfinished((first, second)) == (second,)
    assert ids_of(snapshots, "p", [second]) == ("p-a-database2",)
    retained = retain((first, second), RetentionRules(last=1), START, {second.key})
    assert (retained.kept, retained.removed) == ((first,), ())


@given(any_sets(), any_sets(), RULES)
def test_snapshots_of_other_policies_are_never_named(
    mine: tuple[RecoverySet, ...], others: tuple[RecoverySet, ...], rules: RetentionRules
) -> None:
    snapshots = [
        snapshot(each.name, part, each.time.isoformat(), policy)
        for policy, sets in (("p", mine), ("other", others))
        for each in sets
        for part in ("database", *(["manifest"] if each.verified else []))
    ]

    removed = retain(mine, rules, START).removed
    ids = ids_of(snapshots, "p", removed)

    damaged = [each.name for each in mine if each.damaged]
    assert sets_of(snapshots, "p", damaged) == mine
    assert all(found.startswith("p-") for found in ids)
    assert len(ids) == sum(1 + each.verified for each in mine if each in removed)


@pytest.mark.parametrize("when", ["", "yesterday", "0001-01-01T00:00:00+14:00"])
def test_a_time_that_cannot_be_read_is_named(when: str) -> None:
    with pytest.raises(ValueError, match="snapshot p-a-manifest has the time"):
        sets_of([snapshot("a", "manifest", when)], "p")

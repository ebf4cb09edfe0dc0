"""When runs are due, and whether one did not come."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from stackroles.api.v1alpha1.schedule import CRON, NEVER_DUE
from stackroles.domains.backup.schedule import Schedule, fell_behind, missed

NOW = datetime(2026, 11, 22, 19, 34, 18, tzinfo=UTC)  # a Sunday


@pytest.mark.parametrize(
    ("line", "latest"),
    [
        ("* * * * *", "2026-11-22T19:34"),
        ("*/20 * * * *", "2026-11-22T19:20"),
        ("15/20 * * * *", "2026-11-22T19:15"),
        ("0 3 * * *", "2026-11-22T03:00"),
        ("0 22 * * *", "2026-11-21T22:00"),
        ("0 3,12-14 * * *", "2026-11-22T14:00"),
        ("0 3 * * mon-fri", "2026-11-20T03:00"),
        ("0 3 * * 0", "2026-11-22T03:00"),
        ("0 3 1 * *", "2026-11-01T03:00"),
        ("0 3 1 * mon", "2026-11-16T03:00"),
        ("0 3 */2 * mon", "2026-11-21T03:00"),
        ("0 3 31 jan,feb *", "2026-01-31T03:00"),
        ("0 0 29 2 *", "2024-02-29T00:00"),
        ("@hourly", "2026-11-22T19:00"),
        ("@daily", "2026-11-22T00:00"),
        ("@weekly", "2026-11-22T00:00"),
        ("@monthly", "2026-11-01T00:00"),
        ("@yearly", "2026-01-01T00:00"),
    ],
)
def test_the_last_due_time(line: str, latest: str) -> None:
    assert re.match(CRON, line)
    assert Schedule.of(line).latest(NOW) == datetime.fromisoformat(latest).replace(tzinfo=UTC)


# Lines that CRON allows, among them each form that is never due.
_FEW_MONTHS = ("2", "02", "FEB", "4-6/2", "2-6/2", "9/2", "11", "jun-sep/3", "2/11", "4", "nov/99")
_MORE_MONTHS = ("*", "*/2", "1-12/5", "jan", "2-4", "2/2", "12", "3,4", "9-11")
_LAST_DAYS = ("31", "30", "30,31", "31-31/2", "30-31", "30/5", "31/1")
_MORE_DAYS = ("*", "*/31", "29", "1", "28-31", "29/2", "31,1")
_FREE_WEEKDAYS = ("*", "*/1", "mon,*", "*/1,5", "*/2,*")
_MORE_WEEKDAYS = ("0", "*/2", "mon-fri", "*/15", "sun,1")


def lists(*items: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(items), min_size=1, max_size=3).map(",".join)


def assert_agreed(line: str) -> bool:
    """Assert that rule, answer and search agree on a line; return whether it is never due."""
    assert re.match(CRON, line), line
    schedule = Schedule.of(line)
    never = schedule.latest(NOW) is None
    assert schedule.is_never_due is never, line
    assert bool(re.search(NEVER_DUE, line)) is never, line
    return never


@pytest.mark.parametrize(
    "line",
    [
        "0 0 31 2 *", "0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 3 30,31 feb *",
        "0  3  31  Apr-Jun/2  *", "0 0 31-31 2,4 */1", "5 4 31/7 2/9 mon,*",
    ],
)  # fmt: skip
def test_a_day_that_never_comes_is_never_due(line: str) -> None:
    assert assert_agreed(line)


@pytest.mark.parametrize(
    "line",
    [
        "0 0 31 2 mon", "0 0 30 2 */2", "0 0 29 2 *", "0 0 30 4,6,9,11 *", "0 0 31 2-4 *",
        "0 0 31 2,3 *", "0 0 31 2/2 *", "0 0 31 * *", "0 0 */31 2 *", "0 0 30,31,1 2 *",
    ],
)  # fmt: skip
def test_a_day_that_comes_or_a_weekday_that_is_given_is_due(line: str) -> None:
    assert not assert_agreed(line)


def test_each_range_of_months_and_each_step_is_read_alike() -> None:
    ranges = [f"{first}-{last}" for first in range(1, 13) for last in range(first, 13)]
    months = [f"{span}{step}" for span in [*map(str, range(1, 13)), *ranges]
              for step in ("", *(f"/{n}" for n in (*range(1, 14), 19, 20, 99)))]  # fmt: skip

    never = [assert_agreed(f"0 0 {day} {month} *") for month in months for day in (29, 30, 31)]

    assert 0 < sum(never) < len(never)


@settings(max_examples=1000)
@given(
    lists(*_LAST_DAYS) | lists(*_LAST_DAYS, *_MORE_DAYS),
    lists(*_FEW_MONTHS) | lists(*_FEW_MONTHS, *_MORE_MONTHS),
    lists(*_FREE_WEEKDAYS) | lists(*_FREE_WEEKDAYS, *_MORE_WEEKDAYS),
)
def test_the_rule_refuses_what_is_never_due_and_nothing_else(
    day: str, month: str, weekday: str
) -> None:
    event("never" if assert_agreed(f"0 3 {day} {month} {weekday}") else "due")


@pytest.mark.parametrize("line", ["0 0 31-30 2 *", "0 5-3 1 1 *", "0 0 31 6-4 *"])
def test_a_range_that_ends_before_it_begins_is_left_to_the_api_server(line: str) -> None:
    assert not Schedule.of(line).is_never_due
    assert not re.search(NEVER_DUE, line)


@given(
    st.integers(0, 59), st.integers(0, 23), st.integers(1, 28),
    st.integers(0, 2 * 366 * 24 * 60).map(lambda minutes: NOW + timedelta(minutes=minutes)),
)  # fmt: skip
def test_nothing_due_lies_between_the_answer_and_the_question(
    minute: int, hour: int, day: int, at: datetime
) -> None:
    latest = Schedule.of(f"{minute} {hour} {day} * *").latest(at)

    assert latest is not None
    assert latest <= at < latest + timedelta(days=31, minutes=1)
    assert (latest.minute, latest.hour, latest.day) == (minute, hour, day)


def missed_at(line: str, last: timedelta | None, *, since: int = 90, local: bool = False) -> bool:
    """Return whether a run was missed, times being as long ago."""
    at = None if last is None else NOW - last
    begun = NOW - timedelta(days=since)
    return missed(line, local=local, since=begun, last=at, now=NOW) is not None


def test_a_run_that_came_late_was_not_missed() -> None:
    assert not missed_at("0 3 * * *", timedelta(hours=16))
    assert not missed_at("30 19 * * *", timedelta(days=1))  # due four minutes ago


def test_a_run_that_did_not_come_was_missed() -> None:
    assert missed_at("0 3 * * *", timedelta(days=1, hours=16))
    assert missed_at("* * * * *", timedelta(minutes=30))
    assert missed_at("0 3 * * *", None)


def test_what_was_due_before_the_schedule_was_is_not_missed() -> None:
    assert not missed_at("0 3 * * *", None, since=0)
    assert not missed_at("0 3 1 * *", None, since=20)


@pytest.mark.parametrize("hours", [-14, -5, 0, 5, 12])
def test_a_run_in_any_time_zone_is_not_missed_by_that(hours: int) -> None:
    due = datetime(2026, 11, 22, 3, tzinfo=UTC) + timedelta(hours=hours)
    for at in (NOW, NOW + timedelta(hours=7), NOW + timedelta(hours=15)):
        last = max(day for n in range(3) if (day := due + timedelta(days=n - 1)) <= at)
        since = NOW - timedelta(days=90)
        assert missed("0 3 * * *", local=True, since=since, last=last, now=at) is None


def test_a_run_in_a_time_zone_that_did_not_come_is_reported_the_day_after() -> None:
    assert missed_at("0 3 * * *", timedelta(days=2, hours=16), local=True)


def behind(line: str, since: timedelta, *, local: bool = False) -> bool:
    """Return whether a schedule fell behind, the last run having ended so long ago."""
    return fell_behind(line, local=local, since=NOW - since, now=NOW) is not None


def test_one_that_did_not_end_is_not_behind_and_two_in_a_row_are() -> None:
    assert not behind("0 3 * * *", timedelta(hours=16))
    assert not behind("0 3 * * *", timedelta(days=1, hours=16))
    assert behind("0 3 * * *", timedelta(days=2, hours=16))
    assert behind("* * * * *", timedelta(minutes=18))


def test_periods_are_those_of_the_schedule() -> None:
    assert not behind("0 3 1 * *", timedelta(days=50))
    assert behind("0 3 1 * *", timedelta(days=90))
    assert not behind("0 3 30 2 *", timedelta(days=9000))


def test_in_a_time_zone_it_is_reported_a_day_later() -> None:
    assert behind("0 3 * * *", timedelta(days=2, hours=5))
    assert not behind("0 3 * * *", timedelta(days=2, hours=5), local=True)
    assert behind("0 3 * * *", timedelta(days=4), local=True)

"""What a policy says of its points in time, and when it makes a Backup for them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stackroles.agents.binlog.protocol import Coverage, ShipperReport, ShippingState
from stackroles.api.v1alpha1.backup_policy_status import PointInTimeStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.backup.point_in_time import (
    STALE,
    Shipping,
    StoredSet,
    backup_wanted,
    judge,
)

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
SINCE, UNTIL = NOW - 5 * HOUR, NOW - timedelta(seconds=10)
CHAIN = Coverage(
    history="h", first=7, last=900, since=SINCE.timestamp(), until=UNTIL.timestamp() + 0.7
)
REPORT = ShipperReport(
    state=ShippingState.SHIPPING, member="m-2", coverage=CHAIN, lag=3.5, bytes=99, pieces=4
)
# What is stored after a gap is another chain.
GAP = replace(
    REPORT,
    state=ShippingState.GAP,
    message="Transactions 901 to 950 are missing.",
    coverage=replace(CHAIN, first=951, last=990, since=(NOW - HOUR).timestamp()),
)


def a_set(name: str = "one", hours: float = 4, minutes: float = 2, **changed: object) -> StoredSet:
    """Return a verified set that was begun so many hours ago and took so many minutes."""
    began = NOW - timedelta(hours=hours)
    ended = began + timedelta(minutes=minutes)
    known = StoredSet(
        name=name, created=began, history="h", began=began, completed=ended, verified=True
    )
    return replace(known, **changed)  # type: ignore[arg-type]


def test_the_window_is_from_the_oldest_set_inside_the_chain_to_the_chain_s_end() -> None:
    sets = [
        a_set("before", hours=6),
        a_set("oldest", hours=5),
        a_set("newest", hours=1),
        a_set("broken", hours=4.9, verified=False),
        a_set("of another history", hours=4.95, history="other"),
    ]

    found = judge(Shipping(report=REPORT), sets, NOW)

    assert found.window is not None
    assert found.window.since == NOW - 5 * HOUR + timedelta(minutes=2)
    assert found.window.until == UNTIL
    assert found.finding.reason is Reason.WINDOW_OPEN
    assert found.status == PointInTimeStatus(
        state=ShippingState.SHIPPING,
        member="m-2",
        history="h",
        first=7,
        last=900,
        since=SINCE,
        until=UNTIL,
        lag_seconds=3.5,
        bytes=99,
        pieces=4,
    )


@pytest.mark.parametrize(
    "sets",
    [
        [a_set("before the chain", hours=5.1)],
        [a_set("of another history", history="other")],
        [a_set("not passed yet", hours=0.02, minutes=1.2)],
    ],
)
def test_without_a_set_inside_the_chain_the_newest_set_is_the_only_point(
    sets: list[StoredSet],
) -> None:
    found = judge(Shipping(report=REPORT), sets, NOW)

    assert found.finding.reason is Reason.NO_SET
    assert found.window is not None
    assert found.window.since == found.window.until == sets[0].began


def test_without_any_set_nothing_can_be_recovered() -> None:
    found = judge(Shipping(report=REPORT), [], NOW)

    assert (found.window, found.finding.reason) == (None, Reason.NO_SET)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (ShippingState.WAITING, Reason.SHIPPING_WAITS),
        (ShippingState.STARTING, Reason.SHIPPING_STARTS),
        (ShippingState.GAP, Reason.BINLOG_GAP),
    ],
)
def test_a_shipper_that_does_not_ship_says_why_and_what_is_stored_stays(
    state: ShippingState, reason: Reason
) -> None:
    report = replace(REPORT, state=state, message="Because.")

    found = judge(Shipping(report=report), [a_set()], NOW)

    assert found.finding.reason is reason
    assert found.finding.message.startswith("Because.")
    assert found.window is not None
    assert found.window.until == UNTIL


def test_after_a_gap_the_newest_set_is_the_only_point_and_another_is_needed() -> None:
    found = judge(Shipping(report=GAP), [a_set()], NOW)

    assert "901 to 950" in found.finding.message
    assert "a Backup is made at once" in found.finding.message
    assert found.window is not None
    assert found.window.until == a_set().began


@pytest.mark.parametrize(
    ("stopped", "reason"), [(False, Reason.SHIPPER_MISSING), (True, Reason.SHIPPING_WAITS)]
)
def test_without_a_report_what_was_stored_is_still_there(stopped: bool, reason: Reason) -> None:
    former = judge(Shipping(report=REPORT), [a_set()], NOW).status

    found = judge(
        Shipping(report=None, problem="It is away.", stopped=stopped, former=former), [a_set()], NOW
    )

    assert (found.finding.reason, found.finding.message) == (reason, "It is away.")
    assert found.status.state is None
    assert found.status.lag_seconds is None
    assert found.status.until == UNTIL
    assert found.window is not None
    assert found.window.until == UNTIL


def test_a_shipper_that_starts_does_not_shorten_the_window() -> None:
    former = judge(Shipping(report=REPORT), [a_set()], NOW).status
    starts = ShipperReport(state=ShippingState.STARTING)

    found = judge(Shipping(report=starts, former=former), [a_set()], NOW)

    assert found.finding.reason is Reason.SHIPPING_STARTS
    assert found.window is not None
    assert found.window.until == UNTIL


@pytest.mark.parametrize(
    ("late", "reason"),
    [
        (timedelta(seconds=-1), Reason.WINDOW_OPEN),
        (timedelta(seconds=1), Reason.SHIPPING_WAITS),
    ],
)
def test_a_chain_whose_end_grows_old_is_none_that_is_continued(
    late: timedelta, reason: Reason
) -> None:
    found = judge(Shipping(report=REPORT), [a_set()], UNTIL + STALE + late)

    assert found.finding.reason is reason


def test_no_backup_is_wanted_while_a_set_lies_inside_the_chain() -> None:
    assert backup_wanted("nightly", REPORT, [a_set()], NOW) is None
    # Not passed by the chain yet, but it will be.
    assert backup_wanted("nightly", REPORT, [a_set(hours=0.02)], NOW) is None


@pytest.mark.parametrize("state", [ShippingState.WAITING, ShippingState.STARTING])
def test_no_backup_is_wanted_while_nobody_knows(state: ShippingState) -> None:
    assert backup_wanted("nightly", replace(REPORT, state=state), [], NOW) is None
    assert backup_wanted("nightly", None, [], NOW) is None


@pytest.mark.parametrize(
    ("report", "sets"),
    [
        (REPORT, []),
        (REPORT, [a_set(history="other")]),
        (REPORT, [a_set(hours=6)]),
        (REPORT, [a_set(verified=False)]),
        (GAP, [a_set()]),
    ],
)
def test_a_backup_is_wanted_once_for_a_chain_without_a_set_and_for_a_gap(
    report: ShipperReport, sets: list[StoredSet]
) -> None:
    name = backup_wanted("nightly", report, sets, NOW)

    assert name is not None
    assert name.startswith("nightly-gap-")
    assert len("p" * 40 + name.removeprefix("nightly")) <= 63
    made = a_set(name, hours=0.5, completed=None, verified=False)
    assert backup_wanted("nightly", report, [*sets, made], NOW) is None
    # One that does not help for whatever reason is not followed by another.
    useless = a_set(name, hours=4.5, history="other")
    assert backup_wanted("nightly", report, [*sets, useless], NOW) is None


def test_one_that_failed_is_tried_again_after_a_while() -> None:
    name = backup_wanted("nightly", GAP, [a_set()], NOW) or ""
    failed = a_set(name, hours=0, verified=False, created=NOW)

    assert backup_wanted("nightly", GAP, [a_set(), failed], NOW + timedelta(minutes=14)) is None
    again = backup_wanted("nightly", GAP, [a_set(), failed], NOW + timedelta(minutes=16))
    assert again is not None
    assert again != name


def test_a_set_after_the_gap_is_enough() -> None:
    after = a_set("after", hours=0.5)

    assert backup_wanted("nightly", GAP, [a_set(), after], NOW) is None


def test_each_chain_and_each_gap_is_asked_for_by_a_name_of_its_own() -> None:
    grown = replace(REPORT, coverage=replace(CHAIN, last=901))
    another = replace(REPORT, coverage=replace(CHAIN, history="new", first=1))

    names = [backup_wanted("nightly", report, [], NOW) for report in (REPORT, grown, GAP, another)]

    assert None not in names
    assert names[0] == names[1]
    assert len(set(names)) == 3


def test_nothing_stored_asks_for_nothing() -> None:
    assert backup_wanted("nightly", replace(REPORT, coverage=Coverage()), [], NOW) is None

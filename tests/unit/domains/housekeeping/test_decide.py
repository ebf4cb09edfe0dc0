"""Which run begins, which waits, and what may not be removed yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stackroles.api.v1alpha1.housekeeping import (
    Housekeeping,
    HousekeepingMode,
    HousekeepingResult,
    ServiceHousekeeping,
)
from stackroles.domains.housekeeping.decide import Mark, Situation, decide, with_result

NOW = datetime(2026, 5, 1, 2, 30, tzinfo=UTC)
SERVICES = ("keystone", "glance", "nova")
MARK = Mark("uid-1", NOW)


def run(service: str, **changes: Any) -> ServiceHousekeeping:
    fields: dict[str, Any] = {
        "service": service,
        "mode": HousekeepingMode.REPORT,
        "older_than_days": 90,
        "last_time": NOW - timedelta(days=1),
        "result": HousekeepingResult.SUCCEEDED,
        "reported_days": 90,
    }
    return ServiceHousekeeping(**(fields | changes))


def situation(mode: str = "Report", **changes: Any) -> Situation:
    declared = Housekeeping.model_validate(
        {"schedule": "@daily", "mode": mode} | changes.pop("declared", {})
    )
    seen: dict[str, Any] = {
        "declared": declared,
        "services": SERVICES,
        "marks": (MARK,),
        "begun": {},
        "last": {},
    }
    return Situation(**(seen | changes))


def test_nothing_begins_without_a_mark() -> None:
    assert decide(situation(marks=())).begins is None


def test_services_run_one_after_the_other() -> None:
    first = decide(situation())
    assert (first.begins, first.mark, first.waits) == ("keystone", MARK, ("glance", "nova"))

    at_work = decide(situation(begun={"keystone": NOW}, active=frozenset({"keystone"})))
    assert (at_work.begins, at_work.waits) == (None, ("glance", "nova"))

    assert decide(situation(begun={"keystone": NOW})).begins == "glance"
    assert decide(situation(begun=dict.fromkeys(SERVICES, NOW))).begins is None


def test_marks_that_came_meanwhile_share_a_run() -> None:
    later = Mark("uid-2", NOW + timedelta(hours=1))
    begun = dict.fromkeys(SERVICES, NOW + timedelta(hours=2))

    assert decide(situation(marks=(later, MARK))).mark == later
    assert decide(situation(marks=(later, MARK), begun=begun)).begins is None


@pytest.mark.parametrize(
    "changes",
    [{"hold": "the cloud is not Ready"}, {"declared": {"suspend": True}}],
    ids=["held", "suspended"],
)
def test_nothing_begins_while(changes: dict[str, Any]) -> None:
    assert decide(situation(**changes)).begins is None


def test_what_is_held_waits_and_what_is_suspended_does_not() -> None:
    assert decide(situation(hold="the cloud is not Ready")).waits == SERVICES
    assert decide(situation(declared={"suspend": True})).waits == ()


class TestReportFirst:
    def test_nothing_is_removed_of_what_was_never_counted(self) -> None:
        decision = decide(situation("Purge"))

        assert (decision.begins, decision.refused) == (None, SERVICES)

    @pytest.mark.parametrize("reported", [None, 30, 365])
    def test_a_report_of_another_age_is_none(self, reported: int | None) -> None:
        last = {"nova": run("nova", reported_days=reported)}

        assert "nova" in decide(situation("Purge", last=last)).refused

    def test_a_service_that_was_counted_is_purged(self) -> None:
        decision = decide(situation("Purge", last={"nova": run("nova")}))

        assert (decision.begins, decision.refused) == ("nova", ("keystone", "glance"))

    def test_a_report_is_never_refused(self) -> None:
        assert decide(situation()).refused == ()

    def test_a_refused_run_is_due_as_a_report_at_once(self) -> None:
        assert decide(situation("Purge")).begins is None
        assert decide(situation("Report")).begins == "keystone"


class TestResults:
    def test_a_report_that_succeeded_allows_a_purge_of_its_age(self) -> None:
        found = with_result({}, run("nova", older_than_days=30, reported_days=None))

        assert found["nova"].reported_days == 30

    def test_a_report_that_failed_does_not(self) -> None:
        failed = run("nova", result=HousekeepingResult.FAILED, reported_days=None)

        assert with_result({}, failed)["nova"].reported_days is None

    def test_a_purge_keeps_what_was_reported(self) -> None:
        purge = run("nova", mode=HousekeepingMode.PURGE, last_time=NOW, reported_days=None)

        found = with_result({"nova": run("nova")}, purge)

        assert (found["nova"].mode, found["nova"].reported_days) == ("Purge", 90)

    def test_an_older_run_changes_nothing(self) -> None:
        before = {"nova": run("nova", last_time=NOW)}

        assert with_result(before, run("nova", rows=7)) == before

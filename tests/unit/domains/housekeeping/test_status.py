"""What a run's Job left becomes the status; success needs an outcome that says so."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.housekeeping.protocol import HousekeepingOutcome, Mode
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.common import Condition
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.housekeeping import (
    Housekeeping,
    HousekeepingMode,
    HousekeepingResult,
)
from stackroles.domains.housekeeping.status import (
    assess_housekeeping,
    remembered_housekeeping,
    result_of,
)

MADE = "2026-05-01T02:30:00+00:00"
NOW = datetime.fromisoformat(MADE)
DECLARED = Housekeeping(schedule="@daily")
GOOD = HousekeepingOutcome(mode=Mode.PURGE, days=90, ok=True, rows=12, left=3, seconds=4.5)


def job(ending: str = "") -> dict[str, Any]:
    conditions = [{"type": ending, "status": "True", "message": "why"}] if ending else []
    metadata = {"name": "demo-run", "creationTimestamp": MADE}
    return {"metadata": metadata, "status": {"conditions": conditions}}


def pod(message: str = "", code: int = 0, made: str = MADE) -> dict[str, Any]:
    ended = {"exitCode": code, "message": message, "reason": "Error" if code else "Completed"}
    container = {"name": "purge", "state": {"terminated": ended}}
    return {
        "metadata": {"name": "p", "creationTimestamp": made},
        "status": {"phase": "Failed" if code else "Succeeded", "containerStatuses": [container]},
    }


def result(ending: str, *pods: dict[str, Any]) -> Any:
    return result_of("nova", HousekeepingMode.PURGE, 90, job(ending), pods)


def test_a_run_under_way_has_no_result() -> None:
    assert result("", pod()) is None


def test_an_outcome_becomes_the_result() -> None:
    found = result("Complete", pod(wire.dumps(GOOD)))

    assert (found.service, found.mode, found.last_time) == ("nova", "Purge", NOW)
    assert (found.rows, found.left, found.seconds, found.message) == (12, 3, 4.5, None)
    assert found.result is HousekeepingResult.SUCCEEDED


def test_the_last_try_counts() -> None:
    failed = pod(wire.dumps(HousekeepingOutcome(mode=Mode.PURGE, days=90, message="no")), 1)
    later = pod(wire.dumps(GOOD), made="2026-05-01T02:40:00+00:00")

    assert result("Complete", later, failed).rows == 12


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("Complete", ""),
        ("Complete", "half of a {"),
        ("Failed", "ImportError: no such module"),
        ("Failed", wire.dumps(GOOD)),
    ],
)
def test_nothing_else_is_a_success(ending: str, message: str) -> None:
    found = result(ending, pod(message, code=int(ending == "Failed")))

    assert found.result is HousekeepingResult.FAILED
    assert found.message


def test_a_failure_is_reported_with_its_message() -> None:
    bad = HousekeepingOutcome(mode=Mode.PURGE, days=90, message="exit code 2: no")
    found = result("Failed", pod(wire.dumps(bad), 1))

    health = assess_housekeeping(DECLARED, [found], (), ())

    assert health.reason is Reason.HOUSEKEEPING_FAILED
    assert "nova: the last Purge failed: exit code 2: no" in health.message


def test_what_is_refused_says_what_to_do() -> None:
    health = assess_housekeeping(DECLARED, [], ("glance", "nova"), ())

    assert health.reason is Reason.REPORT_REQUIRED
    assert "glance, nova" in health.message
    assert "90 days" in health.message


def test_nothing_is_wrong_otherwise() -> None:
    found = result("Complete", pod(wire.dumps(GOOD)))

    assert assess_housekeeping(DECLARED, [found], (), ()).reason is Reason.HOUSEKEEPING_SOUND


def test_an_operator_that_begins_knows_it_by_the_status() -> None:
    found = result("Complete", pod(wire.dumps(GOOD)))
    condition = Condition(
        type="HousekeepingFailing",
        status="True",
        reason="ReportRequired",
        message="m",
        last_transition_time=datetime(2026, 5, 1, tzinfo=UTC),
    )
    state = remembered_housekeeping(
        CloudControllerStatus(housekeeping=(found,), conditions=(condition,))
    )

    assert state.runs == (found,)
    assert state.health is not None
    assert state.health.reason is Reason.REPORT_REQUIRED
    assert state.children is None

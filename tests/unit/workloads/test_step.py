from datetime import UTC, datetime, timedelta
from typing import Any

from stackroles.workloads.step import RETRY_LATEST, RETRY_SOONEST, assess_step, log_wanted

Object = dict[str, Any]
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
POD = {
    "metadata": {"name": "p", "creationTimestamp": "2026-01-01T11:59:00Z"},
    "status": {
        "phase": "Failed",
        "containerStatuses": [
            {"name": "db-sync", "state": {"terminated": {"exitCode": 1, "message": "boom"}}}
        ],
    },
}


def job(*conditions: str, **status: Any) -> Object:
    ended = [
        {"type": kind, "status": "True", "lastTransitionTime": "2026-01-01T11:59:30Z"}
        for kind in conditions
    ]
    return {"metadata": {"name": "j"}, "status": {"conditions": ended, **status}}


def test_completed_job_is_the_record_of_a_step() -> None:
    assert assess_step("nova/setup", "", job("Complete"), [], NOW).done


def test_job_that_is_gone_leaves_the_step_undone() -> None:
    state = assess_step("nova/setup", "", None, [], NOW)
    assert not state.done
    assert state.problem is None


def test_failed_step_says_its_name_its_termination_message_and_what_to_do() -> None:
    state = assess_step("nova/setup", "check the database", job("Failed"), [POD], NOW)
    assert state.problem is not None
    assert state.problem.reason == "StepFailed"
    for expected in ("nova/setup", "boom", "check the database"):
        assert expected in state.problem.message


def test_failed_step_is_tried_again_after_about_the_time_it_took() -> None:
    ended = datetime(2026, 1, 1, 11, 59, 30, tzinfo=UTC)

    def retry(started: str) -> timedelta:
        state = assess_step("a/b", "", job("Failed", startTime=started), [], NOW)
        assert state.retry_at is not None
        return state.retry_at - ended

    assert retry("2026-01-01T11:59:29Z") == RETRY_SOONEST
    assert retry("2026-01-01T11:58:00Z") == timedelta(seconds=90)
    assert retry("2026-01-01T10:00:00Z") == RETRY_LATEST


def test_first_failed_attempt_is_a_note_the_second_a_problem() -> None:
    first = assess_step("a/b", "", job(failed=1), [POD], NOW)
    assert first.problem is None
    assert "2" in first.note
    second = assess_step("a/b", "", job(failed=2), [POD], NOW)
    assert second.problem is not None
    assert "boom" in second.problem.message


def test_job_whose_pod_cannot_start_says_why() -> None:
    stuck = {
        "metadata": {"name": "p"},
        "status": {
            "phase": "Pending",
            "containerStatuses": [
                {"name": "a", "image": "i", "state": {"waiting": {"reason": "ErrImagePull"}}}
            ],
        },
    }
    state = assess_step("a/b", "", job(), [stuck], NOW)
    assert state.problem is not None
    assert state.problem.reason == "ImagePullFailed"


def hanging(since: str = "2026-01-01T11:55:00Z") -> Object:
    return {
        "metadata": {"name": "p"},
        "status": {
            "phase": "Running",
            "initContainerStatuses": [
                {"name": "cells", "state": {"terminated": {"exitCode": 0}}},
                {"name": "db-sync", "state": {"running": {"startedAt": since}}},
            ],
            "containerStatuses": [{"name": "last", "state": {"waiting": {}}}],
        },
    }


def overdue(message: str = "") -> Object:
    ended = {"exitCode": 137, "reason": "Error", "message": message}
    return {
        "metadata": {"name": "p"},
        "status": {
            "phase": "Failed",
            "reason": "DeadlineExceeded",
            "message": "Pod was active on the node longer than the specified deadline",
            "containerStatuses": [{"name": "db-sync", "state": {"terminated": ended}}],
        },
    }


def test_a_step_that_runs_for_long_shows_its_last_line() -> None:
    assert log_wanted(hanging(), NOW) == "db-sync"
    state = assess_step("a/b", "", job(), [hanging()], NOW, logs={"p": "one\nwaiting for a lock\n"})
    assert state.note == "db-sync has run for 5 min, last output: waiting for a lock"
    assert state.problem is None


def test_a_step_that_has_just_begun_is_not_asked() -> None:
    young = hanging("2026-01-01T11:59:30Z")
    assert log_wanted(young, NOW) is None
    assert assess_step("a/b", "", job(), [young], NOW).note == "running"


def test_a_step_that_hung_is_reported_at_once_with_the_end_of_its_log() -> None:
    assert log_wanted(overdue(), NOW) == "db-sync"
    state = assess_step(
        "a/b", "look", job(failed=1), [overdue()], NOW, logs={"p": "waiting for a lock"}
    )
    assert state.problem is not None
    for expected in ("did not end in time", "db-sync", "waiting for a lock", "look"):
        assert expected in state.problem.message


def test_a_termination_message_in_the_status_needs_no_log() -> None:
    assert log_wanted(POD, NOW) is None
    assert log_wanted(overdue("said it"), NOW) is None

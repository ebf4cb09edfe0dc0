from datetime import UTC, datetime

from stackroles.kube.events import NORMAL, WARNING, EventRecord, build_event, transitions
from tests.support.objects import custom, stored


def condition(kind: str, status: str, reason: str = "R") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": f"{kind} {reason}"}


def test_condition_that_stays_is_silent() -> None:
    ready = condition("Ready", "True")

    assert transitions([ready], [ready]) == ()


def test_loss_of_ready_warns() -> None:
    found = transitions([condition("Ready", "True")], [condition("Ready", "False", "NoQuorum")])

    assert found == (EventRecord(WARNING, "NoQuorum", "Ready NoQuorum"),)


def test_becoming_ready_is_normal() -> None:
    found = transitions(
        [condition("Ready", "False", "Waits")], [condition("Ready", "True", "Ready")]
    )

    assert found == (EventRecord(NORMAL, "Ready", "Ready Ready"),)


def test_stalling_warns_also_at_first_sight() -> None:
    assert transitions([], [condition("Stalled", "True", "SpecInvalid")])[0].type == WARNING


def test_guests_that_fail_warn_and_those_that_run_again_do_not() -> None:
    fails, runs = (
        condition("GuestsFailing", "True", "BuildsFail"),
        condition("GuestsFailing", "False"),
    )

    assert transitions([], [runs]) == ()
    assert [h.type for h in transitions([], [fails])] == [WARNING]
    assert [h.type for h in transitions([runs], [fails])] == [WARNING]
    assert [h.type for h in transitions([fails], [runs])] == [NORMAL]


def test_unknown_at_first_sight_and_progress_are_silent() -> None:
    assert transitions([], [condition("Ready", "Unknown"), condition("Reconciling", "True")]) == ()


def test_a_type_of_another_version_is_silent() -> None:
    assert transitions([], [condition("Unheard", "False")]) == ()


def test_conditions_that_turn_for_one_reason_are_one_happening() -> None:
    before = [condition("Ready", "True"), condition("Available", "True")]
    after = [condition("Ready", "False", "Down"), condition("Available", "False", "Down")]

    assert [h.message for h in transitions(before, after)] == ["Ready Down"]


def test_event_fits_what_the_api_server_accepts() -> None:
    long = EventRecord(NORMAL, "R" * 200, "m " * 2500)

    event = build_event(stored(custom(), 1), long, datetime(2026, 1, 1, tzinfo=UTC), "pod-1")

    assert 1000 < len(event["note"]) <= 1024
    assert len(event["reason"]) == 128
    assert event["eventTime"] == "2026-01-01T00:00:00.000000Z"
    assert event["regarding"]["uid"] == "u1"

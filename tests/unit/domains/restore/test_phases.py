"""The phases of a restore in its status."""

from datetime import UTC, datetime, timedelta

from stackroles.domains.restore.phases import (
    Phase,
    Progress,
    begun,
    is_stuck,
    may_go_back,
    noted,
    started_at,
)

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=30)


def test_a_phase_that_begins_anew_keeps_the_time_of_its_first_begin() -> None:
    phases = begun(begun((), Phase.PAUSE, NOW), Phase.PAUSE, LATER)

    assert [(p.name, p.started_at) for p in phases] == [("Pause", NOW)]
    assert started_at(phases, Phase.PAUSE) == NOW
    assert started_at(phases, Phase.STOP) is None


def test_what_it_waits_for_is_noted_and_its_end_once_it_is_done() -> None:
    phases = begun(begun((), Phase.PAUSE, NOW), Phase.STOP, NOW)

    waiting = noted(phases, Phase.STOP, Progress(message="Stopping m-0."), LATER)
    done = noted(waiting, Phase.STOP, Progress(done=True), LATER)

    assert [(p.message, p.completed_at) for p in waiting] == [(None, None), ("Stopping m-0.", None)]
    assert [(p.message, p.completed_at) for p in done] == [(None, None), (None, LATER)]


def test_what_has_its_data_in_place_is_stuck_after_half_an_hour_in_a_phase() -> None:
    data = noted(begun((), Phase.DATA, NOW), Phase.DATA, Progress(done=True), NOW)
    phases = begun(data, Phase.BOOTSTRAP, LATER)

    assert not is_stuck(phases, LATER + timedelta(minutes=30))
    assert is_stuck(phases, LATER + timedelta(minutes=31))
    assert not is_stuck(begun((), Phase.DATA, NOW), NOW + timedelta(days=1))
    assert not is_stuck((), NOW)


def test_the_former_data_is_gone_back_to_before_the_copy_is_begun_alone() -> None:
    phases = begun(begun((), Phase.PAUSE, NOW), Phase.STOP, NOW)

    assert may_go_back(phases)
    assert not may_go_back(begun(phases, Phase.DATA, NOW))

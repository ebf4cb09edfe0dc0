"""How far a Backup or a Restore is, from its resource, and how that is shown."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.cli.draw_recovery import (
    backup_lines,
    backup_result,
    draw_backup,
    draw_restore,
    preflight_lines,
    restore_lines,
    restore_result,
)
from stackroles.cli.manifests import at_time, name_of, new_restore
from stackroles.cli.recovery import Outcome, backup_view, outcome_of, restore_view, under_way
from stackroles.cli.units import age, size

Object = dict[str, Any]
T0 = datetime(2026, 11, 28, 3, 0, 5, tzinfo=UTC)
GIB = 2**30


def at(seconds: int) -> str:
    """Return a time as the API writes it."""
    return f"{T0 + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def conditions(reason: Reason, message: str, generation: int = 1) -> list[Object]:
    """Return the conditions of a run, as the operator writes them."""
    found: Object = {"reason": reason.value, "status": reason.status, "message": message}
    found["observedGeneration"] = generation
    return [{**found, "type": reason.type.value}, {**found, "type": "Ready"}]


def backup(**status: Any) -> Object:
    return {"metadata": {"name": "nightly-1"}, "spec": {"policy": "nightly"}, "status": status}


def copying(part: str, copied: int, rate: int = 0) -> Object:
    progress = {"part": part, "bytes": copied, "bytesPerSecond": rate}
    running = conditions(Reason.BACKUP_RUNNING, "Copying from demo-mariadb-2.")
    return backup(progress=progress, conditions=running)


VERIFIED = backup(
    conditions=conditions(Reason.BACKUP_VERIFIED, "All of it."),
    completedAt=at(41),
    durationSeconds=41,
    sizeBytes=GIB,
    storedBytes=2**20,
    steps=[
        {"name": "database", "bytes": GIB, "seconds": 30.04},
        {"name": "secrets", "bytes": 512},
    ],
)


def restore(reason: Reason, message: str = "", generation: int = 1, **status: Any) -> Object:
    status = {"controller": "demo", "conditions": conditions(reason, message), **status}
    metadata = {"name": "back", "generation": generation}
    return {"metadata": metadata, "spec": {"backup": "nightly-1"}, "status": status}


def phase(name: str, began: int, ended: int | None = None, message: str = "") -> Object:
    found = {"name": name, "startedAt": at(began), "message": message}
    return found if ended is None else {**found, "completedAt": at(ended)}


def running(*phases: Object) -> Object:
    message = f"{phases[-1]['name']}: {phases[-1]['message']}"
    return restore(Reason.RESTORE_RUNNING, message, phase=phases[-1]["name"], phases=list(phases))


def drawn(content: RenderableType) -> list[str]:
    """Return what is printed without a terminal."""
    console = Console(width=100, highlight=False, color_system=None)
    with console.capture() as captured:
        console.print(content)
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1.0 MiB"),
        (3 * GIB // 2, "1.5 GiB"),
        (5000 * 2**50, "5000.0 PiB"),
    ],
)
def test_a_size_has_the_unit_that_suits_it(count: int, shown: str) -> None:
    assert size(count) == shown


def test_an_age_has_the_largest_unit_that_it_fills() -> None:
    assert [age(n) for n in (-3, 59, 60, 7199, 7200, 90000)] == [
        "0 s",
        "59 s",
        "1 min",
        "1 h",
        "2 h",
        "1 d",
    ]


def test_names_have_the_time_and_fit_their_kind() -> None:
    assert name_of("Backup", "nightly", T0) == "nightly-20261128-030005"
    assert name_of("Restore", "demo", T0) == "demo-20261128-030005"
    long = name_of("Restore", "a" * 40, T0)
    assert len(long) <= 40
    assert long != name_of("Restore", "a" * 40, T0 + timedelta(seconds=1))


def test_without_consent_a_restore_is_a_dry_run() -> None:
    assert new_restore("r", {"backup": "b"}, overwrite=None)["spec"] == {
        "backup": "b",
        "dryRun": True,
    }
    assert new_restore("r", {"backup": "b"}, overwrite="demo", safety_backup=False)["spec"] == {
        "backup": "b",
        "dryRun": False,
        "overwrite": "demo",
        "safetyBackup": "Never",
    }


def test_parts_of_a_backup_are_kept_as_they_come() -> None:
    view = backup_view(backup())
    assert (view.message, view.parts) == ("The operator has not reported yet.", ())
    for resource in (copying("database", 5, 3), copying("database", 9, 4), copying("state", 1)):
        view = backup_view(resource, view)
    assert [(p.name, p.bytes, p.rate, p.done) for p in view.parts] == [
        ("database", 9, 0, True),
        ("state", 1, 0, False),
    ]
    assert not view.ended


def test_a_backup_that_has_ended_has_the_parts_that_it_reports() -> None:
    view = backup_view(VERIFIED, backup_view(copying("retention", 0)))
    assert [part.name for part in view.parts] == ["database", "secrets"]
    assert (view.ended, view.verified) == (True, True)
    assert backup_result(view) == (
        "Backup nightly-1 is verified in 41 s: 1.0 GiB read, 1.0 MiB added to the repository."
    )


def test_a_backup_that_failed_has_the_message_of_its_condition() -> None:
    failed = conditions(Reason.REPOSITORY_FULL, "No space.")
    view = backup_view(backup(completedAt=at(3), conditions=failed))
    assert (view.ended, view.verified, view.message) == (True, False, "No space.")


def test_a_line_is_printed_per_change_of_a_backup() -> None:
    first = backup_view(copying("database", 2**20, 2**19))
    assert backup_lines(None, first) == [
        "Copying from demo-mariadb-2.",
        "database: 1.0 MiB, 512.0 KiB/s",
    ]
    assert backup_lines(first, first) == []
    second = backup_view(copying("state", 0), first)
    assert backup_lines(first, second) == ["state: 0 B"]
    assert backup_lines(second, backup_view(VERIFIED, second)) == [
        "database: 1.0 GiB in 30.0 s",
        "secrets: 512 B in 0.0 s",
    ]


def test_a_backup_is_drawn_with_its_parts() -> None:
    view = backup_view(copying("state", 7), backup_view(copying("database", GIB, 5)))
    head, database, state = drawn(draw_backup(view, T0))
    assert head == "Backup nightly-1: Copying from demo-mariadb-2."
    assert database.startswith("ok  database")
    assert database.endswith("1.0 GiB")
    assert state.startswith("..  state")
    assert drawn(draw_backup(backup_view(VERIFIED), T0))[1].endswith("1.0 GiB  30.0 s")


@pytest.mark.parametrize(
    ("reason", "generation", "outcome"),
    [
        (Reason.RESTORE_RUNNING, 1, Outcome.UNDER_WAY),
        (Reason.RESTORE_QUEUED, 1, Outcome.UNDER_WAY),
        (Reason.RESTORE_CHECKED, 1, Outcome.CHECKED),
        (Reason.RESTORE_BLOCKED, 1, Outcome.BLOCKED),
        (Reason.RESTORE_CONSENT, 1, Outcome.CONSENT),
        (Reason.RESTORED, 1, Outcome.RESTORED),
        (Reason.RESTORE_FAILED, 1, Outcome.FAILED),
        # What was found of a dry run is no answer once the user has consented.
        (Reason.RESTORE_CHECKED, 2, Outcome.UNDER_WAY),
        (Reason.RESTORE_BLOCKED, 2, Outcome.UNDER_WAY),
        (Reason.RESTORED, 2, Outcome.RESTORED),
        (Reason.RESTORE_FAILED, 2, Outcome.FAILED),
    ],
)
def test_the_reason_says_what_became_of_a_restore(
    reason: Reason, generation: int, outcome: Outcome
) -> None:
    assert outcome_of(restore(reason, generation=generation)) is outcome


def test_a_restore_that_nobody_has_seen_is_under_way() -> None:
    new = {"metadata": {"name": "back", "generation": 1}, "spec": {"backup": "nightly-1"}}
    view = restore_view(new)
    assert (view.outcome, view.message) == (
        Outcome.UNDER_WAY,
        "The operator has not reported yet.",
    )
    assert under_way([new], "demo") == []


def test_a_restore_of_a_set_without_a_backup_names_the_set() -> None:
    found = running(phase("Stop", 8, message="Stopping a."))
    found["spec"] = {"recoverySet": {"policy": "nightly", "name": "nightly-1"}}
    assert drawn(draw_restore(restore_view(found), T0))[0].startswith("Restore back of nightly-1:")
    assert [r.recovery_set for r in under_way([found], "demo")] == ["nightly-1"]


def test_a_preflight_lists_what_is_missing_and_what_would_be_lost() -> None:
    preflight = {"missing": ["A volume.", "A Secret."], "overwrites": ["All since Monday."]}
    found = restore(
        Reason.RESTORE_BLOCKED, "Nothing was stopped. A volume. A Secret.", preflight=preflight
    )
    assert preflight_lines(restore_view(found)) == [
        "Missing:",
        "  - A volume.",
        "  - A Secret.",
        "A restore of nightly-1 would lose:",
        "  - All since Monday.",
    ]


def test_what_an_earlier_preflight_missed_is_not_listed() -> None:
    preflight = {"missing": ["A volume."]}
    found = restore(Reason.RESTORE_BLOCKED, "The Secret is gone.", preflight=preflight)
    assert restore_view(found).missing == ("The Secret is gone.",)
    assert restore_view(restore(Reason.RESTORE_CHECKED, preflight=preflight)).missing == ()


def test_a_line_is_printed_per_change_of_phase() -> None:
    first = restore_view(running(phase("Preflight", 0, message="Reading.")))
    assert restore_lines(None, first, T0) == ["Preflight begins.", "Preflight: Reading."]
    assert restore_lines(first, first, T0) == []
    stop = phase("Stop", 8, message="Stopping a.")
    second = restore_view(running(phase("Preflight", 0, 5), phase("Pause", 5, 8), stop))
    assert restore_lines(first, second, T0) == [
        "Preflight took 5 s. Pause begins.",
        "Pause took 3 s. Stop begins.",
    ]
    stop = phase("Stop", 8, message="Stopping b.")
    third = restore_view(running(phase("Preflight", 0, 5), phase("Pause", 5, 8), stop))
    assert restore_lines(second, third, T0) == []
    done = [phase("Preflight", 0, 5), phase("Pause", 5, 8), phase("Stop", 8, 20)]
    last = restore_view(restore(Reason.RESTORED, phases=done))
    assert restore_lines(third, last, T0) == ["Stop took 12 s."]


def test_a_restore_is_drawn_with_the_seconds_of_its_phases() -> None:
    view = restore_view(running(phase("Pause", 5, 8), phase("Stop", 8, message="Stopping a.")))
    assert drawn(draw_restore(view, T0 + timedelta(seconds=30))) == [
        "Restore back of nightly-1: Stop: Stopping a.",
        "ok  Pause  3 s",
        "..  Stop   22 s  Stopping a.",
    ]
    # This machine's clock is behind the cluster's.
    assert "..  Stop   0 s" in drawn(draw_restore(view, T0))[2]


def test_a_restore_that_failed_marks_the_phase() -> None:
    phases = [phase("Preflight", 0, 5), phase("SafetyBackup", 5)]
    view = restore_view(restore(Reason.RESTORE_FAILED, "No room.", phases=phases))
    assert drawn(draw_restore(view, T0)) == [
        "Restore back of nightly-1",
        "ok  Preflight     5 s",
        "!!  SafetyBackup",
    ]


def test_the_result_has_the_seconds_and_the_recovery_point() -> None:
    found = restore(
        Reason.RESTORED, recoverySeconds=123, recoveryPoint=at(0), safetyBackup="back-before"
    )
    assert restore_result(restore_view(found)) == (
        "Restored in 123 s: demo is as it was at 2026-11-28 03:00:05 UTC.\n"
        "What was overwritten is in Backup back-before: `kubectl stackroles restore back-before` "
        "takes this back."
    )
    assert restore_result(restore_view(restore(Reason.RESTORED))) == "Restored."


def test_restores_under_way_are_those_that_have_not_ended() -> None:
    work = running(phase("Pause", 5, 8), phase("Stop", 8, message="Stopping a."))
    blocked = restore(
        Reason.RESTORE_BLOCKED, "No.", phase="Preflight", phases=[phase("Preflight", 1)]
    )
    ended = [
        restore(reason, phase="Preflight", phases=[phase("Preflight", 1)])
        for reason in (Reason.RESTORED, Reason.RESTORE_FAILED, Reason.RESTORE_CHECKED)
    ]
    found = under_way([work, *ended, blocked], "demo")
    assert [(r.phase, r.since, r.waits, r.stands) for r in found] == [
        ("Stop", at(8), "Stopping a.", False),
        ("Preflight", at(1), "No.", True),
    ]
    assert under_way([work], "other") == []


def test_a_point_in_time_is_part_of_what_is_restored() -> None:
    source = {"backup": "b"}

    assert at_time(source, None) == source
    assert at_time(source, "2026-11-28T14:05:00Z")["pointInTime"] == "2026-11-28T14:05:00Z"
    assert at_time(source, "2026-11-28T15:05:00.7+01:00")["pointInTime"] == "2026-11-28T14:05:00Z"


@pytest.mark.parametrize(
    ("at", "says"),
    [("yesterday", "is no time: 2026"), ("2026-11-28T14:05:00", "no time zone: 2026-11-28T14:05")],
)
def test_what_is_no_point_in_time_is_refused(at: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        at_time({"backup": "b"}, at)

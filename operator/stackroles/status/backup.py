"""What is said of a Backup and of a BackupPolicy."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.backup import BackupStatus, BackupStep
from stackroles.api.v1alpha1.common import Condition
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.status.conditions import Finding, build_condition, conditions_of
from stackroles.status.outcome import Outcome

# Reasons after which a run never changes again: a failed run is followed by another Backup.
FAILED = frozenset(
    {
        Reason.BACKUP_FAILED,
        Reason.WRONG_ENCRYPTION_KEY,
        Reason.REPOSITORY_FULL,
        Reason.REPOSITORY_LOCKED,
    }
)
_OF_PROGRAM = {reason.value: reason for reason in FAILED}


def is_finished(status: Mapping[str, Any]) -> bool:
    """Return whether a run has ended, well or badly; such a run is never touched again."""
    ended = {Reason.BACKUP_VERIFIED.value, *(reason.value for reason in FAILED)}
    return any(
        condition.get("type") == ConditionType.COMPLETE.value and condition.get("reason") in ended
        for condition in status.get("conditions") or ()
    )


def is_verified(status: Mapping[str, Any]) -> bool:
    """Return whether a run ended with a verified recovery set."""
    return is_finished(status) and bool(status.get("verified"))


def conditions_of_run(
    reconciled: Finding, complete: Finding, previous: Sequence[Condition], at: tuple[int, datetime]
) -> tuple[Condition, ...]:
    """Return a Backup's conditions; Ready repeats what is wrong, or that the set is verified."""
    generation, now = at
    failed = complete.reason in FAILED or reconciled.reason.status != "True"
    waits = complete.reason in (Reason.BACKUP_WAITING, Reason.BACKUP_RUNNING)
    moving = Finding(Reason.WORKING if waits and not failed else Reason.SETTLED, complete.message)
    stalled = Finding(
        Reason.NEEDS_ATTENTION if failed else Reason.HEALTHY, complete.message if failed else ""
    )
    ready = complete if reconciled.reason.status == "True" else reconciled
    if complete.reason is Reason.BACKUP_VERIFIED:
        ready = Finding(Reason.AS_DESIRED, complete.message)
    known = {condition.type: condition for condition in previous}
    return (
        *conditions_of((reconciled, complete, moving, stalled), previous, generation, now),
        build_condition(ConditionType.READY, ready, known.get("Ready"), (generation, now)),
    )


def finding_of(outcome: Outcome | None, job_failure: str, words: str) -> Finding:
    """Return how a run ended.

    Args:
        outcome: what its program left, None where it left nothing.
        job_failure: why the Job failed, empty where it completed.
        words: the last words of the container that failed.
    """
    if outcome is not None and outcome.ok:
        note = f" Retention failed: {outcome.message}" if outcome.message else ""
        return Finding(
            Reason.BACKUP_VERIFIED,
            f"{outcome.size} bytes in {len(outcome.steps)} parts were stored, and each reads back "
            f"with its checksum.{note}",
        )
    if outcome is not None:
        step = outcome.steps[-1].get("name", "") if outcome.steps else ""
        reason = _OF_PROGRAM.get(outcome.reason, Reason.BACKUP_FAILED)
        where = f"Step {step} failed: " if step else ""
        return Finding(reason, f"{where}{outcome.message}")
    said = f" Its last words: {words}" if words else ""
    why = job_failure or "it ended without saying what it stored"
    return Finding(Reason.BACKUP_FAILED, f"The backup's Job did not succeed: {why}.{said}")


def with_outcome(status: BackupStatus, outcome: Outcome | None, ended: datetime) -> BackupStatus:
    """Return a status with what the run's program left."""
    started = status.started_at or ended
    update: dict[str, Any] = {
        "completed_at": ended,
        "duration_seconds": max(0, int((ended - started).total_seconds())),
    }
    if outcome is not None:
        update |= {
            "size_bytes": outcome.size,
            "stored_bytes": outcome.stored,
            "snapshot": outcome.snapshot,
            "position": outcome.position,
            "verified": outcome.ok,
            "steps": tuple(BackupStep.model_validate(dict(step)) for step in outcome.steps),
        }
    return status.model_copy(update=update)

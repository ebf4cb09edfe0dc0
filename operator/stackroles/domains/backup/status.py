"""The findings about a Backup and a BackupPolicy."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from stackroles.agents import wire
from stackroles.agents.backup.protocol import RunOutcome
from stackroles.api.v1alpha1.backup import BackupProgress, BackupStatus, BackupStep
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.errors import SpecInvalid
from stackroles.workloads.conditions import Finding
from stackroles.workloads.run_conditions import RunReasons

# Reasons after which a run never changes again: a failed run is followed by another Backup.
FAILED = frozenset(
    {
        Reason.BACKUP_FAILED,
        Reason.WRONG_ENCRYPTION_KEY,
        Reason.REPOSITORY_FULL,
        Reason.REPOSITORY_LOCKED,
        Reason.REPOSITORY_STALLED,
    }
)
_OF_PROGRAM = {reason.value: reason for reason in FAILED}
_ENDED = frozenset({Reason.BACKUP_VERIFIED, Reason.BACKUP_EXPIRED}) | FAILED
REASONS = RunReasons(
    good=Reason.BACKUP_VERIFIED,
    failed=FAILED,
    moving=frozenset({Reason.BACKUP_WAITING, Reason.BACKUP_QUEUED, Reason.BACKUP_RUNNING}),
)


def is_finished(status: Mapping[str, Any]) -> bool:
    """Return whether a run has ended, well or badly; such a run is never touched again."""
    return any(
        condition.get("type") == ConditionType.COMPLETE.value and condition.get("reason") in _ENDED
        for condition in status.get("conditions") or ()
    )


def is_verified(status: Mapping[str, Any]) -> bool:
    """Return whether a run ended with a verified recovery set."""
    return is_finished(status) and bool(status.get("verified"))


def running(source: str, progress: BackupProgress | None, problem: Finding | None) -> Finding:
    """Return the condition of a run that is at work.

    Args:
        source: the database member it copies.
        progress: how far it is, None before it says so.
        problem: why its pod does not run, None when it does.
    """
    if problem:
        return Finding(Reason.BACKUP_RUNNING, problem.message)
    trouble = progress.message if progress else None
    detail = f" Its repository does not get on: {trouble}" if trouble else ""
    return Finding(Reason.BACKUP_RUNNING, f"Copying from {source}.{detail}")


def finding_of(outcome: RunOutcome | None, job_failure: str, message: str) -> Finding:
    """Return how a run ended.

    Args:
        outcome: what its program left, None where it left nothing.
        job_failure: why the Job failed, empty where it completed.
        message: the termination message of the container that failed.
    """
    if outcome is not None and outcome.ok:
        note = f" Retention failed: {outcome.message}" if outcome.message else ""
        return Finding(
            Reason.BACKUP_VERIFIED,
            f"{outcome.size} bytes in {len(outcome.steps)} parts were stored, and each reads back "
            f"with its checksum.{note}",
        )
    if outcome is not None:
        step = outcome.steps[-1].name if outcome.steps else ""
        reason = _OF_PROGRAM.get(outcome.reason, Reason.BACKUP_FAILED)
        where = f"Step {step} failed: " if step else ""
        return Finding(reason, f"{where}{outcome.message}")
    output = f" Last output: {message}" if message else ""
    why = job_failure or "it ended without a report of what it stored"
    return Finding(Reason.BACKUP_FAILED, f"The backup's Job did not succeed: {why}.{output}")


def with_outcome(status: BackupStatus, outcome: RunOutcome | None, ended: datetime) -> BackupStatus:
    """Return a status with what the run's program left."""
    started = status.started_at or ended
    update: dict[str, Any] = {
        "completed_at": ended,
        "progress": None,
        "duration_seconds": max(0, int((ended - started).total_seconds())),
    }
    if outcome is not None:
        update |= {
            "size_bytes": outcome.size,
            "stored_bytes": outcome.stored,
            "snapshot": outcome.snapshot,
            "position": outcome.position,
            "verified": outcome.ok,
            "expired_backups": outcome.expired,
            "steps": tuple(BackupStep.model_validate(wire.encode(step)) for step in outcome.steps),
        }
    return status.model_copy(update=update)


def expired(policy: str) -> Finding:
    """Return the finding about a Backup whose recovery set is gone."""
    return Finding(
        Reason.BACKUP_EXPIRED,
        f"Its recovery set is not in the repository of BackupPolicy {policy} any more: newer ones "
        "were verified since, and none of the policy's keep fields keeps this one. Delete this "
        "Backup.",
    )


def never_due(schedule: str) -> SpecInvalid:
    """Return what is wrong with a policy whose schedule has no run at all."""
    return SpecInvalid(
        Reason.SCHEDULE_NEVER_DUE,
        f"spec.schedule {schedule} is never due: none of its months has one of its days. Correct "
        "the day or the month; a CronJob of an earlier schedule stays as it is.",
    )


def overdue(due: datetime) -> Finding:
    """Return the finding about a policy whose schedule does not run."""
    return Finding(
        Reason.BACKUP_OVERDUE,
        f"The run that was due at {due:%Y-%m-%d %H:%M} did not begin. See the events of the "
        "CronJob of this policy's name, and whether the cluster's CronJob controller runs.",
    )

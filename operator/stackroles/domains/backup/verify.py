"""What follows from verifications: which set is taken, and what is said of it; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles import naming
from stackroles.agents.backup.verification_protocol import Level, VerificationOutcome
from stackroles.api.v1alpha1.backup import BackupStatus, Quarantine
from stackroles.api.v1alpha1.backup_policy import Verification
from stackroles.api.v1alpha1.backup_policy_status import (
    VerificationAgain,
    VerificationResult,
    VerificationStatus,
    VerificationTables,
)
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.backup.build_job import DATABASE_PART
from stackroles.domains.backup.build_verification import VerificationRun
from stackroles.domains.backup.decide import ScheduleTrigger
from stackroles.domains.backup.schedule import fell_behind
from stackroles.domains.backup.status import is_verified
from stackroles.workloads.conditions import Finding

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Started:
    """What a verification was started for.

    Attributes:
        backup: the Backup.
        uid: which Backup of that name; empty where its Job does not say.
    """

    backup: str
    uid: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is made of a verification: its result, and what it found."""

    result: VerificationResult
    message: str | None


def newest_verified(backups: Iterable[Object]) -> Object | None:
    """Return the newest Backup that has a set, None where there is none."""
    found = [
        backup
        for backup in backups
        if is_verified(backup.get("status") or {})
        and not backup["metadata"].get("deletionTimestamp")
    ]
    return max(
        found,
        key=lambda backup: (
            datetime.fromisoformat(backup["metadata"]["creationTimestamp"]),
            backup["metadata"]["name"],
        ),
        default=None,
    )


def verdict_of(outcome: VerificationOutcome | None, failure: str) -> Verdict:
    """Return what is made of a verification that has ended.

    Args:
        outcome: what its program left, None where it left nothing that counts.
        failure: why there is no such outcome; sentences.
    """
    if outcome is None:
        return Verdict(VerificationResult.FAILED, failure)
    names = f" ({'; '.join(outcome.names)})" if outcome.different > 1 else ""
    return Verdict(_result(outcome), f"{outcome.message}{names}" or None)


def ended(
    known: VerificationStatus,
    verdict: Verdict,
    outcome: VerificationOutcome | None,
    backup: Object | None,
    now: datetime,
) -> VerificationStatus:
    """Return the status of a level whose verification has ended.

    Args:
        known: the status so far.
        verdict: what is made of it.
        outcome: what its program left, None where it left nothing that counts.
        backup: the Backup whose set it was about, None where that is gone.
        now: when that was seen.
    """
    fields = {"result": verdict.result, "message": verdict.message, "last_time": now}
    update: dict[str, Any] = {"running": None, "waits": None}
    if runs_again(known) and known.again:
        return known.model_copy(update=update | {"again": known.again.model_copy(update=fields)})
    update |= fields | {"backup": known.running, "seconds": None, "tables": None}
    update["size_bytes"] = _size(backup, known.level) if backup else None
    if outcome is not None:
        update["seconds"] = outcome.seconds
    if outcome is not None and outcome.level is Level.DATABASE:
        update["tables"] = VerificationTables(
            compared=outcome.compared, skipped=outcome.skipped, different=outcome.different
        )
    return known.model_copy(update=update)


def runs_again(known: VerificationStatus) -> bool:
    """Return whether what is at work is another verification of a set in quarantine."""
    return bool(known.running) and known.again is not None and known.again.last_time is None


def job_of(known: VerificationStatus) -> str:
    """Return the Job of the verification that is at work."""
    return (known.again.job if runs_again(known) and known.again else known.job) or ""


def attributed(
    outcome: VerificationOutcome | None, started: Started, backup: Object | None
) -> tuple[VerificationOutcome | None, str]:
    """Return an outcome if it is of the Backup that was to be verified.

    Args:
        outcome: what the program left.
        started: what its Job was started for.
        backup: the Backup of that name as it is now, None where it is gone.

    Returns:
        The outcome, or None with why it is dropped; None and "" where there was none.
    """
    if outcome is None:
        return None, ""
    if outcome.set != started.backup:
        return None, (
            f"The outcome is dropped: it is of Backup {outcome.set}, and Backup {started.backup} "
            "was to be verified."
        )
    if backup is not None and started.uid not in ("", backup["metadata"]["uid"]):
        return None, (
            f"The outcome is dropped: Backup {started.backup} was deleted meanwhile, and another "
            "of its name made, whose set was not verified."
        )
    return outcome, ""


def adopted(
    known: Iterable[VerificationStatus], runs: Iterable[VerificationRun]
) -> dict[Level, VerificationStatus]:
    """Return the levels with what is at work by their Jobs, also where no status says so.

    A Job is made before the status that names it is written, and that may fail.
    """
    found = {status.level: status for status in known}
    for run in sorted(runs, key=lambda run: (run.due, run.again, run.name)):
        status = found.get(run.level) or VerificationStatus(level=run.level)
        last = status.last_scheduled_time
        if run.again:
            last = status.again.scheduled_time if status.again else None
        if not status.running and (last is None or run.due > last):
            found[run.level] = begun(status, run)
    return found


def begun(known: VerificationStatus, run: VerificationRun) -> VerificationStatus:
    """Return the status of a level whose verification has begun."""
    update: dict[str, Any] = {"running": run.backup, "waits": None}
    if run.again:
        again = VerificationAgain(backup=run.backup, job=run.name, scheduled_time=run.due)
        return known.model_copy(update=update | {"again": again})
    return known.model_copy(update=update | {"last_scheduled_time": run.due, "job": run.name})


def next_run(
    marks: Sequence[ScheduleTrigger], backups: Iterable[Object], known: VerificationStatus
) -> VerificationRun | None:
    """Return what a level verifies now, None for nothing.

    Args:
        marks: those that were not acted on yet, oldest first; all of them are for one verification.
        backups: all Backups of the policy.
        known: the level's status; nothing is at work.
    """
    there = tuple(backups)
    due: datetime | None
    if marks:
        backup = newest_verified(there)
        name, due = naming.child(marks[-1].name, "run"), marks[-1].created
    else:
        backup, due = _to_verify_again(there, known), known.last_scheduled_time
        name = naming.child(known.job or "", "again")
    if backup is None or due is None:
        return None
    return VerificationRun(
        name=name,
        level=known.level,
        backup=backup["metadata"]["name"],
        backup_uid=backup["metadata"]["uid"],
        due=due,
        again=not marks,
        database_bytes=_size(backup, Level.DATABASE) or 0,
    )


def _size(backup: Object, level: Level) -> int | None:
    """Return the bytes of a set that a level verifies, None where its Backup does not say."""
    status = backup.get("status") or {}
    if level is not Level.DATABASE:
        return status.get("sizeBytes")
    steps: Iterable[Object] = status.get("steps") or ()
    return next((int(step["bytes"]) for step in steps if step["name"] == DATABASE_PART), None)


def _to_verify_again(backups: Sequence[Object], known: VerificationStatus) -> Object | None:
    """Return the set in quarantine that a level verifies after the newest one, None for none.

    It is the one that was looked at longest ago, and not the one of the last time where there are
    others; once for each time that the level is due.
    """
    before, due = known.again, known.last_scheduled_time
    if due is None or known.backup is None or (before and before.scheduled_time >= due):
        return None
    newest = newest_verified(backups)
    found = [
        (before is not None and name == before.backup, mark.last_time or mark.since, name, backup)
        for backup in backups
        if is_verified(backup.get("status") or {})
        and not backup["metadata"].get("deletionTimestamp")
        and backup is not newest
        and (name := backup["metadata"]["name"]) != known.backup
        for mark in BackupStatus.model_validate(backup["status"]).quarantine
        if mark.level is known.level
    ]
    return min(found, key=lambda each: each[:3])[3] if found else None


def _result(outcome: VerificationOutcome) -> VerificationResult:
    if outcome.ok:
        return VerificationResult.PASSED
    return VerificationResult.DAMAGED if outcome.damaged else VerificationResult.FAILED


def quarantined(
    status: BackupStatus, level: Level, verdict: Verdict, now: datetime
) -> BackupStatus:
    """Return the status of the Backup that was verified; each level takes back its own mark."""
    mine = next((mark for mark in status.quarantine if mark.level is level), None)
    others = tuple(mark for mark in status.quarantine if mark.level is not level)
    if verdict.result is VerificationResult.DAMAGED:
        since = mine.since if mine else now
        mark = Quarantine(level=level, since=since, last_time=now, message=verdict.message or "")
        return status.model_copy(update={"quarantine": (*others, mark)})
    if verdict.result is VerificationResult.PASSED and mine:
        return status.model_copy(update={"quarantine": others})
    return status


def in_force(known: VerificationStatus, line: str | None, now: datetime) -> VerificationStatus:
    """Return the status with the schedule that is in force, and since when; None for none."""
    if known.schedule == line:
        return known
    update = {"schedule": line, "schedule_since": now if line else None}
    return known.model_copy(update=update)


def finding_of(
    wanted: Sequence[Verification],
    known: Iterable[VerificationStatus],
    now: datetime,
    *,
    local: bool,
) -> Finding:
    """Return what a policy says of its verifications: the worst of the levels' last results.

    Args:
        wanted: the levels of the policy.
        known: their status.
        now: the time of the observation: what has passed grows old.
        local: whether the schedules are in a time zone of their own.
    """
    levels = {item.level for item in wanted}
    mine = [status for status in known if status.level in levels]
    found = [status for status in mine if status.result]
    for result, reason in (
        (VerificationResult.DAMAGED, Reason.SET_DAMAGED),
        (VerificationResult.FAILED, Reason.VERIFICATION_FAILED),
    ):
        for status in found:
            if status.result is result:
                what = f"Level {status.level}, Backup {status.backup}: {status.message}"
                return Finding(reason, what)
    for status in mine:
        if late := _overdue(status, now, local=local):
            return Finding(Reason.VERIFICATION_OVERDUE, late)
    if len(found) < len(levels):
        return Finding(Reason.NO_VERIFICATION_YET, "Not every level has been verified yet.")
    passed = "; ".join(f"{status.level} of Backup {status.backup}" for status in found)
    return Finding(Reason.SET_VERIFIED, f"Passed: {passed}.")


def _overdue(status: VerificationStatus, now: datetime, *, local: bool) -> str:
    """Return that a level's last verification is too old, empty where it is not.

    One that is at work ends by its deadline, and is not overdue until then.
    """
    if status.running or not status.schedule or not status.schedule_since:
        return ""
    since = max(status.schedule_since, status.last_time or status.schedule_since)
    first = fell_behind(status.schedule, local=local, since=since, now=now)
    if first is None:
        return ""
    last = "none has ended yet"
    if status.last_time:
        last = f"the last one ended at {status.last_time:%Y-%m-%d %H:%M} UTC"
    why = status.waits or "See the events of the level's CronJob, whose Jobs begin one."
    return (
        f"Level {status.level} was due at {first:%Y-%m-%d %H:%M} and once more since, and {last}. "
        f"{why}"
    )

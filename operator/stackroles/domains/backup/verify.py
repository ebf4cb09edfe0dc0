"""What follows from verifications: which set is taken, and what is said of it; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles.agents.backup.verification_protocol import Level, VerificationOutcome
from stackroles.api.v1alpha1.backup import (
    BackupStatus,
    Quarantine,
    Verification,
    VerificationResult,
    VerificationStatus,
    VerificationTables,
)
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.backup.build_verification import VerificationRun
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


def ended(
    known: VerificationStatus, outcome: VerificationOutcome | None, failure: str, now: datetime
) -> VerificationStatus:
    """Return the status of a level whose verification has ended.

    Args:
        known: the status so far.
        outcome: what its program left, None where it left nothing.
        failure: why there is no outcome that counts; sentences.
        now: when that was seen.
    """
    update: dict[str, Any] = {"running": None, "last_time": now, "backup": known.running}
    if outcome is None:
        update |= {
            "result": VerificationResult.FAILED,
            "seconds": None,
            "tables": None,
            "message": failure,
        }
        return known.model_copy(update=update)
    names = f" ({'; '.join(outcome.names)})" if outcome.different > 1 else ""
    update |= {
        "result": _result(outcome),
        "seconds": outcome.seconds,
        "tables": None,
        "message": f"{outcome.message}{names}" or None,
    }
    if outcome.level is Level.DATABASE:
        update["tables"] = VerificationTables(
            compared=outcome.compared, skipped=outcome.skipped, different=outcome.different
        )
    return known.model_copy(update=update)


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
    for run in sorted(runs, key=lambda run: (run.due, run.name)):
        status = found.get(run.level) or VerificationStatus(level=run.level)
        last = status.last_scheduled_time
        if not status.running and (last is None or run.due > last):
            found[run.level] = begun(status, run)
    return found


def begun(known: VerificationStatus, run: VerificationRun) -> VerificationStatus:
    """Return the status of a level whose verification has begun."""
    update = {
        "last_scheduled_time": run.due,
        "job": run.name,
        "running": run.backup,
        "waits": None,
    }
    return known.model_copy(update=update)


def _result(outcome: VerificationOutcome) -> VerificationResult:
    if outcome.ok:
        return VerificationResult.PASSED
    return VerificationResult.DAMAGED if outcome.damaged else VerificationResult.FAILED


def quarantined(status: BackupStatus, found: VerificationStatus, now: datetime) -> BackupStatus:
    """Return the status of the Backup that was verified."""
    here = status.quarantine is not None and status.quarantine.level is found.level
    if found.result is VerificationResult.DAMAGED:
        since = status.quarantine.since if here and status.quarantine else now
        mark = Quarantine(level=found.level, since=since, message=found.message or "")
        return status.model_copy(update={"quarantine": mark})
    if found.result is VerificationResult.PASSED and here:
        return status.model_copy(update={"quarantine": None})
    return status


def finding_of(wanted: Sequence[Verification], known: Iterable[VerificationStatus]) -> Finding:
    """Return what a policy says of its verifications: the worst of the levels' last results."""
    levels = {item.level for item in wanted}
    found = [status for status in known if status.level in levels and status.result]
    for result, reason in (
        (VerificationResult.DAMAGED, Reason.SET_DAMAGED),
        (VerificationResult.FAILED, Reason.VERIFICATION_FAILED),
    ):
        for status in found:
            if status.result is result:
                what = f"Level {status.level}, Backup {status.backup}: {status.message}"
                return Finding(reason, what)
    if len(found) < len(levels):
        return Finding(Reason.NO_VERIFICATION_YET, "Not every level has been verified yet.")
    passed = "; ".join(f"{status.level} of Backup {status.backup}" for status in found)
    return Finding(Reason.SET_VERIFIED, f"Passed: {passed}.")

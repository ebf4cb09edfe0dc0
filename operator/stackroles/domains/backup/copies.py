"""What follows from copies in other repositories: which set is due, and the condition; pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from stackroles.agents.backup.protocol import RunOutcome
from stackroles.api.v1alpha1.backup_policy import RepositoryCopy
from stackroles.api.v1alpha1.backup_policy_status import CopyStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding

AGAIN: Final = timedelta(minutes=10)
"""After which a copy that failed is tried again."""


def is_due(known: CopyStatus, newest: str, now: datetime) -> bool:
    """Return whether a policy's newest verified set is to be copied now.

    A set that came before another was verified is not made up for: it would delay the newest.
    """
    if newest == known.backup:
        return False
    failed = known.failed_at if known.failed == newest else None
    return failed is None or now >= failed + AGAIN


def ended(known: CopyStatus, outcome: RunOutcome | None, failure: str, now: datetime) -> CopyStatus:
    """Return the status of a copy that has ended.

    Args:
        known: the status so far.
        outcome: what its program left, None where it left nothing.
        failure: why its Job failed, for a program that left nothing.
        now: when that was seen.
    """
    update: dict[str, Any] = {"running": None, "waits": None}
    if outcome is not None and outcome.ok:
        update |= {
            "backup": known.running,
            "copied_at": now,
            "bytes": outcome.stored,
            "failed": None,
            "failed_at": None,
            # A copy whose retention failed is one; the message says what was not removed.
            "message": outcome.message or None,
        }
    else:
        left = outcome.message if outcome else ""
        why = left or f"The copy's Job did not succeed: {failure or 'it ended without a report'}."
        update |= {"failed": known.running, "failed_at": now, "message": why}
    return known.model_copy(update=update)


def finding_of(wanted: Sequence[RepositoryCopy], known: Iterable[CopyStatus]) -> Finding:
    """Return the condition of a policy's copies: the first that failed, else those that are due."""
    names = {item.name for item in wanted}
    found = [status for status in known if status.name in names]
    for status in found:
        if status.failed:
            what = f"Backup {status.failed} into {status.name}: {status.message}"
            return Finding(Reason.COPY_FAILED, what)
    copied = [status for status in found if status.backup]
    if len(copied) < len(names):
        missing = sorted(names - {status.name for status in copied})
        return Finding(Reason.NOT_COPIED_YET, f"No set is there yet: {', '.join(missing)}.")
    return Finding(
        Reason.SET_COPIED,
        "; ".join(f"{status.name} has {status.backup}" for status in copied) + ".",
    )

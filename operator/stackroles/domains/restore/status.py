"""The findings about a Restore; pure."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.api.v1alpha1.restore import Preflight, RestoreStatus
from stackroles.workloads.conditions import Finding
from stackroles.workloads.run_conditions import RunReasons

REASONS: Final = RunReasons(
    good=Reason.RESTORED,
    failed=frozenset({Reason.RESTORE_FAILED, Reason.RESTORE_BLOCKED, Reason.RESTORE_CONSENT}),
    moving=frozenset({Reason.RESTORE_RUNNING, Reason.RESTORE_QUEUED}),
)
_ANSWERED: Final = frozenset({Reason.RESTORE_CHECKED, Reason.RESTORE_CONSENT})
_ENDED: Final = frozenset({Reason.RESTORED, Reason.RESTORE_FAILED})


def is_ended(status: Mapping[str, Any]) -> bool:
    """Return whether a restore has ended, well or badly; such a one is never touched again."""
    return any(
        condition.get("type") == ConditionType.COMPLETE.value and condition.get("reason") in _ENDED
        for condition in status.get("conditions") or ()
    )


def is_answered(status: RestoreStatus, generation: int) -> bool:
    """Return whether a restore has found what was asked, and only another spec lets it go on."""
    return any(
        condition.type == ConditionType.COMPLETE.value
        and condition.reason in _ANSWERED
        and condition.observed_generation == generation
        for condition in status.conditions
    )


def running(phase: str, message: str) -> Finding:
    """Return the finding about a restore that is under way."""
    return Finding(Reason.RESTORE_RUNNING, f"{phase}: {message}" if message else f"{phase}.")


def blocked(found: Preflight) -> Finding:
    """Return the finding about a restore that lacks something."""
    return Finding(Reason.RESTORE_BLOCKED, f"Nothing was stopped. {' '.join(found.missing)}")


def checked(found: Preflight) -> Finding:
    """Return the finding about a dry run that found nothing missing."""
    makes = f" A restore would make: {' '.join(found.makes)}" if found.makes else ""
    loses = f" A restore would lose: {' '.join(found.overwrites)}" if found.overwrites else ""
    return Finding(
        Reason.RESTORE_CHECKED,
        f"Nothing is missing, and nothing was changed.{makes}{loses} Set spec.dryRun to false to "
        "begin.",
    )


def consent_required(found: Preflight, cloud: str) -> Finding:
    """Return the finding about a restore that the user has not consented to."""
    return Finding(
        Reason.RESTORE_CONSENT,
        f"Nothing was stopped. {' '.join(found.overwrites)} To consent, set spec.overwrite to "
        f"{cloud}.",
    )


def another(name: str) -> Finding:
    """Return the finding about a restore while another one of the cloud is under way."""
    return Finding(
        Reason.RESTORE_QUEUED, f"Restore {name} of this cloud is under way; it ends first."
    )


def restored(seconds: int, tables: int | None) -> Finding:
    """Return the finding about a restore that ended well."""
    held = f" The copy has {tables} tables of services." if tables is not None else ""
    return Finding(
        Reason.RESTORED, f"The cloud serves again, {seconds} s after its APIs were paused.{held}"
    )


def failed(why: str, *, made: bool = False) -> Finding:
    """Return the finding about a restore that was given up.

    Args:
        why: why.
        made: whether it had made the cloud.
    """
    left = "The cloud goes on with what it had."
    if made:
        left = "The cloud that it made has no data, and its database rests."
    return Finding(Reason.RESTORE_FAILED, f"{why} {left} Correct that, and apply a new Restore.")

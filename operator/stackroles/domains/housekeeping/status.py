"""What a run's Job left, and what a cloud's status reports of its housekeeping; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles.agents import wire
from stackroles.agents.housekeeping.protocol import HousekeepingOutcome, Mode
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.conditions import ConditionType, Reason, reason_of
from stackroles.api.v1alpha1.housekeeping import (
    Housekeeping,
    HousekeepingMode,
    HousekeepingResult,
    ServiceHousekeeping,
)
from stackroles.workloads.conditions import Finding
from stackroles.workloads.listing import list_some
from stackroles.workloads.pod import containers_of, failure_message
from stackroles.workloads.step import ending_of

Object = Mapping[str, Any]
_NAMED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class HousekeepingState:
    """How a cloud's housekeeping stands.

    Attributes:
        runs: the last run of each service.
        health: whether rows are counted and removed as declared; None where nothing is declared.
        children: records of its children, as `status.children` has them; None while not known.
    """

    runs: tuple[ServiceHousekeeping, ...] = ()
    health: Finding | None = None
    children: tuple[Object, ...] | None = None


def remembered_housekeeping(previous: CloudControllerStatus) -> HousekeepingState:
    """Return how it stood by a status: what is known of it when an operator begins."""
    kind = ConditionType.HOUSEKEEPING_FAILING
    known = next((c for c in previous.conditions if c.type == kind), None)
    reason = reason_of(known.reason) if known else None
    health = Finding(reason, known.message) if known and reason else None
    return HousekeepingState(runs=previous.housekeeping, health=health)


def result_of(
    service: str, mode: HousekeepingMode, days: int, job: Object, pods: Iterable[Object]
) -> ServiceHousekeeping | None:
    """Return how a run has ended, None while it has not.

    Success is never concluded from an exit code alone.

    Args:
        service: the service.
        mode: what the run does.
        days: the age that is declared, for a run that does not say its own.
        job: its Job.
        pods: that Job's pods.
    """
    ending = ending_of(job)
    if not ending:
        return None
    made = sorted(pods, key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    outcomes = [found for pod in made if (found := _outcome(pod)) is not None]
    outcome = outcomes[-1] if outcomes else HousekeepingOutcome(mode=Mode(mode.value), days=days)
    good = outcome.ok and ending["type"] == "Complete"
    message = outcome.message
    if not good and not message:
        left = next((text for pod in reversed(made) if (text := failure_message(pod))), "")
        why = left or ending.get("message") or "it left no outcome"
        message = f"Job {job['metadata']['name']}: {why}"
    return ServiceHousekeeping(
        service=service,
        mode=mode,
        older_than_days=outcome.days,
        last_time=began(job),
        result=HousekeepingResult.SUCCEEDED if good else HousekeepingResult.FAILED,
        rows=outcome.rows,
        left=outcome.left,
        seconds=outcome.seconds,
        message=message or None,
    )


def began(job: Object) -> datetime:
    """Return when a run began."""
    return datetime.fromisoformat(job["metadata"]["creationTimestamp"])


def _outcome(pod: Object) -> HousekeepingOutcome | None:
    for container in containers_of(dict(pod)):
        ended = container.get("state", {}).get("terminated") or {}
        try:
            return wire.loads(HousekeepingOutcome, ended.get("message") or "")
        except wire.WireError:
            continue  # it ended without one, or still runs
    return None


def assess_housekeeping(
    declared: Housekeeping,
    runs: Iterable[ServiceHousekeeping],
    refused: Sequence[str],
    problems: Iterable[str],
) -> Finding:
    """Return whether rows are counted and removed as declared.

    Args:
        declared: what the user declares.
        runs: the last run of each service.
        refused: services whose rows may not be removed yet.
        problems: what keeps the schedule, or a run under way, from going on.
    """
    failed = [
        f"{run.service}: the last {run.mode.value} failed: {run.message or 'without a message'}"
        for run in runs
        if run.result is HousekeepingResult.FAILED
    ]
    if wrong := [*problems, *failed]:
        return Finding(Reason.HOUSEKEEPING_FAILED, f"{' '.join(wrong)} The next run tries again.")
    if refused:
        return Finding(
            Reason.REPORT_REQUIRED,
            f"Nothing is removed of {list_some(list(refused), _NAMED)}: no Report has counted rows "
            f"that were deleted more than {declared.older_than_days} days ago. Set "
            "spec.housekeeping.mode to Report, see the rows in status.housekeeping after its next "
            "run, and then set Purge.",
        )
    return Finding(Reason.HOUSEKEEPING_SOUND, "The last run of each service succeeded.")

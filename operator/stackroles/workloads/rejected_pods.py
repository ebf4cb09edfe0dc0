"""Pods that the API server rejects: most controllers report it by Events, few by a condition."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding

Object = Mapping[str, Any]

FAILED_CREATE = "FailedCreate"
# What a controller takes to make pods when nothing is wrong.
CREATION_GRACE = timedelta(seconds=15)
# Controllers try again and again, at most 1000 s apart.
_RETRIED = timedelta(minutes=20)


def lacks_pods(controller: Object, pods: Sequence[Object], wanted: int, now: datetime) -> bool:
    """Return whether a workload has fewer pods than it shall have, and none on the way out or in.

    Args:
        controller: the workload or Job.
        pods: its pods.
        wanted: how many it shall have.
        now: the time of the observation.
    """
    metadata = controller["metadata"]
    if any(pod["metadata"].get("deletionTimestamp") for pod in pods):
        return False
    if now - datetime.fromisoformat(metadata["creationTimestamp"]) < CREATION_GRACE:
        return False
    return len(pods) < wanted


def assess_rejections(
    controller: Object, pods: Iterable[Object], events: Iterable[Object], now: datetime
) -> Finding | None:
    """Return why a controller's pods are rejected, None where no event newer than its pods says so.

    Args:
        controller: the workload or Job that lacks pods.
        pods: those it has.
        events: Events about it of reason FailedCreate.
        now: the time of the observation.
    """
    made = [datetime.fromisoformat(pod["metadata"]["creationTimestamp"]) for pod in pods]
    since = max([*made, now - _RETRIED])
    reported = [
        (at, str(event.get("note", ""))) for event in events if (at := _time(event)) > since
    ]
    if not reported:
        return None
    metadata = controller["metadata"]
    return rejected(f"{controller['kind']} {metadata['name']}", max(reported)[1])


def rejected(what: str, message: str) -> Finding:
    """Return the finding that pods are rejected, with the message of who rejected them."""
    return Finding(
        Reason.PODS_REFUSED,
        f"Pods of {what} are refused: {message.rstrip('.')}. Change the quota or the policy that "
        "it names.",
    )


def _time(event: Object) -> datetime:
    """Return when an Event last happened; older recorders fill other fields than newer ones."""
    value = (
        (event.get("series") or {}).get("lastObservedTime")
        or event.get("deprecatedLastTimestamp")
        or event.get("eventTime")
        or event["metadata"]["creationTimestamp"]
    )
    return datetime.fromisoformat(value)

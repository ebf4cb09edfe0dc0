"""Which member of a StatefulSet to replace, where the operator asks for a check first; pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Object = Mapping[str, Any]

REVISION = "controller-revision-hash"


def outdated(workload: Object | None, pods: Sequence[Object]) -> list[Object]:
    """Return the pods of an older template; none while that is not known."""
    if workload is None:
        return []
    status = workload.get("status", {})
    if status.get("observedGeneration", 0) < workload["metadata"].get("generation", 0):
        return []
    revision = status.get("updateRevision")
    return [
        pod
        for pod in pods
        if revision and pod["metadata"].get("labels", {}).get(REVISION) != revision
    ]


def next_to_replace(
    pods: Sequence[Object],
    stale: Sequence[Object],
    *,
    checked: bool,
    serves: Callable[[Object], bool],
    is_stuck: Callable[[Object], bool],
) -> Object | None:
    """Return the pod to delete now, or None.

    Args:
        pods: all members' pods.
        stale: those of an older template.
        checked: whether the new template has passed its check.
        serves: returns whether a pod is ready.
        is_stuck: returns whether a pod will not become ready by itself: it has nothing to lose.
    """
    if any(pod["metadata"].get("deletionTimestamp") for pod in pods):
        return None
    stuck = [pod for pod in stale if is_stuck(pod)]
    if stuck:
        return stuck[-1]
    if not checked:
        return None
    resting = [pod for pod in stale if not serves(pod)]
    if resting:
        return resting[-1]
    return stale[-1] if stale and all(serves(pod) for pod in pods) else None

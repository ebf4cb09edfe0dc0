"""What keeps a pod from serving, as reported by whoever rejected or ended it."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import ANNOTATION_CLUSTERING
from stackroles.workloads.conditions import Finding
from stackroles.workloads.log_excerpt import summarize

Object = Mapping[str, Any]

_PULL = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"}
    | {"RegistryUnavailable", "ImageInspectError"}
)
_CONFIG = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_CLASS_MISSING = re.compile(r'storageclass\S* "?(?P<name>[^" ]+)"? not found')
# A pod is unschedulable for a moment whenever its volume is being made.
SCHEDULING_GRACE = timedelta(seconds=10)
READY_PATIENCE = timedelta(minutes=15)
# A pod's deletionTimestamp is the end of its grace period; a kubelet that lives acts in seconds.
GONE_PATIENCE = timedelta(minutes=3)


def assess_pod(pod: Object, now: datetime) -> Finding | None:
    """Return why a pod does not serve and will not by itself; None while it may still.

    Args:
        pod: the pod with its status.
        now: the time of the observation.
    """
    if leaves := pod["metadata"].get("deletionTimestamp"):
        return _assess_leaving(pod, now - datetime.fromisoformat(leaves))
    if is_ready(pod):
        return None
    status = pod.get("status", {})
    name = pod["metadata"]["name"]
    for container in containers_of(pod):
        finding = _assess_container(name, container)
        if finding:
            return finding
    return _assess_scheduling(name, status, now) or _assess_patience(name, status, now)


def _assess_leaving(pod: Object, overdue: timedelta) -> Finding | None:
    """Return why a pod that is being deleted is still there; its successor waits for its end."""
    if overdue < GONE_PATIENCE:
        return None
    name, node = pod["metadata"]["name"], pod.get("spec", {}).get("nodeName") or "its node"
    return Finding(
        Reason.NOT_BECOMING_READY,
        f"Pod {name} should have ended {int(overdue.total_seconds() // 60)} minutes ago and the "
        f"kubelet of {node} does not say so. Bring the machine back; or, where it is off for good, "
        f"delete its Node: kubectl delete node {node}",
    )


def is_ready(pod: Object) -> bool:
    """Return whether a pod passes its readiness checks."""
    condition = condition_of(pod.get("status", {}), "Ready")
    return condition is not None and condition.get("status") == "True"


def is_gated(pod: Object) -> bool:
    """Return whether a pod's program runs behind a gate, which the proxies ask."""
    return ANNOTATION_CLUSTERING in pod["metadata"].get("annotations", {})


def runs_container(pod: Object, name: str) -> bool:
    """Return whether a container of a pod runs, so that its log can be read."""
    return any(c["name"] == name and "running" in c.get("state", {}) for c in containers_of(pod))


def termination_message(container: Object) -> str:
    """Return the last termination message of a container, empty when it never ended.

    With `terminationMessagePolicy: FallbackToLogsOnError` that is the end of its log.
    """
    for state in ("state", "lastState"):
        ended = container.get(state, {}).get("terminated")
        if ended:
            return summarize(ended.get("message") or "")
    return ""


def failure_message(pod: Object) -> str:
    """Return how the container of a one-shot pod failed: its exit code and termination message."""
    status = pod.get("status", {})
    for container in containers_of(pod):
        ended = container.get("state", {}).get("terminated")
        if ended and ended.get("exitCode"):
            message = summarize(ended.get("message") or "")
            return f"{container['name']}: {_how_it_ended(ended)}{': ' if message else ''}{message}"
    return summarize(str(status.get("message") or status.get("reason") or ""))


def containers_of(pod: Object) -> list[Object]:
    """Return the states of a pod's containers, in the order in which they are started."""
    status = pod.get("status", {})
    return [*_containers(status, "init"), *_containers(status, "")]


def _assess_container(pod: str, container: Object) -> Finding | None:
    waiting = container.get("state", {}).get("waiting", {})
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    where = f"Pod {pod}, container {container['name']}"
    if reason in _PULL:
        return Finding(
            Reason.IMAGE_PULL_FAILED,
            f"{where}: image {container.get('image')} cannot be pulled ({message or reason}). "
            "Correct spec.images or the role's image, or make the registry reachable.",
        )
    if reason in _CONFIG:
        return Finding(
            Reason.CONTAINER_CONFIG_INVALID,
            f"{where} cannot be made: {message or reason}. Bring what it names.",
        )
    ended = container.get("lastState", {}).get("terminated") or container.get("state", {}).get(
        "terminated"
    )
    looping = reason == "CrashLoopBackOff" or container.get("restartCount", 0) > 1
    if not looping or not ended or not (ended.get("exitCode") or ended.get("signal")):
        return None
    message = summarize(ended.get("message") or "")
    advice = " Raise the role's memory limit." if ended.get("reason") == "OOMKilled" else ""
    output = f" Last output: {message}" if message else ""
    return Finding(
        Reason.CRASHING,
        f"{where} ended {container.get('restartCount', 0)} times, last with "
        f"{_how_it_ended(ended)}.{advice}{output}",
    )


def _assess_scheduling(pod: str, status: Object, now: datetime) -> Finding | None:
    scheduled = condition_of(status, "PodScheduled")
    if scheduled is None or scheduled.get("status") != "False":
        return None
    since = time_of(scheduled.get("lastTransitionTime"))
    if since is None or now - since < SCHEDULING_GRACE:
        return None
    message = scheduled.get("message", "")
    missing = _CLASS_MISSING.search(message)
    if missing:
        return storage_class_missing(f"Pod {pod}", missing["name"])
    if "PersistentVolumeClaim" in message or "persistentvolumeclaim" in message:
        return Finding(
            Reason.VOLUME_PENDING,
            f"Pod {pod} waits for its volume: {message}. See the claim's events.",
        )
    return Finding(
        Reason.UNSCHEDULABLE,
        f"Pod {pod} fits no node: {message} Change the role's placement or resources, or add "
        "such a node.",
    )


# With its StatefulSet a pending claim's class can be changed; pods that run are not touched.
_ANEW = (
    "delete the role's StatefulSet with kubectl delete --cascade=orphan, and its pending claims: "
    "their class cannot change. They are made again; volumes that exist stay as they are."
)


def storage_class_missing(what: str, name: str) -> Finding:
    """Return the finding that a storage class does not exist."""
    return Finding(
        Reason.STORAGE_CLASS_MISSING,
        f"{what}: storage class {name} does not exist. Create it; or name another one in "
        f"spec.storageClassName or in the role's storage, and {_ANEW}",
    )


def default_class_missing(what: str) -> Finding:
    """Return the finding that no class is named and the cluster has no default one."""
    return Finding(
        Reason.STORAGE_CLASS_MISSING,
        f"{what} names no storage class, and the cluster has no default one. Mark a class as the "
        f"default; or name one in spec.storageClassName or in the role's storage, and {_ANEW}",
    )


def _assess_patience(pod: str, status: Object, now: datetime) -> Finding | None:
    started = time_of(status.get("startTime"))
    if status.get("phase") != "Running" or started is None or now - started < READY_PATIENCE:
        return None
    lost = condition_of(status, "Ready")
    since = time_of((lost or {}).get("lastTransitionTime"))
    if since is None or now - since < READY_PATIENCE:
        return None
    minutes = int((now - since).total_seconds() // 60)
    return Finding(
        Reason.NOT_BECOMING_READY,
        f"Pod {pod} runs but has not been ready for {minutes} minutes. Read its log: "
        f"kubectl logs {pod}",
    )


def first_finding(pods: Iterable[Object], now: datetime) -> Finding | None:
    """Return the first pod's finding, None when every pod is well or may still become so."""
    return next((found for pod in pods if (found := assess_pod(pod, now))), None)


def _how_it_ended(ended: Object) -> str:
    reason = ended.get("reason", "")
    if ended.get("signal"):
        return f"signal {ended['signal']}"
    code = f"exit code {ended.get('exitCode')}"
    return f"{code} ({reason})" if reason not in ("", "Error", "Completed") else code


def _containers(status: Object, kind: str) -> list[Object]:
    key = "initContainerStatuses" if kind else "containerStatuses"
    return list(status.get(key) or ())


def condition_of(status: Object, kind: str) -> Object | None:
    """Return a condition of an object's status, None where it has none of that type."""
    return next((c for c in status.get("conditions") or () if c.get("type") == kind), None)


def time_of(value: Any) -> datetime | None:
    """Return a time as the API writes it, None without any."""
    return datetime.fromisoformat(str(value)) if value else None

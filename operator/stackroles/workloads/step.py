"""How a bootstrap step stands: its Job and pods, observed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

from stackroles.agents.text import shorten
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding
from stackroles.workloads.log_excerpt import summarize
from stackroles.workloads.pod import containers_of, failure_message, first_finding

Object = Mapping[str, Any]

# A failed Job is deleted, and so the step tried again, after the time it took, within these bounds.
RETRY_SOONEST = timedelta(seconds=30)
RETRY_LATEST = timedelta(minutes=5)
# The first failure may be a moment's; from the second on it is reported.
FAILURES_TOLD = 2
# A step that runs longer is worth reading its log, of which one line is shown meanwhile.
LONG = timedelta(minutes=1)
LINE = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class StepState:
    """One step as observed.

    Attributes:
        node: its name in the bring-up graph.
        done: whether it ended well.
        problem: why it does not.
        retry_at: when its failed Job shall be deleted; None unless it failed for good.
        note: what it is doing, for a progress message.
    """

    node: str
    done: bool = False
    problem: Finding | None = None
    retry_at: datetime | None = None
    note: str = ""


def is_complete(job: Object) -> bool:
    """Return whether a Job has ended well."""
    return "Complete" in _ended(job)


def ending_of(job: Object) -> Object:
    """Return the condition by which a Job has ended, empty while it has not."""
    return next(
        (
            condition
            for condition in job.get("status", {}).get("conditions", [])
            if condition["type"] in ("Complete", "Failed") and condition["status"] == "True"
        ),
        {},
    )


def log_wanted(pod: Object, now: datetime) -> str | None:
    """Return the container whose log says more of a step than its pod's status does.

    Args:
        pod: a pod of the step's Job.
        now: the time of the observation.

    Returns:
        A container that runs for long, or ended without a termination message; None without one.
    """
    for container in containers_of(pod):
        state = container.get("state", {})
        ended, running = state.get("terminated"), state.get("running")
        if ended and ended.get("exitCode") and not ended.get("message"):
            return str(container["name"])
        if running and _age(running, now) >= LONG:
            return str(container["name"])
    return None


def assess_step(
    node: str,
    advice: str,
    job: Object | None,
    pods: Sequence[Object],
    now: datetime,
    *,
    logs: Mapping[str, str] = MappingProxyType({}),
) -> StepState:
    """Return how a step stands.

    Args:
        node: its name in the graph.
        advice: what a person does when it fails.
        job: the Job of its present inputs, None where it does not exist.
        pods: that Job's pods.
        now: the time of the observation.
        logs: the end of the log of each pod of which `log_wanted` names a container.
    """
    if job is None:
        return StepState(node=node)
    status, ended = job.get("status", {}), _ended(job)
    if "Complete" in ended:
        return StepState(node=node, done=True)
    output = _last_failure(pods, logs)
    if "Failed" in ended:
        failed = ended["Failed"]
        message = output or failed.get("message") or failed.get("reason", "")
        return StepState(
            node=node,
            problem=_failed(node, advice, message),
            retry_at=_retry_at(job, failed, now),
        )
    attempts = status.get("failed", 0)
    if attempts >= FAILURES_TOLD or any(_is_overdue(pod) for pod in pods):
        return StepState(node=node, problem=_failed(node, advice, output))
    waiting = [pod for pod in pods if pod.get("status", {}).get("phase") in ("Pending", "Running")]
    note = _progress(waiting, logs, now) or (
        f"tried {attempts + 1} times" if attempts else "running"
    )
    return StepState(node=node, problem=first_finding(waiting, now), note=note)


def _ended(job: Object) -> dict[str, Object]:
    conditions = job.get("status", {}).get("conditions") or ()
    return {c["type"]: c for c in conditions if c.get("status") == "True"}


def failed_step(node: str, advice: str, error: str) -> StepState:
    """Return a step that the operator itself tried in vain."""
    return StepState(node=node, problem=_failed(node, advice, error))


def _failed(node: str, advice: str, output: str) -> Finding:
    hint = f" What to do: {advice.rstrip('.')}." if advice else ""
    cause = output.strip() or "it left no message"
    return Finding(
        Reason.STEP_FAILED, f"Step {node} failed: {cause}.{hint} It is tried again by itself."
    )


def _last_failure(pods: Sequence[Object], logs: Mapping[str, str]) -> str:
    failed = [pod for pod in pods if pod.get("status", {}).get("phase") == "Failed"]
    failed.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    if not failed:
        return ""
    last = failed[-1]
    parts = (
        "it did not end in time" if _is_overdue(last) else "",
        failure_message(last),
        summarize(logs.get(last["metadata"]["name"], "")),
    )
    return ": ".join(part for part in parts if part)


def _is_overdue(pod: Object) -> bool:
    status = pod.get("status", {})
    return bool(status.get("phase") == "Failed" and status.get("reason") == "DeadlineExceeded")


def _progress(pods: Sequence[Object], logs: Mapping[str, str], now: datetime) -> str:
    """Return since when a step runs and its last output, once that is long."""
    for pod in pods:
        lines = summarize(logs.get(pod["metadata"]["name"], "")).splitlines()
        for container in containers_of(pod):
            running = container.get("state", {}).get("running")
            if running and _age(running, now) >= LONG:
                minutes = int(_age(running, now).total_seconds() // 60)
                last = f", last output: {shorten(lines[-1], LINE)}" if lines else ""
                return f"{container['name']} has run for {minutes} min{last}"
    return ""


def _age(state: Object, now: datetime) -> timedelta:
    started = state.get("startedAt")
    return now - datetime.fromisoformat(started) if started else timedelta()


def _retry_at(job: Object, failed: Object, now: datetime) -> datetime:
    at = failed.get("lastTransitionTime")
    ended = datetime.fromisoformat(at) if at else now
    started = job.get("status", {}).get("startTime")
    took = ended - datetime.fromisoformat(started) if started else RETRY_SOONEST
    return ended + min(max(took, RETRY_SOONEST), RETRY_LATEST)

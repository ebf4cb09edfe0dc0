"""How a bootstrap step stands: its Job and pods, observed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.status.conditions import Finding
from stackroles.status.pod import failed_words, first_finding

Object = Mapping[str, Any]

# A failed Job is deleted, and so the step tried again, after the time it took, within these bounds.
RETRY_SOONEST = timedelta(seconds=30)
RETRY_LATEST = timedelta(minutes=5)
# The first failure may be a moment's; from the second on a person is told.
FAILURES_TOLD = 2


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


def assess_step(
    node: str, advice: str, job: Object | None, pods: Sequence[Object], now: datetime
) -> StepState:
    """Return how a step stands.

    Args:
        node: its name in the graph.
        advice: what a person does when it fails.
        job: the Job of its present inputs, None where it does not exist.
        pods: that Job's pods.
        now: the time of this look.
    """
    if job is None:
        return StepState(node=node)
    status = job.get("status", {})
    ended = {c["type"]: c for c in status.get("conditions") or () if c.get("status") == "True"}
    if "Complete" in ended:
        return StepState(node=node, done=True)
    words = _last_failure(pods)
    if "Failed" in ended:
        failed = ended["Failed"]
        message = words or failed.get("message") or failed.get("reason", "")
        return StepState(
            node=node,
            problem=_failed(node, advice, message),
            retry_at=_retry_at(job, failed, now),
        )
    attempts = status.get("failed", 0)
    if attempts >= FAILURES_TOLD:
        return StepState(node=node, problem=_failed(node, advice, words))
    waiting = [pod for pod in pods if pod.get("status", {}).get("phase") in ("Pending", "Running")]
    note = f"tried {attempts + 1} times" if attempts else "running"
    return StepState(node=node, problem=first_finding(waiting, now), note=note)


def failed_step(node: str, advice: str, error: str) -> StepState:
    """Return a step that the operator itself tried in vain."""
    return StepState(node=node, problem=_failed(node, advice, error))


def _failed(node: str, advice: str, words: str) -> Finding:
    hint = f" What to do: {advice.rstrip('.')}." if advice else ""
    said = words.strip() or "it said nothing"
    return Finding(
        Reason.STEP_FAILED, f"Step {node} failed: {said}.{hint} It is tried again by itself."
    )


def _last_failure(pods: Sequence[Object]) -> str:
    failed = [pod for pod in pods if pod.get("status", {}).get("phase") == "Failed"]
    failed.sort(key=lambda pod: str(pod["metadata"].get("creationTimestamp", "")))
    return failed_words(failed[-1]) if failed else ""


def _retry_at(job: Object, failed: Object, now: datetime) -> datetime:
    at = failed.get("lastTransitionTime")
    ended = datetime.fromisoformat(at) if at else now
    started = job.get("status", {}).get("startTime")
    took = ended - datetime.fromisoformat(started) if started else RETRY_SOONEST
    return ended + min(max(took, RETRY_SOONEST), RETRY_LATEST)

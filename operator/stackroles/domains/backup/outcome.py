"""What the programs of Jobs write: their progress, and at last their outcome."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from stackroles.agents import wire
from stackroles.agents.backup.protocol import PROGRESS_PREFIX, ProgressLine, RunOutcome
from stackroles.agents.backup.verification_protocol import VerificationOutcome
from stackroles.api.v1alpha1.backup import BackupProgress
from stackroles.workloads.pod import failure_message

Object = Mapping[str, Any]
# Jobs and pods are watched each by itself: a Job may be seen to have ended before its pod is.
_POD_LAG = timedelta(seconds=60)


def awaits_pod(ending: Object, pods: Sequence[Object], now: datetime) -> bool:
    """Return whether a Job's pod is not seen to have ended yet, so that its message is to come.

    Args:
        ending: the condition by which the Job has ended.
        pods: its pods as far as they are seen; those of a failed Job may be deleted.
        now: the time of the observation.
    """
    if _has_ended(pods) or (not pods and ending["type"] == "Failed"):
        return False
    return now - datetime.fromisoformat(ending["lastTransitionTime"]) < _POD_LAG


def _has_ended(pods: Iterable[Object]) -> bool:
    """Return whether a pod is seen to have ended, so that nothing is left to wait for."""
    return any(pod.get("status", {}).get("phase") in ("Succeeded", "Failed") for pod in pods)


def termination_text(pods: Iterable[Object], container: str) -> str:
    """Return what a container's program left as its termination message, empty for nothing."""
    for pod in pods:
        for found in pod.get("status", {}).get("containerStatuses") or ():
            text = found.get("state", {}).get("terminated", {}).get("message", "")
            if found["name"] == container and text:
                return str(text)
    return ""


def failure_text(ending: Object, pods: Iterable[Object]) -> str:
    """Return why a Job failed that left no outcome, empty where nothing says why.

    Args:
        ending: the condition by which the Job has ended.
        pods: its pods.
    """
    message = next((text for pod in pods if (text := failure_message(pod))), "")
    return f"{ending.get('reason', '')} {ending.get('message', '')} {message}".strip()


def read_outcome(text: str) -> RunOutcome | None:
    """Return the outcome in a termination message, None when the text is not one.

    Success is never concluded from an exit code alone: a Job that ended well without an outcome
    is a failed backup, and so is one whose set is not verified.
    """
    try:
        outcome = wire.loads(RunOutcome, text)
    except wire.WireError:
        return None
    return replace(outcome, ok=outcome.ok and outcome.verified)


def read_verification(text: str) -> VerificationOutcome | None:
    """Return the outcome in a verification's termination message, None when there is none."""
    try:
        return wire.loads(VerificationOutcome, text)
    except wire.WireError:
        return None


def read_progress(log: str) -> BackupProgress | None:
    """Return the newest progress in the end of a run's log, None when there is none yet."""
    for line in reversed(log.splitlines()):
        if not line.startswith(PROGRESS_PREFIX):
            continue
        try:
            progress = wire.loads(ProgressLine, line.removeprefix(PROGRESS_PREFIX))
            return BackupProgress(
                part=progress.part,
                bytes=progress.bytes,
                bytes_per_second=progress.bytes_per_second,
                message=progress.trouble or None,
            )
        except wire.WireError:
            continue  # cut off, or not of this version
    return None

"""What the programs of Jobs write: their progress, and at last their outcome."""

from dataclasses import replace

from stackroles.agents import wire
from stackroles.agents.backup.protocol import PROGRESS_PREFIX, ProgressLine, RunOutcome
from stackroles.agents.backup.verification_protocol import VerificationOutcome
from stackroles.api.v1alpha1.backup import BackupProgress


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

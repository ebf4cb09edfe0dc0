"""What the program of a backup's Job writes: its progress, and at last its outcome."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackroles.agents.backup.progress import PREFIX
from stackroles.api.v1alpha1.backup import BackupProgress, BackupStep
from stackroles.api.v1alpha1.common import dump


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """How the Job's program says the run ended.

    Attributes:
        oldest: the oldest verified run whose set is left in the repository.
        steps: dicts as in BackupStatus.steps.
    """

    ok: bool
    reason: str = ""
    message: str = ""
    verified: bool = False
    snapshot: str | None = None
    position: str | None = None
    stored: int = 0
    oldest: str = ""
    steps: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes read in all."""
        return sum(int(step.get("bytes", 0)) for step in self.steps)


def read_outcome(text: str) -> RunOutcome | None:
    """Return the outcome in a termination message, None when the text is not one.

    Success is never concluded from an exit code alone: a Job that ended well without an outcome
    is a failed backup.
    """
    try:
        content = json.loads(text)
    except ValueError:
        return None
    if not isinstance(content, dict) or "ok" not in content:
        return None
    try:
        steps = tuple(dump(BackupStep.model_validate(step)) for step in content.get("steps") or ())
        stored = int(content.get("stored", 0))
    except (TypeError, ValueError):
        return None
    return RunOutcome(
        ok=bool(content["ok"]) and bool(content.get("verified")),
        reason=str(content.get("reason", "")),
        message=str(content.get("message", "")),
        verified=bool(content.get("verified")),
        snapshot=content.get("snapshot"),
        position=content.get("position"),
        stored=stored,
        oldest=str(content.get("oldest", "")),
        steps=steps,
    )


def read_progress(log: str) -> BackupProgress | None:
    """Return the newest progress in the end of a run's log, None when there is none yet."""
    for line in reversed(log.splitlines()):
        if not line.startswith(PREFIX):
            continue
        try:
            content = json.loads(line.removeprefix(PREFIX))
            return BackupProgress(
                part=str(content["part"]),
                bytes=int(content["bytes"]),
                bytes_per_second=int(content["bytesPerSecond"]),
                message=str(content["trouble"]) or None,
            )
        except (ValueError, KeyError, TypeError):
            continue  # cut off, or not of this version
    return None

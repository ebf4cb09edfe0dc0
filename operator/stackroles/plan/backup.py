"""Decisions of a backup: its source, which marks of the schedule are due, how it ended."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Member:
    """A database member as the cluster shows it."""

    name: str
    address: str
    ready: bool


def choose_source(members: Sequence[Member], writer: str | None) -> Member | None:
    """Return the member to copy from, or None when there is none to be had now.

    A copy costs its member disk and memory bandwidth, so the writer is never taken while the
    cluster has other members at all; a database of one member has no choice. Among several the
    highest ordinal is taken: it is the last to become the writer.
    """
    ready = [member for member in members if member.ready and member.address]
    if len(members) == 1:
        return ready[0] if ready else None
    if writer is None:
        return None
    others = [member for member in ready if member.name != writer]
    return max(others, key=lambda member: _ordinal(member.name), default=None)


def _ordinal(pod: str) -> int:
    digits = pod.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


@dataclass(frozen=True, slots=True)
class Mark:
    """A Job that the schedule left: a run is wanted."""

    name: str
    created: datetime


def due(marks: Sequence[Mark], last: datetime | None) -> tuple[Mark, ...]:
    """Return the marks to act on, oldest first: those younger than the last one acted on.

    Comparing with the last one, not with existing Backups, keeps a Backup that retention or a
    person deleted from coming back.
    """
    fresh = (mark for mark in marks if last is None or mark.created > last)
    return tuple(sorted(fresh, key=lambda mark: (mark.created, mark.name)))


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the Job's program says the run ended.

    Attributes:
        steps: dicts as in BackupStatus.steps.
    """

    ok: bool
    reason: str = ""
    message: str = ""
    verified: bool = False
    snapshot: str | None = None
    position: str | None = None
    stored: int = 0
    steps: tuple[Mapping[str, Any], ...] = field(default=())

    @property
    def size(self) -> int:
        """Bytes read in all."""
        return sum(int(step.get("bytes", 0)) for step in self.steps)


def read_outcome(text: str) -> Outcome | None:
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
    return Outcome(
        ok=bool(content["ok"]) and bool(content.get("verified")),
        reason=str(content.get("reason", "")),
        message=str(content.get("message", "")),
        verified=bool(content.get("verified")),
        snapshot=content.get("snapshot"),
        position=content.get("position"),
        stored=int(content.get("stored", 0)),
        steps=tuple(content.get("steps", ())),
    )

"""Decisions of a backup: its source, and which marks of the schedule are due."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime


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

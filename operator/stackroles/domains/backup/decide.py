"""Decisions of a backup: its source, its turn, which triggers are due, what is retired."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class SourceCandidate:
    """A database member as the cluster shows it."""

    name: str
    address: str
    ready: bool


def choose_source(
    members: Sequence[SourceCandidate], writer: str | None, size: int, busy: Collection[str] = ()
) -> SourceCandidate | None:
    """Return the member to copy from, or None when there is none to be had now.

    A copy costs its member disk and memory bandwidth, so the writer is never taken of a cluster; a
    database of one member has no choice. Among several the highest ordinal is taken: it is the last
    to become the writer.

    Args:
        members: those that have a pod.
        writer: the writer, None while it is not known.
        size: how many members the database shall have, with a pod or without.
        busy: names of members that stream to another run: each streams one copy at a time.
    """
    ready = [m for m in members if m.ready and m.address and m.name not in busy]
    if size == len(members) == 1:
        return ready[0] if ready else None
    if writer is None:
        return None
    others = [member for member in ready if member.name != writer]
    return max(others, key=lambda member: _ordinal(member.name), default=None)


def _ordinal(pod: str) -> int:
    digits = pod.rpartition("-")[2]
    return int(digits) if digits.isdigit() else -1


_DEGRADED: Final[Mapping[str, str]] = {
    "Available": "False",
    "QuorumAtRisk": "True",
    "DatabaseDegraded": "True",
}
"""Conditions of a cloud from which a copy would take what it needs to recover, with the status."""


def degradation(conditions: Iterable[Mapping[str, Any]]) -> str:
    """Return why a cloud is degraded, as `type: message`; empty where it is not."""
    for condition in conditions:
        kind = str(condition.get("type", ""))
        if kind in _DEGRADED and condition.get("status") == _DEGRADED[kind]:
            return f"{kind}: {condition.get('message', '')}"
    return ""


def patience_ends(run: "PolicyRun", patience: timedelta, now: datetime) -> datetime | None:
    """Return until when a run waits for a degraded cloud; None where it begins all the same."""
    end = run.created + patience
    return end if run.scheduled and now < end else None


@dataclass(frozen=True, slots=True)
class ScheduleTrigger:
    """A Job that the schedule left: a run is wanted."""

    name: str
    created: datetime


def due(triggers: Sequence[ScheduleTrigger], last: datetime | None) -> tuple[ScheduleTrigger, ...]:
    """Return the triggers that were not acted on yet, oldest first: those after the last one.

    Comparing with the last one, not with existing Backups, keeps a Backup that retention or a
    person deleted from coming back.
    """
    fresh = (trigger for trigger in triggers if last is None or trigger.created > last)
    return tuple(sorted(fresh, key=lambda trigger: (trigger.created, trigger.name)))


FAILED_KEPT = 5
LOGS_KEPT = 3
SETS_ASKED = 1000


@dataclass(frozen=True, slots=True)
class PolicyRun:
    """A run of a policy, as retention sees it.

    Attributes:
        scheduled: whether the schedule made it; a person's own Backups are never deleted.
        expired: older runs whose sets were not in the repository when this one ended.
    """

    name: str
    created: datetime
    scheduled: bool
    ended: bool
    verified: bool
    expired: frozenset[str] = frozenset()

    @property
    def age(self) -> tuple[datetime, str]:
        """Sorts runs of one policy as they began."""
        return self.created, self.name


def has_expired(run: PolicyRun, runs: Iterable[PolicyRun]) -> bool:
    """Return whether a run's recovery set has left the repository, as a younger run found.

    An older one may have spoken of a former Backup of this name.
    """
    return bool(_expired((run,), runs))


def _expired(of: Iterable[PolicyRun], runs: Iterable[PolicyRun]) -> set[str]:
    """Return which of some runs have expired, as any of all runs found."""
    found: dict[str, tuple[datetime, str]] = {}
    for other in runs:
        for name in other.expired:
            found[name] = max(other.age, found.get(name, other.age))
    return {run.name for run in of if run.verified and run.age < found.get(run.name, run.age)}


def sets_believed_in(runs: Iterable[PolicyRun]) -> tuple[str, ...]:
    """Return the runs whose recovery sets should be in the repository, the oldest first.

    The next run says which of them are not. No more than SETS_ASKED are named, of which the oldest
    may have expired: a set that retention removes has fewer older ones beside it that stay, which
    the periods of a BackupPolicy keep.
    """
    known = tuple(runs)
    expired = _expired(known, known)
    there = (run for run in known if run.verified and run.name not in expired)
    return tuple(run.name for run in sorted(there, key=lambda run: run.age)[:SETS_ASKED])


def leaves_set(run: PolicyRun, runs: Iterable[PolicyRun]) -> bool:
    """Return whether a run that was started has a recovery set, or parts of one, in the repository.

    One that failed has none to speak of: the next run removes what is unfinished. One that did not
    end may have been verified at this very moment.
    """
    return (run.verified or not run.ended) and not has_expired(run, runs)


def is_old_failure(run: PolicyRun, runs: Iterable[PolicyRun]) -> bool:
    """Return whether a scheduled run failed so long ago that newer failures say enough."""
    failed = sorted(
        (o for o in runs if o.scheduled and o.ended and not o.verified),
        key=lambda o: o.age,
        reverse=True,
    )
    return run in failed[FAILED_KEPT:]


def keeps_log(run: PolicyRun, runs: Iterable[PolicyRun]) -> bool:
    """Return whether the Job of a run that ended stays, for its log: those of the newest do."""
    newest = sorted((o for o in runs if o.ended), key=lambda o: o.age, reverse=True)
    return run in newest[:LOGS_KEPT]


def retired(runs: Iterable[PolicyRun]) -> set[str]:
    """Return the runs of one policy of which something goes now that another has ended.

    Of logs, only the newest of those that go: each earlier one went by the end of an earlier run.
    """
    known = tuple(runs)
    ended = sorted((run for run in known if run.ended), key=lambda run: run.age, reverse=True)
    gone = {run.name for run in ended[LOGS_KEPT : LOGS_KEPT + 1]}
    failed = [run for run in ended if run.scheduled and not run.verified]
    gone |= {run.name for run in failed[FAILED_KEPT:]}
    return gone | _expired(known, known)

"""How far a Backup or a Restore is, from its resource; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.workloads.pod import condition_of, time_of

Object = dict[str, Any]


class Outcome(StrEnum):
    """What became of a Restore so far."""

    UNDER_WAY = "UnderWay"
    CHECKED = "Checked"
    BLOCKED = "Blocked"
    CONSENT = "Consent"
    RESTORED = "Restored"
    FAILED = "Failed"


# The first two are for good; the others are of the spec that they were found for.
_ENDED: Final = {
    Reason.RESTORED.value: Outcome.RESTORED,
    Reason.RESTORE_FAILED.value: Outcome.FAILED,
}
_STANDS: Final = {
    Reason.RESTORE_CHECKED.value: Outcome.CHECKED,
    Reason.RESTORE_BLOCKED.value: Outcome.BLOCKED,
    Reason.RESTORE_CONSENT.value: Outcome.CONSENT,
}
_OPEN: Final = frozenset({Outcome.UNDER_WAY, Outcome.BLOCKED, Outcome.CONSENT})


@dataclass(frozen=True, slots=True, kw_only=True)
class PartView:
    """One part of a recovery set.

    Attributes:
        name: the part, or what is done to it.
        bytes: read so far.
        rate: bytes a second; 0 once it is done.
        seconds: how long it took, None while that is not known.
        done: whether it is done.
    """

    name: str
    bytes: int = 0
    rate: int = 0
    seconds: float | None = None
    done: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupView:
    """A Backup.

    Attributes:
        name: the Backup.
        message: what it waits for or does, or how it ended.
        ended: whether it has ended.
        verified: whether it ended well.
        parts: its parts so far, in their order.
        seconds: how long it took, None before its end.
        size: bytes read in all.
        stored: bytes that it added to the repository.
    """

    name: str
    message: str
    ended: bool
    verified: bool
    parts: Sequence[PartView]
    seconds: int | None
    size: int
    stored: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseView:
    """One phase of a Restore.

    Attributes:
        name: the phase.
        started: when it began.
        completed: when it was done, None while it is not.
        message: what it waits for, or did.
    """

    name: str
    started: datetime
    completed: datetime | None
    message: str

    def seconds(self, now: datetime) -> int:
        """Return how long it took, or takes so far; another clock may be behind."""
        return max(0, round(((self.completed or now) - self.started).total_seconds()))


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreView:
    """A Restore.

    Attributes:
        name: the Restore.
        recovery_set: what it restores, by the name of its Backup.
        cloud: the CloudController, empty before it is known.
        outcome: what became of it so far.
        message: what it waits for or does, or how it ended.
        phases: its phases so far.
        missing: what it lacks, sentences.
        overwrites: what is lost by it, sentences.
        makes: what is made that does not exist, sentences.
        safety: the Backup of what it overwrote, empty without one.
        seconds: from the pause of the APIs until they served again.
        recovery_point: the time that the cloud was set back to.
    """

    name: str
    recovery_set: str
    cloud: str
    outcome: Outcome
    message: str
    phases: Sequence[PhaseView]
    missing: Sequence[str]
    overwrites: Sequence[str]
    makes: Sequence[str]
    safety: str
    seconds: int | None
    recovery_point: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreUnderWay:
    """A Restore that is under way, as the tree of its cloud and the form of `-o json` have it.

    Attributes:
        name: the Restore.
        recovery_set: what it restores, by the name of its Backup.
        phase: the phase under way.
        since: when that began, RFC 3339.
        waits: what it waits for, or does; a sentence.
        stands: whether it does not go on before somebody does something.
    """

    name: str
    recovery_set: str
    phase: str
    since: str
    waits: str
    stands: bool


def backup_view(resource: Object, before: BackupView | None = None) -> BackupView:
    """Return how far a Backup is.

    Args:
        resource: the Backup.
        before: what it was last: its resource names the part under way alone.
    """
    status = resource.get("status") or {}
    ended = bool(status.get("completedAt"))
    complete = condition_of(status, ConditionType.COMPLETE.value) or {}
    return BackupView(
        name=resource["metadata"]["name"],
        message=str(complete.get("message")) if ended else _message(status),
        ended=ended,
        verified=ended and complete.get("status") == "True",
        parts=_parts(status, before.parts if before else ()),
        seconds=status.get("durationSeconds"),
        size=status.get("sizeBytes") or 0,
        stored=status.get("storedBytes") or 0,
    )


def _message(status: Mapping[str, Any]) -> str:
    ready = condition_of(dict(status), ConditionType.READY.value) or {}
    return str(ready.get("message") or "The operator has not reported yet.")


def _parts(status: Mapping[str, Any], before: Sequence[PartView]) -> Sequence[PartView]:
    """Return the parts: as they were reported at the end, else as they were seen one by one."""
    if steps := status.get("steps"):
        return [
            PartView(
                name=step["name"],
                bytes=step.get("bytes", 0),
                seconds=step.get("seconds", 0),
                done=True,
            )
            for step in steps
        ]
    progress = status.get("progress") or {}
    name = progress.get("part")
    if not name:
        return before
    now = PartView(
        name=name,
        bytes=progress.get("bytes", 0),
        rate=progress.get("bytesPerSecond", 0),
    )
    done = [replace(part, done=True, rate=0) for part in before if part.name != name]
    return [*done, now]


def outcome_of(resource: Object) -> Outcome:
    """Return what became of a Restore so far; what was found for an earlier spec is nothing."""
    complete = condition_of(resource.get("status") or {}, ConditionType.COMPLETE.value) or {}
    reason = complete.get("reason", "")
    current = complete.get("observedGeneration", 0) >= resource["metadata"].get("generation", 0)
    stands = _STANDS.get(reason, Outcome.UNDER_WAY) if current else Outcome.UNDER_WAY
    return _ENDED.get(reason, stands)


def recovery_set_of(resource: Object) -> str:
    """Return what a Restore restores: a set by its name, the newest one once that is known."""
    spec, status = resource["spec"], resource.get("status") or {}
    bare = spec.get("recoverySet") or {}
    noted = status.get("recoverySet") or (status.get("preflight") or {}).get("recoverySet")
    newest = f"the newest set of policy {bare.get('policy')}"
    return str(spec.get("backup") or bare.get("name") or noted or newest)


def restore_view(resource: Object) -> RestoreView:
    """Return how far a Restore is."""
    status = resource.get("status") or {}
    preflight = status.get("preflight") or {}
    outcome, message = outcome_of(resource), _message(status)
    if outcome in _ENDED.values():
        complete = condition_of(status, ConditionType.COMPLETE.value) or {}
        message = complete.get("message", "")
    return RestoreView(
        name=resource["metadata"]["name"],
        recovery_set=recovery_set_of(resource),
        cloud=status.get("controller") or "",
        outcome=outcome,
        message=message,
        phases=[_phase(phase) for phase in status.get("phases") or ()],
        missing=_missing(message, preflight) if outcome is Outcome.BLOCKED else (),
        overwrites=preflight.get("overwrites") or (),
        makes=preflight.get("makes") or (),
        safety=status.get("safetyBackup") or "",
        seconds=status.get("recoverySeconds"),
        recovery_point=time_of(status.get("recoveryPoint")),
    )


def _missing(message: str, preflight: Mapping[str, Any]) -> Sequence[str]:
    """Return what is missing; a preflight in the status may be of an earlier attempt."""
    sentences: Sequence[str] = preflight.get("missing") or ()
    known = sentences and all(sentence in message for sentence in sentences)
    return sentences if known else (message,)


def _phase(phase: Mapping[str, Any]) -> PhaseView:
    return PhaseView(
        name=phase["name"],
        started=datetime.fromisoformat(phase["startedAt"]),
        completed=time_of(phase.get("completedAt")),
        message=phase.get("message") or "",
    )


def under_way(restores: Iterable[Object], cloud: str) -> list[RestoreUnderWay]:
    """Return the Restores of a cloud that have not ended, by name; dry runs end when they know."""
    found = []
    for resource in restores:
        view = restore_view(resource)
        if view.cloud != cloud or view.outcome not in _OPEN:
            continue
        status = resource["status"]
        phase = status.get("phase") or ""
        since = next((p["startedAt"] for p in status["phases"] if p["name"] == phase), "")
        found.append(
            RestoreUnderWay(
                name=view.name,
                recovery_set=view.recovery_set,
                phase=phase,
                since=since,
                waits=view.message.removeprefix(f"{phase}: "),
                stands=view.outcome is not Outcome.UNDER_WAY,
            )
        )
    return sorted(found, key=lambda restore: restore.name)

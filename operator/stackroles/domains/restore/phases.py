"""The phases of a restore, in their order, and what each leaves in the status; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from stackroles.api.v1alpha1.restore import RestorePhase
from stackroles.workloads.restoring import RestoreRecord

PATIENCE: Final = timedelta(minutes=30)
"""After which a phase that is to be let go is."""
NAMED: Final = 4
"""How many pods, roles or steps a message lists."""


class Phase(StrEnum):
    """One phase; each may be begun again at any time until it is done."""

    PREFLIGHT = "Preflight"
    RESOURCES = "Resources"
    SAFETY_BACKUP = "SafetyBackup"
    PAUSE = "Pause"
    STOP = "Stop"
    KEYS = "Keys"
    DATA = "Data"
    BOOTSTRAP = "Bootstrap"
    SETUP = "Setup"
    RECONCILE = "Reconcile"
    OPEN = "Open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a phase is.

    Attributes:
        done: whether it is done.
        message: what it waits for, or did; a sentence.
        found: fields of the status that it adds.
        record: what is recorded of it when it is done; None for what was before.
    """

    done: bool = False
    message: str = ""
    found: Mapping[str, Any] = field(default_factory=dict)
    record: RestoreRecord | None = None


class Abandoned(Exception):  # noqa: N818 - what happened
    """The restore cannot go on, and what was there before is still whole; says why."""


def begun(phases: Sequence[RestorePhase], phase: Phase, now: datetime) -> tuple[RestorePhase, ...]:
    """Return the phases with one that has begun; the time of its first begin stays."""
    if any(known.name == phase for known in phases):
        return tuple(phases)
    return (*phases, RestorePhase(name=phase.value, started_at=now))


def noted(
    phases: Sequence[RestorePhase], phase: Phase, progress: Progress, now: datetime
) -> tuple[RestorePhase, ...]:
    """Return the phases with how far one is."""
    update: dict[str, Any] = {"message": progress.message or None}
    if progress.done:
        update["completed_at"] = now
    return tuple(
        known.model_copy(update=update) if known.name == phase else known for known in phases
    )


def started_at(phases: Sequence[RestorePhase], phase: Phase) -> datetime | None:
    """Return when a phase began, None before it did."""
    return next((known.started_at for known in phases if known.name == phase), None)


def completed_at(phases: Sequence[RestorePhase], phase: Phase) -> datetime | None:
    """Return when a phase was done, None before it was."""
    return next((known.completed_at for known in phases if known.name == phase), None)


def has_gone(phases: Sequence[RestorePhase], mine: RestoreRecord | None) -> bool:
    """Return whether a restore has ended, whose status may not say so yet.

    Args:
        phases: its phases so far.
        mine: its record; None where the cloud's record is another's, which has begun only after
            this one had ended.
    """
    if mine is not None:
        return mine.ended
    return any(known.name != Phase.PREFLIGHT for known in phases)


def is_stuck(phases: Sequence[RestorePhase], now: datetime) -> bool:
    """Return whether a restore whose data is in place does not get on.

    Its end would make more of the cloud whole; who deletes it then wants the cloud to go on, or
    another restore to begin.
    """
    last = phases[-1] if phases else None
    return (
        last is not None
        and completed_at(phases, Phase.DATA) is not None
        and now - last.started_at > PATIENCE
    )


def may_go_back(phases: Sequence[RestorePhase]) -> bool:
    """Return whether the former data was not touched, so that the cloud can go on with it."""
    return started_at(phases, Phase.DATA) is None

"""When each role and step began and was done."""

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from stackroles.api.v1alpha1.cloud_controller import Phase


def update_phases(
    order: Iterable[str],
    previous: Sequence[Phase],
    started: Set[str],
    done: Set[str],
    now: datetime,
) -> tuple[Phase, ...]:
    """Return the phases of a bring-up.

    A time once noted stays: the table says how long the first bring-up took, whatever came later.

    Args:
        order: roles and steps in the order in which they are shown.
        previous: the phases so far.
        started: roles and steps that have begun.
        done: those that are done.
        now: the time of the observation.
    """
    known = {phase.name: phase for phase in previous}
    phases: list[Phase] = []
    for name in order:
        phase = known.get(name)
        if phase is None and name not in started | done:
            continue
        began = phase.started_at if phase else now
        ended = phase.completed_at if phase else None
        if ended is None and name in done:
            ended = now
        phases.append(Phase(name=name, started_at=began, completed_at=ended))
    return tuple(phases)


def completed(phases: Iterable[Phase]) -> frozenset[str]:
    """Return the roles and steps that were done at some time."""
    return frozenset(phase.name for phase in phases if phase.completed_at is not None)


_PHASES: Final = TypeAdapter(tuple[Phase, ...])


def recorded_phases(resource: Mapping[str, Any]) -> tuple[Phase, ...]:
    """Return the phases in a CloudController's status; none where they cannot be read."""
    try:
        return _PHASES.validate_python(resource.get("status", {}).get("phases") or ())
    except ValidationError:
        return ()

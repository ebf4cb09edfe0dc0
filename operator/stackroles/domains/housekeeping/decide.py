"""Which service's run begins next, and which is refused; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from stackroles.api.v1alpha1.housekeeping import (
    Housekeeping,
    HousekeepingMode,
    HousekeepingResult,
    ServiceHousekeeping,
)


@dataclass(frozen=True, slots=True)
class Mark:
    """A Job that the schedule left, or a person made of it: runs are due.

    Attributes:
        id: its identity.
        created: when it was made.
    """

    id: str
    created: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What a decision is made on.

    Attributes:
        declared: what the user declares.
        services: those that keep deleted rows, in the order of their runs.
        marks: the marks that are there.
        begun: when the last run of each service began.
        last: the last run of each service that has ended.
        active: services whose run has not ended.
        hold: why nothing may begin now; empty when it may.
    """

    declared: Housekeeping
    services: Sequence[str]
    marks: Iterable[Mark] = ()
    begun: Mapping[str, datetime]
    last: Mapping[str, ServiceHousekeeping]
    active: frozenset[str] = frozenset()
    hold: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be done.

    Attributes:
        begins: the service whose run begins now, None for none.
        mark: the mark that asks for it, None for none.
        refused: services whose rows may not be removed yet.
        waits: services whose run is due and begins later.
    """

    begins: str | None = None
    mark: Mark | None = None
    refused: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()


def decide(seen: Situation) -> Decision:
    """Return whose run begins.

    One runs at a time: each writes the same database. Marks that came while none could begin share
    one run of each service. One that is refused stays due, so that a Report that is asked for
    afterwards need not wait for the schedule.
    """
    refused = tuple(service for service in seen.services if not _may_run(seen, service))
    newest = max(seen.marks, key=lambda mark: (mark.created, mark.id), default=None)
    if newest is None or seen.declared.suspend:
        return Decision(refused=refused)
    due = [
        service
        for service in seen.services
        if service not in refused
        and service not in seen.active
        and (service not in seen.begun or seen.begun[service] < newest.created)
    ]
    if not due or seen.active or seen.hold:
        return Decision(refused=refused, waits=tuple(due))
    return Decision(begins=due[0], mark=newest, refused=refused, waits=tuple(due[1:]))


def _may_run(seen: Situation, service: str) -> bool:
    """Return whether a service's run is allowed: a Purge needs that its rows were counted.

    Counted by the same age, so that a person has seen the numbers of what is removed.
    """
    if seen.declared.mode is HousekeepingMode.REPORT:
        return True
    last = seen.last.get(service)
    return last is not None and last.reported_days == seen.declared.older_than_days


def with_result(
    before: Mapping[str, ServiceHousekeeping], run: ServiceHousekeeping
) -> Mapping[str, ServiceHousekeeping]:
    """Return the last runs with one more that has ended; an older one changes nothing."""
    former = before.get(run.service)
    if former is not None and former.last_time >= run.last_time:
        return before
    reported = former.reported_days if former is not None else None
    if run.mode is HousekeepingMode.REPORT and run.result is HousekeepingResult.SUCCEEDED:
        reported = run.older_than_days
    return {**before, run.service: run.model_copy(update={"reported_days": reported})}

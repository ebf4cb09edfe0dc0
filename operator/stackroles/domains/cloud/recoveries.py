"""What roles lost, what was decided, and how long it took; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stackroles.agents.text import shorten
from stackroles.api.v1alpha1.cloud_controller import RoleRecovery, RoleStatus
from stackroles.workloads.conditions import Decided
from stackroles.workloads.role import RoleState

KEPT: Final = 10
"""How many of one role."""
KEPT_OF_ALL: Final = 50
# An agent may decide before the pod's probe has failed, by which the loss is seen. A gate's clock
# that is behind the operator's by more loses its decision.
_BEFORE: Final = timedelta(seconds=30)
_DECISIONS: Final = 8
_MEMBERS: Final = 16
_TEXT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCourse:
    """How a role stands, as its recovery goes.

    Attributes:
        state: its workload and pods.
        unsettled: whether its members are not one cluster, whatever their pods' probes find.
        decided: what was decided for it lately.
    """

    state: RoleState
    unsettled: bool = False
    decided: Sequence[Decided] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing of it is lost or under way."""
        return self.state.complete and not self.unsettled

    @property
    def lost(self) -> bool:
        """Whether it lacks members that no change of its template took away."""
        state = self.state
        return not state.present or (state.ready < state.desired and not state.outdated)


def update_recoveries(
    previous: Sequence[RoleRecovery],
    before: Iterable[RoleStatus],
    courses: Iterable[RoleCourse],
    now: datetime,
) -> tuple[RoleRecovery, ...]:
    """Return the recoveries that are under way, then the last ones, the newest first.

    One begins when a role that had all its members lacks some without a roll or a change of their
    number, and ends when it has all again.

    Args:
        previous: the recoveries so far.
        before: the roles as the status has them.
        courses: how each role stands.
        now: the time of the observation.
    """
    roles = {role.name: role for role in before}
    records: dict[str, list[RoleRecovery]] = {}
    for record in previous:
        records.setdefault(record.role, []).append(record)
    for course in courses:
        name = course.state.name
        own = records.setdefault(name, [])
        if own and own[0].completed_at is None:
            own[0] = _continued(own[0], course, own[1:], now)
        elif course.lost and _had_all(roles.get(name), course.state.desired):
            opened = RoleRecovery(role=name, started_at=now)
            own.insert(0, _with(opened, course, own))
    kept = [record for own in records.values() for record in own[:KEPT]]
    kept.sort(key=lambda record: record.started_at, reverse=True)
    kept.sort(key=lambda record: record.completed_at is not None)
    return tuple(kept[:KEPT_OF_ALL])


def _had_all(role: RoleStatus | None, desired: int) -> bool:
    return (
        role is not None and role.desired == desired and role.ready >= desired and not role.outdated
    )


def _continued(
    record: RoleRecovery, course: RoleCourse, older: Sequence[RoleRecovery], now: datetime
) -> RoleRecovery:
    record = _with(record, course, older)
    if not course.whole:
        return record
    seconds = max(0, round((now - record.started_at).total_seconds()))
    return record.model_copy(update={"completed_at": now, "duration_seconds": seconds})


def _with(record: RoleRecovery, course: RoleCourse, older: Sequence[RoleRecovery]) -> RoleRecovery:
    """Return a record with what is known now: more members, more decisions, an interruption."""
    since = record.started_at - _BEFORE
    if older and older[0].completed_at is not None:
        since = max(since, older[0].completed_at)
    texts = [shorten(d.text, _TEXT) for d in course.decided if d.at >= since]
    members = dict.fromkeys((*record.members, *course.state.lacking))
    decisions = dict.fromkeys((*record.decisions, *texts))
    return record.model_copy(
        update={
            "members": tuple(members)[:_MEMBERS],
            "decisions": tuple(decisions)[-_DECISIONS:],
            "served": record.served and course.state.available,
        }
    )


def courses_of(
    states: Iterable[RoleState], unsettled: frozenset[str], decided: Mapping[str, Sequence[Decided]]
) -> list[RoleCourse]:
    """Return the course of each role."""
    return [
        RoleCourse(
            state=state, unsettled=state.name in unsettled, decided=decided.get(state.name, ())
        )
        for state in states
    ]

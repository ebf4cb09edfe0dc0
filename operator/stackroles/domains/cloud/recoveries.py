"""What roles lost, what was decided, and how long it took; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from stackroles.api.v1alpha1.cloud_controller import RoleRecovery, RoleStatus
from stackroles.workloads.conditions import Decided
from stackroles.workloads.role import RoleState

KEPT: Final = 10
# An agent may decide before the pod's probe has failed, by which the loss is seen.
_BEFORE: Final = timedelta(seconds=30)
_DECISIONS: Final = 8
_MEMBERS: Final = 16


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
        lacking = self.state.ready < self.state.desired
        return self.state.present and lacking and not self.state.outdated


def update_recoveries(
    previous: Sequence[RoleRecovery],
    before: Iterable[RoleStatus],
    courses: Iterable[RoleCourse],
    now: datetime,
) -> tuple[RoleRecovery, ...]:
    """Return the recoveries that are under way or were last, newest first, at most `KEPT`.

    One begins when a role that had all its members lacks some without a roll or a change of their
    number, and ends when it has all again.

    Args:
        previous: the recoveries so far.
        before: the roles as the status has them.
        courses: how each role stands.
        now: the time of the observation.
    """
    roles = {role.name: role for role in before}
    found = list(previous)
    begun: list[RoleRecovery] = []
    for course in courses:
        name = course.state.name
        index = next((i for i, r in enumerate(found) if r.role == name), None)
        latest = found[index] if index is not None else None
        if index is not None and latest is not None and latest.completed_at is None:
            found[index] = _continued(latest, course, now)
        elif course.lost and _had_all(roles.get(name), course.state.desired):
            since = now - _BEFORE
            if latest is not None and latest.completed_at is not None:
                since = max(since, latest.completed_at)
            opened = RoleRecovery(role=name, started_at=now)
            begun.append(_with(opened, course, since))
    return tuple([*begun, *found][:KEPT])


def _had_all(role: RoleStatus | None, desired: int) -> bool:
    return role is not None and role.desired == desired and min(role.ready, role.updated) >= desired


def _continued(record: RoleRecovery, course: RoleCourse, now: datetime) -> RoleRecovery:
    record = _with(record, course, record.started_at - _BEFORE)
    if not course.whole:
        return record
    seconds = max(0, round((now - record.started_at).total_seconds()))
    return record.model_copy(update={"completed_at": now, "duration_seconds": seconds})


def _with(record: RoleRecovery, course: RoleCourse, since: datetime) -> RoleRecovery:
    """Return a record with what is known now: more members, more decisions, an interruption."""
    texts = [decided.text for decided in course.decided if decided.at >= since]
    members = dict.fromkeys((*record.members, *course.state.lacking))
    decisions = dict.fromkeys((*record.decisions, *texts))
    return record.model_copy(
        update={
            "members": tuple(members)[:_MEMBERS],
            "decisions": tuple(decisions)[:_DECISIONS],
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

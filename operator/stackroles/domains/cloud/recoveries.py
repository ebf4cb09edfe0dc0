"""What roles lost, what was decided, and how long it took; pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from stackroles.agents.text import shorten
from stackroles.api.v1alpha1.cloud_controller import RoleRecovery, RoleStatus
from stackroles.workloads.course import Course, Decided
from stackroles.workloads.role import RoleState

KEPT: Final = 10
"""How many of one role."""
KEPT_OF_ALL: Final = 50
# An agent may decide before the pod's probe has failed, by which the loss is seen. An agent's clock
# that differs from the operator's by more loses its decision.
_BEFORE: Final = timedelta(seconds=30)
# So late a loss is still recorded that members overcame by themselves before a probe failed: as
# long as an operator takes to begin, and to ask all members.
_RECENT: Final = timedelta(minutes=2)
_DECISIONS: Final = 8
_MEMBERS: Final = 16
_TEXT: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleCourse:
    """How a role stands, as its recovery goes.

    Attributes:
        state: its workload and pods.
        course: what is known beside that.
    """

    state: RoleState
    course: Course = field(default_factory=Course)

    @property
    def whole(self) -> bool:
        """Whether nothing of it is lost or under way."""
        return self.state.complete and not self.course.unsettled

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
    number, or when a member reports what it did about a loss by itself. It ends when the role has
    all its members again.

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
            continue
        if own:
            # A report may come after the probe that ended it.
            own[0] = _decided(own[0], course, own[1:])
        if _had_all(roles.get(name), course.state.desired):
            own[:0] = _begun(course, own, now)
    kept = [record for own in records.values() for record in own[:KEPT]]
    kept.sort(key=lambda record: record.started_at, reverse=True)
    kept.sort(key=lambda record: record.completed_at is not None)
    return tuple(kept[:KEPT_OF_ALL])


def _had_all(role: RoleStatus | None, desired: int) -> bool:
    return (
        role is not None and role.desired == desired and role.ready >= desired and not role.outdated
    )


def _begun(course: RoleCourse, own: Sequence[RoleRecovery], now: datetime) -> list[RoleRecovery]:
    """Return the recovery that begins, which may be over already; nothing where none does."""
    alone = [
        found
        for found in course.course.decided
        if found.by
        and now - _RECENT <= found.at <= now + _BEFORE
        and not (own and _covers(own[0], found))
    ]
    if not course.lost and (course.state.outdated or not alone):
        return []
    began = RoleRecovery(
        role=course.state.name,
        members=tuple(dict.fromkeys(found.by for found in alone)),
        started_at=min(now, *(found.at for found in alone)) if alone else now,
    )
    return [_continued(began, course, own, now)]


def _covers(record: RoleRecovery, found: Decided) -> bool:
    """Return whether a recovery that is over has what a member did by itself."""
    end = record.completed_at or found.at
    recorded = shorten(found.text, _TEXT) in record.decisions
    return found.at <= (end + _BEFORE if recorded else end)


def _continued(
    record: RoleRecovery, course: RoleCourse, older: Sequence[RoleRecovery], now: datetime
) -> RoleRecovery:
    """Return a record with what is known now: more members, more decisions, an interruption."""
    members = dict.fromkeys((*record.members, *course.state.lacking))
    serves = course.state.available and not course.course.down
    record = _decided(record, course, older).model_copy(
        update={"members": tuple(members)[:_MEMBERS], "served": record.served and serves}
    )
    if not course.whole:
        return record
    seconds = max(0, round((now - record.started_at).total_seconds()))
    return record.model_copy(update={"completed_at": now, "duration_seconds": seconds})


def _decided(
    record: RoleRecovery, course: RoleCourse, older: Sequence[RoleRecovery]
) -> RoleRecovery:
    """Return a record with what was decided during it."""
    since = record.started_at - _BEFORE
    if older and older[0].completed_at is not None:
        since = max(since, older[0].completed_at)
    texts = [
        shorten(found.text, _TEXT)
        for found in course.course.decided
        if since <= found.at <= (record.completed_at or found.at)
    ]
    # As many as are kept, so that what was dropped does not come back for ever.
    decisions = dict.fromkeys((*record.decisions, *texts[-_DECISIONS:]))
    return record.model_copy(update={"decisions": tuple(decisions)[-_DECISIONS:]})


def courses_of(states: Iterable[RoleState], courses: Mapping[str, Course]) -> list[RoleCourse]:
    """Return the course of each role."""
    return [RoleCourse(state=s, course=courses.get(s.name, Course())) for s in states]

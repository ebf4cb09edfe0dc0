"""From what was observed of a cloud to its status."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stackroles.api.v1alpha1.cloud_controller import (
    CloudControllerStatus,
    RoleStatus,
    ServiceEndpoint,
)
from stackroles.api.v1alpha1.conditions import ConditionType, Reason, reason_of
from stackroles.config.cloud import Cloud
from stackroles.domains.cloud.phases import update_phases
from stackroles.domains.cloud.quorum import assess_quorum
from stackroles.domains.cloud.recoveries import courses_of, update_recoveries
from stackroles.domains.cloud.service import RolesAndSteps
from stackroles.domains.database.status import DATABASE, DatabaseState
from stackroles.domains.housekeeping.status import HousekeepingState
from stackroles.roles.clustering import model_of
from stackroles.roles.definition import OpenStackService, RoleDefinition
from stackroles.workloads.conditions import (
    Finding,
    ObservationTime,
    all_conditions,
    conditions_of,
)
from stackroles.workloads.course import Course
from stackroles.workloads.listing import list_some
from stackroles.workloads.role import RoleState
from stackroles.workloads.step import StepState

_NAMED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedCloud(RolesAndSteps):
    """A cloud's children as observed.

    Attributes:
        waiting: roles and steps that may not start yet, with what they wait for.
        database: how the database cluster stands.
        courses: how roles come back from a loss of members, by role.
        notes: what a person should know of a role's members, by role.
        messaging: whether brokers or queues lack something; None before there are any.
        active: the active member of each ActivePassive role, as far as there is one.
        failing_apis: why not all APIs are known to serve; None when all do.
        restoring: what a Restore is about; None while there is none.
        housekeeping: how deleted rows are counted and removed.
    """

    waiting: Mapping[str, frozenset[str]] = field(default_factory=dict)
    database: DatabaseState = field(default_factory=DatabaseState)
    messaging: Finding | None = None
    active: Mapping[str, str] = field(default_factory=dict)
    failing_apis: Finding | None = None
    notes: Mapping[str, str] = field(default_factory=dict)
    courses: Mapping[str, Course] = field(default_factory=dict)
    restoring: Finding | None = None
    housekeeping: HousekeepingState = field(default_factory=HousekeepingState)


def assess_cloud(
    cloud: Cloud,
    observed: ObservedCloud,
    reconciled: Finding,
    *,
    services: tuple[OpenStackService, ...],
    roles: tuple[RoleDefinition, ...],
    previous: CloudControllerStatus,
    observed_at: ObservationTime,
) -> CloudControllerStatus:
    """Return the status of a cloud, without its children.

    Args:
        cloud: the cloud as declared.
        observed: what was observed of its children.
        reconciled: whether all was applied, or why not.
        services: the services there are.
        roles: the roles there are.
        previous: the status so far.
        observed_at: when this was.
    """
    available = assess_available(observed)
    new = previous.time_to_ready_seconds is None
    progressing = observed.restoring or assess_progressing(observed, new=new)
    # What a Restore stops is no loss, and neither is what was never there.
    counted = () if new or observed.restoring else observed.roles
    courses = courses_of(counted, observed.courses)
    quorum = assess_quorum(roles, counted)
    health = observed.database.health if DATABASE in observed.present else None
    others = (quorum, observed.messaging, health, observed.housekeeping.health)
    further = tuple(found for found in others if found is not None)
    conditions = (
        *all_conditions(reconciled, available, progressing, previous.conditions, observed_at),
        *conditions_of(further, previous.conditions, observed_at.generation, observed_at.now),
    )
    ready = next(c for c in conditions if c.type == ConditionType.READY)
    order = [*(role.name for role in roles), *(step.node for step in observed.steps)]
    started = (observed.present | {s.node for s in observed.steps}) - observed.waiting.keys()
    seconds = previous.time_to_ready_seconds
    if seconds is None and ready.status == "True":
        seconds = max(0, round((observed_at.now - observed_at.created).total_seconds()))
    settled = progressing.reason is Reason.ROLLOUT_COMPLETE
    return CloudControllerStatus(
        observed_generation=observed_at.generation,
        conditions=conditions,
        release=cloud.spec.release if settled else previous.release,
        roles=tuple(_role_status(cloud, role, observed) for role in roles),
        endpoints=_endpoints(cloud, services, observed),
        phases=update_phases(order, previous.phases, started, observed.done, observed_at.now),
        time_to_ready_seconds=seconds,
        writer=observed.database.writer,
        recoveries=update_recoveries(previous.recoveries, previous.roles, courses, observed_at.now),
        housekeeping=observed.housekeeping.runs,
        children=previous.children,
    )


def remembered(previous: CloudControllerStatus) -> DatabaseState:
    """Return how the database stood by a status: what is known of it when an operator begins."""
    progressing = next((c for c in previous.conditions if c.type == "Progressing"), None)
    blocked = progressing is not None and progressing.reason == Reason.DATABASE_BLOCKED.value
    role = next((role for role in previous.roles if role.name == DATABASE), None)
    kind = ConditionType.DATABASE_DEGRADED
    degraded = next((c for c in previous.conditions if c.type == kind), None)
    reason = reason_of(degraded.reason) if degraded else None
    health = Finding(reason, degraded.message) if degraded and reason else DatabaseState().health
    return DatabaseState(
        health=health,
        writer=previous.writer,
        message=(role.message or "") if role else "",
        blocked=progressing.message if progressing is not None and blocked else "",
    )


def assess_available(observed: ObservedCloud) -> Finding:
    """Return whether every role serves: a majority of a quorum role, one member of another.

    An API serves when it gives an authenticated answer, whatever its members' own checks find.
    """
    lacking = [role for role in observed.roles if not role.available]
    if not lacking:
        served = Finding(Reason.ROLES_SERVE, f"All {len(observed.roles)} roles serve.")
        return observed.failing_apis or served
    return Finding(Reason.ROLES_UNAVAILABLE, f"Not serving: {_count(lacking)}.")


def assess_progressing(observed: ObservedCloud, *, new: bool) -> Finding:
    """Return what is under way, or what holds it up.

    Args:
        observed: what was observed of the cloud's children.
        new: whether it has never been Ready: nothing is lost then that could recover.
    """
    problem = _first_problem(observed)
    if problem:
        return problem
    unfinished = [step for step in observed.steps if not step.done]
    absent = [role for role in observed.roles if not role.present]
    if unfinished or absent:
        return Finding(Reason.BRINGING_UP, _bring_up_message(observed))
    rolling = [role for role in observed.roles if role.rolling]
    if rolling:
        return Finding(Reason.ROLLING_OUT, f"Rolling: {_count(rolling)}.")
    lacking = [role for role in observed.roles if not role.complete]
    if lacking:
        reason = Reason.BRINGING_UP if new else Reason.RECOVERING
        return Finding(reason, f"Waiting for members: {_count(lacking)}.")
    return Finding(Reason.ROLLOUT_COMPLETE, "Every role runs as declared.")


def _first_problem(observed: ObservedCloud) -> Finding | None:
    """Return the first problem in the order of roles and steps, and where there are others.

    The database's own finding comes first. What else is named may be why the first does not end.
    """
    problems = {DATABASE: observed.database.problem} if observed.database.problem else {}
    for role in observed.roles:
        if role.problem and not role.complete:
            message = f"Role {role.name}: {role.problem.message}"
            problems.setdefault(role.name, Finding(role.problem.reason, message))
    problems.update({step.node: step.problem for step in observed.steps if step.problem})
    if not problems:
        return None
    first, *others = problems
    also = f" Wrong too: {', '.join(others[:_NAMED])}." if others else ""
    return Finding(problems[first].reason, problems[first].message + also)


def _bring_up_message(observed: ObservedCloud) -> str:
    starting = [r for r in observed.roles if r.present and not r.complete]
    running = [s for s in observed.steps if not s.done and s.node not in observed.waiting]
    waiting = {name: needs for name, needs in observed.waiting.items() if needs}
    parts: list[str] = []
    if starting:
        parts.append(f"Starting: {_count(starting)}.")
    if running:
        parts.append(f"Running: {', '.join(_step_note(step) for step in running[:_NAMED])}.")
    if waiting:
        on = sorted({need for needs in waiting.values() for need in needs} - waiting.keys())
        parts.append(f"{len(waiting)} more wait for {', '.join(on[:_NAMED]) or 'their turn'}.")
    return " ".join(parts) or "Starting."


def _step_note(step: StepState) -> str:
    return f"{step.node} ({step.note})" if step.note not in ("", "running") else step.node


def _count(roles: Iterable[RoleState]) -> str:
    return list_some([f"{role.name} {role.ready}/{role.desired}" for role in roles], _NAMED)


def _role_status(cloud: Cloud, role: RoleDefinition, observed: ObservedCloud) -> RoleStatus:
    state, active = next(s for s in observed.roles if s.name == role.name), observed.active
    return RoleStatus(
        name=role.name,
        model=model_of(role, cloud),
        desired=state.desired,
        ready=state.ready,
        outdated=state.outdated,
        active=observed.database.writer if role.name == DATABASE else active.get(role.name),
        message=_role_message(role, state, observed),
    )


def _role_message(role: RoleDefinition, state: RoleState, observed: ObservedCloud) -> str | None:
    note = observed.notes.get(role.name)
    if state.complete:
        return note or (role.single_because or None if state.desired == 1 else None)
    if state.problem:
        return state.problem.message
    if role.name in observed.waiting:
        needs = observed.waiting[role.name]
        return f"Waits for {', '.join(sorted(needs))}." if needs else "Waits."
    if role.name == DATABASE and observed.database.message:
        return observed.database.message
    return note


def _endpoints(
    cloud: Cloud, services: Iterable[OpenStackService], observed: ObservedCloud
) -> tuple[ServiceEndpoint, ...]:
    return tuple(
        ServiceEndpoint(
            service=entry.type,
            url=cloud.endpoint(entry.role, entry.port).url(entry.path),
        )
        for service in services
        if (entry := service.catalogue) and entry.role in observed.present
    )

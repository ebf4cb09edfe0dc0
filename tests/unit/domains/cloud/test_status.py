from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.common import Condition, dump
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.api.v1alpha1.fit import fit
from stackroles.domains.cloud.status import (
    ObservedCloud,
    assess_cloud,
)
from stackroles.domains.database.status import DatabaseState
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding, ObservationTime
from stackroles.workloads.role import RoleState
from stackroles.workloads.step import StepState
from tests.support.clouds import cloud

CREATED = datetime(2026, 1, 1, tzinfo=UTC)
OBSERVED_AT = ObservationTime(generation=3, created=CREATED, now=CREATED + timedelta(seconds=200))
APPLIED = Finding(Reason.APPLIED)
ROLES = registry.CONTROLLER_ROLES
STEPS = [f"{s.name}/{step.name}" for s in registry.SERVICES for step in s.steps]


def well(name: str) -> RoleState:
    desired = registry.role(name).replicas
    return RoleState(
        name=name,
        present=True,
        desired=desired,
        ready=desired,
        updated=desired,
        current=True,
        done=True,
        available=True,
    )


def observed(**changed: RoleState) -> ObservedCloud:
    """Return a cloud that is as desired, but for the roles named (dashes as underscores)."""
    states = {role.name: well(role.name) for role in ROLES}
    states |= {name.replace("_", "-"): state for name, state in changed.items()}
    return ObservedCloud(
        roles=tuple(states.values()),
        steps=tuple(StepState(node=node, done=True) for node in STEPS),
        database=DatabaseState(writer="demo-mariadb-1"),
    )


def assess(
    found: ObservedCloud,
    reconciled: Finding = APPLIED,
    previous: CloudControllerStatus | None = None,
    observed_at: ObservationTime = OBSERVED_AT,
) -> CloudControllerStatus:
    return assess_cloud(
        cloud(),
        found,
        reconciled,
        services=registry.SERVICES,
        roles=ROLES,
        previous=previous or CloudControllerStatus(),
        observed_at=observed_at,
    )


def of(status: CloudControllerStatus, kind: str) -> Condition:
    return next(c for c in status.conditions if c.type == kind)


def test_cloud_as_desired_is_ready_and_says_how_long_that_took() -> None:
    status = assess(observed())
    assert of(status, "Ready").status == "True"
    assert of(status, "Available").reason == "MinimumReplicasAvailable"
    assert of(status, "Stalled").status == "False"
    assert status.observed_generation == 3
    assert status.time_to_ready_seconds == 200
    assert status.release == "2025.1"
    assert status.writer == "demo-mariadb-1"
    assert {role.name for role in status.roles} == {role.name for role in ROLES}


def test_time_to_ready_is_of_the_first_time() -> None:
    first = assess(observed())
    later = replace(OBSERVED_AT, now=OBSERVED_AT.now + timedelta(hours=1))
    assert assess(observed(), previous=first, observed_at=later).time_to_ready_seconds == 200


def test_every_reason_stands_for_one_type_and_status() -> None:
    for reason in Reason:
        assert isinstance(reason.type, ConditionType)
        assert reason.status in ("True", "False", "Unknown")
    assert len({reason.value for reason in Reason}) == len(Reason)


def test_fresh_cloud_is_being_brought_up() -> None:
    absent = tuple(
        RoleState(name=role.name, present=False, desired=role.replicas) for role in ROLES
    )
    steps = tuple(StepState(node=node) for node in STEPS)
    status = assess(ObservedCloud(roles=absent, steps=steps))
    assert of(status, "Ready").status == "False"
    assert of(status, "Progressing").reason == "BringingUp"
    assert of(status, "Reconciling").status == "True"
    assert status.time_to_ready_seconds is None


def test_roll_that_fails_keeps_the_cloud_available_and_says_why() -> None:
    problem = Finding(Reason.CRASHING, "no such option")
    failing = replace(well("keystone"), updated=1, problem=problem)
    status = assess(observed(keystone=failing))
    assert of(status, "Available").status == "True"
    ready = of(status, "Ready")
    assert (ready.status, ready.reason) == ("False", "Crashing")
    assert "keystone" in ready.message
    assert "no such option" in ready.message
    assert of(status, "Stalled").status == "True"


def test_what_else_is_wrong_is_named() -> None:
    crash = replace(well("nova-api"), ready=0, problem=Finding(Reason.CRASHING, "HTTP 401"))
    refused = StepState(node=STEPS[0], problem=Finding(Reason.STEP_FAILED, "HTTP 404"))
    found = observed(**{"nova-api": crash})
    status = assess(replace(found, steps=(refused, *found.steps[1:])))
    message = of(status, "Progressing").message
    assert message.startswith("Role nova-api: HTTP 401")
    assert message.endswith(f"Wrong too: {STEPS[0]}.")


def test_lost_member_is_recovering_not_rolling() -> None:
    lost = replace(well("rabbitmq"), ready=2)
    status = assess(observed(rabbitmq=lost), previous=assess(observed()))
    assert of(status, "Progressing").reason == "Recovering"
    assert "rabbitmq 2/3" in of(status, "Progressing").message
    assert of(status, "Available").status == "True"


def test_member_that_was_never_there_is_being_brought_up() -> None:
    status = assess(observed(rabbitmq=replace(well("rabbitmq"), ready=2)))
    assert of(status, "Progressing").reason == "BringingUp"


def test_database_that_waits_for_a_person_comes_first() -> None:
    found = replace(
        observed(),
        database=DatabaseState(blocked="two histories", failing=" m-0"),
    )
    ready = of(assess(found), "Ready")
    assert ready.reason == "DatabaseBlocked"
    assert "two histories" in ready.message


def test_database_that_fails_to_start_again_and_again_is_quoted() -> None:
    failing = replace(well("mariadb"), updated=2, ready=2)
    found = replace(
        observed(mariadb=failing),
        database=DatabaseState(failing=" m-2, start 2: unknown variable 'x=1'"),
    )
    status = assess(found)
    progressing = of(status, "Progressing")
    assert (progressing.status, progressing.reason) == ("False", "Crashing")
    assert "Role mariadb" in progressing.message
    assert "m-2, start 2: unknown variable 'x=1'" in progressing.message
    assert "spec.config.mariadb" in progressing.message
    assert of(status, "Stalled").status == "True"
    assert of(status, "Ready").reason == "Crashing"
    assert of(status, "Available").status == "True"


def test_rejected_child_is_what_ready_repeats() -> None:
    status = assess(observed(), Finding(Reason.APPLY_FAILED, "quota"))
    assert of(status, "Ready").reason == "ApplyFailed"
    assert of(status, "Reconciled").status == "False"


def test_transition_time_stays_while_the_status_stays() -> None:
    first = assess(observed())
    later = replace(OBSERVED_AT, now=OBSERVED_AT.now + timedelta(hours=1))
    second = assess(observed(), previous=first, observed_at=later)
    assert of(second, "Ready").last_transition_time == OBSERVED_AT.now
    third = assess(
        observed(rabbitmq=replace(well("rabbitmq"), ready=2)), previous=second, observed_at=later
    )
    assert of(third, "Ready").last_transition_time == later.now


@pytest.mark.parametrize("role", [r for r in ROLES if r.replicas == 1], ids=lambda r: r.name)
def test_role_with_one_member_says_what_its_loss_costs(role) -> None:  # type: ignore[no-untyped-def]
    shown = next(r for r in assess(observed()).roles if r.name == role.name)
    assert shown.message == role.single_because


def test_phases_keep_their_first_times() -> None:
    first = assess(observed())
    later = replace(OBSERVED_AT, now=OBSERVED_AT.now + timedelta(hours=1))
    second = assess(observed(), previous=first, observed_at=later)
    assert second.phases == first.phases
    assert {phase.name for phase in first.phases} == {r.name for r in ROLES} | set(STEPS)


def test_endpoints_are_those_of_the_catalogue() -> None:
    shown = {e.service: e.url for e in assess(observed()).endpoints}
    assert shown["identity"] == "http://demo-keystone.ns.svc:5000/v3"
    assert len(shown) == len([s for s in registry.SERVICES if s.catalogue])


def test_a_database_none_of_whose_five_members_starts_still_has_a_status() -> None:
    lost = replace(well("mariadb"), ready=0, available=False, done=False)
    message = "\n".join(f"demo-mariadb-{n}: {'error ' * 166}" for n in range(5))
    found = replace(
        observed(mariadb=lost), database=DatabaseState(message=message, failing=message)
    )
    status = fit("CloudController", dump(assess(found)))
    role = next(role for role in status["roles"] if role["name"] == "mariadb")
    assert len(message) > len(role["message"]) > 4000
    assert role["message"].startswith("demo-mariadb-0: error")

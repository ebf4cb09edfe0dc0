"""A lost member is replaced by a consent to exactly that, while others serve."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from stackroles.api.v1alpha1.cloud_controller import ReplaceMember
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.departures import MemberView
from stackroles.workloads.replacement import (
    LOST_PATIENCE,
    AbsentMember,
    Replacement,
    RoleView,
    find_absent,
    plan_replacement,
)

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
LONG_AGO = (NOW - LOST_PATIENCE).isoformat()
HEALTHY = MemberView(healthy=True)
CONFLICT = "0/3 nodes are available: 3 node(s) didn't match PersistentVolume's node affinity."
LOST = AbsentMember(
    pod="demo-mariadb-1",
    claim="data-demo-mariadb-1",
    claim_uid="uid-1",
    node="node-b",
    why="its node node-b is not ready",
    since=NOW - LOST_PATIENCE,
)
VIEW = RoleView(owner_uid="uid-cloud", role="mariadb", wanted=3, members={0: HEALTHY, 2: HEALTHY})


def pod(ordinal: int = 1, node: str = "", message: str = CONFLICT) -> dict[str, Any]:
    found: dict[str, Any] = {"metadata": {"name": f"demo-mariadb-{ordinal}"}, "spec": {}}
    if node:
        return found | {"spec": {"nodeName": node}}
    scheduled = {"type": "PodScheduled", "status": "False", "message": message}
    return found | {"status": {"conditions": [{**scheduled, "lastTransitionTime": LONG_AGO}]}}


def claim(phase: str = "Bound") -> dict[str, Any]:
    selected = {"volume.kubernetes.io/selected-node": "node-b"}
    metadata = {"name": "data-demo-mariadb-1", "uid": "uid-1", "annotations": selected}
    return {"metadata": metadata, "status": {"phase": phase}}


def node(name: str, ready: str = "True") -> dict[str, Any]:
    condition = {"type": "Ready", "status": ready, "lastTransitionTime": LONG_AGO}
    return {name: {"metadata": {"name": name}, "status": {"conditions": [condition]}}}


def consent(**changes: str) -> ReplaceMember:
    known = {"member": LOST.pod, "incident": VIEW.incident(LOST)}
    return ReplaceMember(**{**known, **changes})


def absent(found: dict[str, Any], nodes: dict[str, Any], phase: str = "Bound") -> list[Any]:
    claims = {"demo-mariadb-1": claim(phase)}
    return [(m.node, m.why, m.since) for m in find_absent([found], claims, nodes)]


def plan(given: ReplaceMember | None = None, view: RoleView = VIEW, **lost: Any) -> Replacement:
    return plan_replacement(view, [replace(LOST, **lost)], given, NOW)


def test_a_member_is_absent_whose_node_is_gone_or_down_or_whose_volume_fits_no_node() -> None:
    then = NOW - LOST_PATIENCE
    down = "its node node-b is not ready"
    assert absent(pod(node="node-b"), node("node-b", "Unknown")) == [("node-b", down, then)]
    gone = "its node node-b does not exist any more"
    assert absent(pod(node="node-b"), node("node-a")) == [("node-b", gone, None)]
    nowhere = f"no node can run it with its volume ({CONFLICT[:-1]})"
    assert absent(pod(), node("node-a")) == [("node-b", nowhere, then)]


@pytest.mark.parametrize(
    ("found", "nodes", "phase"),
    [
        (pod(node="node-b"), node("node-b"), "Bound"),
        # Without the right to read nodes nothing is known of them.
        (pod(node="node-b"), {}, "Bound"),
        (pod(message="0/3 nodes are available: 3 Insufficient cpu."), node("node-a"), "Bound"),
        # It never had a volume that could be lost.
        (pod(), node("node-a"), "Pending"),
        ({"metadata": {"name": "demo-mariadb-1"}}, node("node-a"), "Bound"),
        (pod(ordinal=2), node("node-a"), "Bound"),
    ],
)
def test_others_are_not(found: Any, nodes: Any, phase: str) -> None:
    assert absent(found, nodes, phase) == []


def test_the_condition_names_member_node_claim_and_cost_and_the_consent() -> None:
    step = plan()

    assert step.member is None
    assert step.problem is not None
    assert step.problem.reason is Reason.MEMBER_LOST
    for part in (
        "demo-mariadb-1 cannot run: its node node-b is not ready",
        "claim data-demo-mariadb-1 on node node-b",
        f"replaceMember to {{member: demo-mariadb-1, incident: {VIEW.incident(LOST)}}}",
        "Until then 2 of 3 members serve.",
    ):
        assert part in step.problem.message


def test_the_consent_replaces_the_member() -> None:
    step = plan(consent())

    assert step.member == LOST
    assert step.incident == VIEW.incident(LOST)


@pytest.mark.parametrize(
    "young",
    [{"since": NOW - LOST_PATIENCE + timedelta(seconds=1)}, {"pod": "demo-mariadb-2"}],
)
def test_one_who_was_just_there_or_answers_is_not_lost(young: dict[str, Any]) -> None:
    assert plan(consent(), **young) == Replacement()


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (consent(incident="00000000"), "is for another incident, 00000000."),
        (consent(member="demo-mariadb-0"), "names demo-mariadb-0, which is not lost."),
    ],
)
def test_a_consent_to_anything_else_replaces_nobody(given: ReplaceMember, why: str) -> None:
    step = plan(given)

    assert step.member is None
    assert step.problem is not None
    assert step.problem.message.endswith(why)


def test_a_consent_does_not_apply_to_the_next_claim() -> None:
    assert plan(consent(), claim_uid="uid-2").member is None


@pytest.mark.parametrize(
    ("view", "why"),
    [
        (replace(VIEW, members={0: MemberView()}), "no member serves, and the newest data may be"),
        (replace(VIEW, refused="the database waits for a person"), "since the database waits"),
    ],
)
def test_it_is_refused_while_the_member_may_be_needed(view: RoleView, why: str) -> None:
    step = plan(consent(), view)

    assert step.member is None
    assert step.problem is not None
    assert why in step.problem.message
    assert plan(None, view) == Replacement()

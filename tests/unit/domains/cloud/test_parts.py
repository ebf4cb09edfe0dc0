"""The parts of a cloud: what wakes each, and what none of them holds up."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import LABEL_COMPONENT, LABEL_NAME
from stackroles.domains.cloud.bringup import build_graph
from stackroles.domains.cloud.reconcile_parts import service_states
from stackroles.domains.cloud.reconcile_steps import Steps
from stackroles.domains.cloud.service import dependents_of, nodes_of
from stackroles.errors import ClusterError, Conflict
from stackroles.kube.kinds import ObjectRef, PartRef, controller_of
from stackroles.reconcile.parts import service_of
from stackroles.roles import registry
from stackroles.runtime.wakeups import owners_of_child
from stackroles.workloads.conditions import Finding, joined
from stackroles.workloads.manifests.children import build_role
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import DEMO, RECONCILERS, World

GRAPH = build_graph(registry.CONTROLLER_ROLES, registry.SERVICES)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


def owners(kind: str, parent: str = "CloudController", **labels: str) -> set[str]:
    child = {"kind": kind, "metadata": {"name": "x", "namespace": "ns", "labels": labels}}
    keys = owners_of_child(child, ObjectRef(parent, "ns", "demo"))
    return {key.part if isinstance(key, PartRef) else "" for key in keys}


def test_a_child_wakes_the_part_that_made_it() -> None:
    assert owners("Pod", **{LABEL_COMPONENT: "keystone", LABEL_NAME: "keystone"}) == {
        "services/keystone"
    }
    assert owners("Secret", **{LABEL_COMPONENT: "keystone"}) == {"credentials"}
    assert owners("ConfigMap") == {""}


@pytest.mark.parametrize(
    ("service", "cluster"),
    [("mariadb", "database"), ("haproxy", "database"), ("rabbitmq", "messaging")],
)
def test_a_member_wakes_the_pass_that_asks_it(service: str, cluster: str) -> None:
    labels = {LABEL_COMPONENT: service, LABEL_NAME: service}
    assert owners("Pod", **labels) == {f"services/{service}", cluster}


def test_agents_that_services_share_wake_them_all() -> None:
    found = owners("ConfigMap", **{LABEL_COMPONENT: "agents", LABEL_NAME: "agents"})
    assert found == {"", *(f"services/{service.name}" for service in registry.SERVICES)}


def test_children_of_other_kinds_wake_their_resource() -> None:
    assert owners("Pod", "ComputePool", **{LABEL_COMPONENT: "nova"}) == {""}


def test_every_node_of_the_graph_belongs_to_one_service() -> None:
    nodes = [node for s in registry.SERVICES for node in nodes_of(s, registry.CONTROLLER_ROLES)]
    assert sorted(nodes) == sorted(GRAPH)


def test_whoever_needs_a_service_is_its_dependent() -> None:
    for service in registry.SERVICES:
        found = dependents_of(service, registry.SERVICES, registry.CONTROLLER_ROLES, GRAPH)
        own = nodes_of(service, registry.CONTROLLER_ROLES)
        for other in registry.SERVICES:
            needs = {n for node in nodes_of(other, registry.CONTROLLER_ROLES) for n in GRAPH[node]}
            assert (other.name in found) == (other is not service and bool(needs & own))


async def test_a_log_that_nobody_gives_holds_up_its_service_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()
    silent = asyncio.Event()

    async def wait(*_: Any) -> None:
        await silent.wait()

    keystone = service_of(world.resource, "keystone")
    monkeypatch.setattr(Steps, "read_logs", wait)
    reconcile = RECONCILERS[controller_of(keystone)]
    hanging = asyncio.ensure_future(reconcile(world.context, world.resource))
    await asyncio.sleep(0)
    monkeypatch.undo()
    world.declare(config={"glance": {"DEFAULT": {"debug": "true"}}})
    await world.reconcile()
    assert world.condition("Ready")["reason"] == "RollingOut"
    assert not hanging.done()
    silent.set()
    await hanging


async def test_a_pass_that_breaks_is_named_and_stops_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()

    def broken(cloud: Any, role: Any) -> Any:
        if role.name == "glance":
            raise ClusterError("cannot be built")
        return build_role(cloud, role)

    monkeypatch.setattr("stackroles.domains.cloud.reconcile_rolls.build_role", broken)
    world.declare(config={"keystone": {"DEFAULT": {"debug": "true"}}})
    with pytest.raises(ClusterError):
        await world.reconcile()
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ApplyFailed")
    assert ready["message"].startswith("Service glance: its pass failed: cannot be built")
    states = service_states(world.context, world.resource)
    assert states["keystone"].failure is None
    assert not states["keystone"].settled


async def test_a_conflict_is_no_finding(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.declare()
    await world.settle()
    before = world.resource["status"]

    async def conflict(*_: Any, **__: Any) -> None:
        raise Conflict("the pod changed since it was read", 409)

    monkeypatch.setattr(Steps, "replace_members", conflict)
    with pytest.raises(Conflict):
        await world.reconcile()
    assert world.resource["status"] == before


async def test_a_status_is_of_the_generation_that_all_parts_were_brought_to(world: World) -> None:
    world.declare()
    await world.settle()
    before = world.resource["metadata"]["generation"]
    world.declare(config={"keystone": {"DEFAULT": {"debug": "true"}}})
    after = world.resource["metadata"]["generation"]
    assert after > before
    await RECONCILERS["CloudController"](world.context, world.resource)
    assert world.resource["status"]["observedGeneration"] == before
    await world.reconcile()
    assert world.resource["status"]["observedGeneration"] == after


async def test_nothing_begins_before_the_finalizer(world: World) -> None:
    world.declare()
    for controller, reconcile in RECONCILERS.items():
        if controller.startswith("CloudController/"):
            await reconcile(world.context, world.resource)
    assert world.api.writes() == []
    await RECONCILERS["CloudController"](world.context, world.resource)
    assert world.cluster.get(*DEMO) is not None


def test_refusals_of_several_services_are_one_sentence_each() -> None:
    one, two = (Finding(Reason.APPLY_FAILED, message) for message in ("One.", "Two."))
    changed = Finding(Reason.CREDENTIALS_CHANGED, "Changed.")
    found = joined([None, one, two, one, changed])
    assert found == Finding(Reason.APPLY_FAILED, "One. Also: Two. Also: Changed.")
    assert joined([None]) is None

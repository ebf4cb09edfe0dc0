"""What the API server refuses a pool holds up nothing else of it."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from stackroles.constants import ANNOTATION_PROBE, LABEL_POOL
from stackroles.errors import (
    Conflict,
    Forbidden,
    NotOwned,
    OperatorError,
    Throttled,
    Unavailable,
)
from stackroles.kube.kinds import KINDS
from stackroles.roles import registry
from tests.support.fake_api import Fault
from tests.support.pool_world import World, pool_world, serving


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with pool_world() as made:
        yield made


async def refused(world: World, fault: Fault, passes: int = 4) -> OperatorError | None:
    """Reconcile while one request of each pass gets a fault; return what the last pass raised."""
    raised: OperatorError | None = None
    for _ in range(passes):
        world.api.faults[:] = [fault]
        try:
            await world.reconcile()
        except OperatorError as error:
            raised = error
        else:
            raised = None
        world.api.faults.clear()
        await world.polls.tick()
    return raised


def state_of(world: World, node: str) -> str:
    found = world.cluster.get("ComputeNode", "ns", node)
    assert found is not None
    return str(found["status"]["state"])


async def test_a_refused_job_is_reported_and_nodes_are_judged_all_the_same(world: World) -> None:
    await serving(world, "n1", "n2")
    world.node("n3")
    world.serve("n3")
    quota = Fault("POST", "/jobs", 403, message="exceeded quota: jobs")
    await refused(world, quota)
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], up=False)
    await world.polls.tick()
    assert isinstance(await refused(world, quota), Forbidden)
    status, reason, message = world.condition("Reconciled")
    assert (status, reason) == ("False", "ApplyFailed")
    assert "exceeded quota: jobs" in message
    assert state_of(world, "n1") == "Unavailable"
    assert state_of(world, "n3") == "Enrolling", "no Job has mapped its host"
    assert world.pool()["status"]["unhealthy"] == ["n1", "n3"]

    await world.settle()
    assert world.condition("Reconciled")[:2] == ("True", "Applied")
    assert world.pool()["status"]["ready"] == 2


@pytest.mark.parametrize(
    ("changed", "fault", "error"),
    [
        ({"buildFailureThreshold": 5}, Fault("POST", "/jobs", 503), Unavailable),
        ({"virtType": "qemu"}, Fault("PATCH", "/daemonsets/", 409), Conflict),
        ({"virtType": "qemu"}, Fault("PATCH", "/daemonsets/", 429), Throttled),
        ({"virtType": "qemu"}, Fault("PATCH", "/daemonsets/", 503), Unavailable),
    ],
)
async def test_what_the_next_attempt_may_bring_is_no_finding(
    world: World, changed: dict[str, Any], fault: Fault, error: type[OperatorError]
) -> None:
    await serving(world, "n1", "n2")
    world.node("n3")
    world.serve("n3")
    await refused(world, fault)
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], up=False)
    await world.polls.tick()
    world.declare(**changed)
    assert isinstance(await refused(world, fault), error)
    assert world.condition("Reconciled")[:2] == ("True", "Applied")
    observed = world.pool()["status"]["observedGeneration"]
    assert observed < world.pool()["metadata"]["generation"], "not all of it was tried"
    assert world.pool()["status"]["unhealthy"] == ["n1", "n3"]


async def test_a_node_whose_status_is_refused_holds_up_no_other(world: World) -> None:
    await serving(world, "n1", "n2")
    for name in ("n1", "n2"):
        world.nova.hosts[name] = replace(world.nova.hosts[name], up=False)
    await world.polls.tick()
    await refused(world, Fault("PATCH", "/computenodes/n1/status", 403), passes=1)
    assert (state_of(world, "n1"), state_of(world, "n2")) == ("Ready", "Unavailable")
    assert "computenodes/n1/status" in world.condition("Reconciled")[2]


async def test_a_refused_probe_is_reported_and_another_node_probes(world: World) -> None:
    await serving(world, "n1", "n2")
    for name in ("n1", "n2"):
        node = world.cluster.get("ComputeNode", "ns", name)
        assert node is not None
        world.store(
            {**node, "metadata": {**node["metadata"], "annotations": {ANNOTATION_PROBE: "a"}}}
        )
    before = {job["metadata"]["name"] for job in world.cluster.list("Job", "ns")}
    await refused(world, Fault("POST", "/jobs", 403), passes=1)
    made = {job["metadata"]["name"] for job in world.cluster.list("Job", "ns")} - before
    assert len(made) == 1, "the first one was refused"
    assert world.condition("Reconciled")[1] == "ApplyFailed"


async def test_a_node_leaves_while_another_ones_label_is_refused(world: World) -> None:
    await serving(world, "n1", "n2")
    world.delete()
    assert isinstance(await refused(world, Fault("PATCH", "/nodes/n1", 403)), Forbidden)
    assert world.labelled() == ["n1"]


async def test_a_refused_finalizer_is_reported(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare()
    await refused(world, Fault("PATCH", "/computepools/pool", 403), passes=1)
    assert world.condition("Ready")[:2] == ("False", "ApplyFailed")
    assert world.labelled() == [], "nothing would undo it when the pool is deleted"


async def test_a_deletion_says_that_the_password_cannot_be_read(world: World) -> None:
    await serving(world, "n1")
    world.delete()
    known = world.api.get("secrets", "ns", "demo-admin-credentials-in-use")
    assert known is not None
    world.store(copy.deepcopy(known))  # another version, which has to be read again
    secret = Fault("GET", "/secrets/demo-admin-credentials-in-use", 403, message="no right")
    assert isinstance(await refused(world, secret, passes=1), Forbidden)
    status, reason, message = world.condition("Ready")
    assert (status, reason) == ("False", "DeletionBlocked")
    assert "no right" in message
    assert world.labelled() == ["n1"]


async def test_an_agents_name_that_somebody_else_has_is_reported(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare()
    name = f"pool-{registry.COMPUTE_ROLES[0].name}"
    world.store({"kind": "DaemonSet", "metadata": {"name": name, "namespace": "ns"}, "spec": {}})
    assert isinstance(await refused(world, Fault("GET", "/nothing", 503)), NotOwned)
    status, reason, message = world.condition("Reconciled")
    assert (status, reason) == ("False", "ApplyFailed")
    assert "is not managed by stackroles" in message


@pytest.mark.parametrize(("kind", "namespace"), [("Node", ""), ("ComputeNode", "ns")])
async def test_what_is_gone_before_its_watch_says_so_is_no_finding(
    world: World, kind: str, namespace: str
) -> None:
    await serving(world, "n1", "n2")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], up=False)
    await world.polls.tick()
    node = copy.deepcopy(world.api.get("nodes", "", "n1"))
    assert node is not None
    del node["metadata"]["labels"][LABEL_POOL]
    world.store(node)
    world.api.remove(KINDS[kind].plural, namespace, "n1")
    with pytest.raises(Conflict):
        await world.reconcile()
    assert world.condition("Reconciled")[:2] == ("True", "Applied")
    assert world.cluster.get(kind, namespace, "n1") is None

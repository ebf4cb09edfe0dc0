"""Nodes that change pools, lose their ComputeNode or their Node, on a small API server."""

from collections.abc import AsyncIterator

import pytest

from stackroles.errors import CloudError, CloudUnavailable
from tests.support.pool_world import World, pool_world, serving


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with pool_world() as made:
        yield made


async def test_a_node_that_the_cloud_keeps_does_not_hold_up_its_new_pool(world: World) -> None:
    await serving(world, "n1")
    world.declare("second", nodeSelector={"compute": "second"})
    world.node("n1", compute="second")
    world.node("n2", compute="second")
    world.nova.refusal = CloudError("n1 has migrations (HTTP 409)")
    await world.settle("pool", "second")
    world.stop("n1")
    world.serve("n2", pool="second")
    await world.settle("pool", "second")
    assert "The cloud keeps n1: n1 has migrations" in world.condition("Progressing")[2]
    status, reason, message = world.condition("Progressing", "second")
    assert (status, reason) == ("True", "Enrolling")
    assert "n1 are taken when they have left ComputePool ns/pool" in message
    assert world.pool("second")["status"]["ready"] == 1
    assert world.pool("second")["status"]["unhealthy"] == ["n1"]
    world.nova.refusal = None
    await world.settle("pool", "second")
    world.serve("n1", pool="second")
    await world.settle("pool", "second")
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert node["spec"]["pool"] == "second"
    assert world.condition("Ready", "second")[0] == "True"


async def test_agents_stay_until_two_looks_found_nothing_on_their_host(world: World) -> None:
    await serving(world, "n1")
    world.node("n1", other="label")
    await world.reconcile()
    await world.polls.tick()
    await world.reconcile()
    assert world.nova.hosts["n1"].enabled is False
    assert world.labelled() == ["n1"], "a build may have been on its way at the first look"
    world.nova.claims["n1"] = 1
    await world.settle()
    assert "n1: 1 claim in placement" in world.condition("Progressing")[2]
    assert world.labelled() == ["n1"]
    world.nova.claims.clear()
    await world.polls.tick()
    await world.reconcile()
    assert world.labelled() == ["n1"]
    await world.polls.tick()
    await world.reconcile()
    assert world.labelled() == []


async def test_a_look_that_failed_does_not_count(world: World) -> None:
    await serving(world, "n1")
    world.node("n1", other="label")
    await world.reconcile()
    await world.polls.tick()
    world.nova.failure = CloudUnavailable("no answer within 60 s")
    await world.polls.tick()
    world.nova.failure = None
    await world.polls.tick()
    await world.reconcile()
    assert world.labelled() == ["n1"]
    await world.polls.tick()
    await world.reconcile()
    assert world.labelled() == []


async def test_a_compute_node_that_was_deleted_is_made_again(world: World) -> None:
    await serving(world, "n1")
    world.api.remove("computenodes", "ns", "n1")
    world.finish()
    assert world.cluster.get("ComputeNode", "ns", "n1") is None
    await world.settle()
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert node["status"]["state"] == "Ready"
    assert world.condition("Ready")[0] == "True"

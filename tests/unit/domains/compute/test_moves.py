"""Nodes that change pools, lose their ComputeNode or their Node, on a small API server."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stackroles.errors import CloudError, CloudUnavailable, OperatorError
from stackroles.kube.kinds import ObjectRef
from stackroles.roles import registry
from stackroles.settings import Settings
from tests.support.fake_api import Fault
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
    world.nova.rejection = CloudError("n1 has migrations (HTTP 409)")
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
    world.enqueued.clear()
    await world.reconcile("second")
    assert world.enqueued == [ObjectRef("ComputePool", "ns", "second")], "nothing else wakes it"
    world.nova.rejection = None
    await world.settle("pool", "second")
    world.serve("n1", pool="second")
    await world.settle("pool", "second")
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert node["spec"]["pool"] == "second"
    assert world.condition("Ready", "second")[0] == "True"


async def test_a_node_with_an_address_of_ipv6_is_named_and_not_enrolled(world: World) -> None:
    await serving(world, "n1")
    world.node("n2")
    node = copy.deepcopy(world.cluster.get("Node", "", "n2"))
    assert node is not None
    node["status"]["addresses"] = [{"type": "InternalIP", "address": "fd00::2"}]
    world.cluster.cache.upsert(world.api.put(node))
    await world.settle()
    status, reason, message = world.condition("Reconciled")
    assert (status, reason) == ("False", "IPv4Required")
    assert "n2 (fd00::2)" in message
    assert world.labelled() == ["n1"]
    assert world.pool()["status"]["ready"] == 1


async def test_agents_stay_until_two_checks_found_nothing_on_their_host(world: World) -> None:
    await serving(world, "n1")
    world.node("n1", other="label")
    await world.reconcile()
    await world.polls.tick()
    await world.reconcile()
    assert world.nova.hosts["n1"].enabled is False
    assert world.labelled() == ["n1"], "a build may have been on its way at the first pass"
    world.nova.claims["n1"] = ("server",)
    await world.settle()
    assert "n1: 1 claim in placement, of server" in world.condition("Progressing")[2]
    assert world.labelled() == ["n1"]
    world.nova.claims.clear()
    await world.polls.tick()
    await world.reconcile()
    assert world.labelled() == ["n1"]
    await world.polls.tick()
    await world.reconcile()
    assert world.labelled() == []


async def test_a_machine_that_is_off_leaves_with_its_node_and_is_reported(world: World) -> None:
    await serving(world, "n1", "n2")
    world.node("n1", ready=False, other="label")

    await world.settle()

    assert world.labelled() == ["n2"]
    message = world.condition("Progressing")[2]
    assert "Agents on n1 are stopping. No kubelet says so of n1" in message
    assert "kubectl delete node" in message
    world.lose("n1")
    await world.settle()
    assert "n1" not in world.nova.hosts
    assert world.condition("Ready")[0] == "True"


async def test_agents_that_stop_by_themselves_ask_for_nothing(world: World) -> None:
    await serving(world, "n1", "n2")
    world.node("n1", other="label")

    await world.settle()

    assert world.condition("Progressing")[2] == "Agents on n1 are stopping."


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


async def in_zone(world: World, zone: str) -> None:
    world.controller()
    world.node("n1")
    world.declare(availabilityZone=zone)
    world.serve("n1")
    await world.settle()
    assert world.nova.hosts["n1"].zone == zone
    assert world.condition("Ready")[0] == "True"


async def test_a_host_serves_only_when_it_is_in_its_zone(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare(availabilityZone="left")
    world.serve("n1")
    await world.settle()
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], zone="nova")
    world.polls.calls.pop("ComputePool/ns/pool/zone")
    await world.polls.tick()
    await world.reconcile()
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert node["status"]["state"] == "Unavailable"
    message = next(c["message"] for c in node["status"]["conditions"] if c["type"] == "Available")
    assert "availability zone nova, not in left" in message


async def test_a_host_without_guests_follows_its_pool_into_another_zone(world: World) -> None:
    await in_zone(world, "left")
    world.declare(availabilityZone="right")
    await world.settle()
    assert world.nova.hosts["n1"].zone == "right"
    assert world.condition("Ready")[0] == "True"


async def test_a_host_with_guests_stays_in_its_zone_until_they_are_gone(world: World) -> None:
    await in_zone(world, "left")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=1)
    world.declare(availabilityZone="right")
    await world.settle()
    _, reason, message = world.condition("Ready")
    assert reason == "ZoneRefused"
    assert "n1 stays in zone left while it has guests" in message
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=0)
    await world.settle()
    assert world.nova.hosts["n1"].zone == "right"
    assert world.condition("Ready")[0] == "True"


async def test_hosts_of_a_pool_that_gives_up_its_zone_leave_it_once(world: World) -> None:
    await in_zone(world, "left")
    world.declare()
    await world.settle()
    assert world.nova.hosts["n1"].zone == "nova"
    assert "availabilityZone" not in world.pool()["status"]
    done = len(world.nova.done)
    await world.settle()
    assert world.nova.done[done:] == [], "a zone that a person chooses now is theirs"


async def test_a_pool_whose_deletion_waits_keeps_its_agents(world: World) -> None:
    await serving(world, "n1")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=1)
    world.delete()
    await world.settle()
    # As after kubectl delete --cascade=foreground, which asks no finalizer but its own.
    for child in world.cluster.list("DaemonSet", "ns"):
        world.api.remove("daemonsets", "ns", child["metadata"]["name"])
        world.cluster.cache.remove(child)
    world.api.remove("computenodes", "ns", "n1")
    await world.settle()
    assert world.daemon_sets() == {role.name for role in registry.COMPUTE_ROLES}
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert node["status"]["state"] == "Leaving"
    assert world.condition("Ready")[1] == "DeletionBlocked"
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=0)
    await world.settle()
    world.stop("n1")
    await world.settle()
    assert world.nova.hosts == {}
    assert not world.pool()["metadata"].get("finalizers")


async def test_a_pool_without_rights_on_nodes_says_so_and_lets_none_go(world: World) -> None:
    await serving(world, "n1")
    world.context = replace(world.context, settings=Settings(node_rights=False))
    for node in world.cluster.list("Node"):
        world.cluster.cache.remove(node)
    done = len(world.nova.done)
    await world.settle()
    _, reason, message = world.condition("Ready")
    assert reason == "NodeRightsMissing"
    assert "nodeRights: true" in message
    assert world.nova.done[done:] == []
    assert world.cluster.get("ComputeNode", "ns", "n1") is not None


def status_of(world: World, name: str) -> dict[str, Any]:
    node = world.cluster.get("ComputeNode", "ns", name)
    assert node is not None
    status: dict[str, Any] = node["status"]
    return status


async def test_a_host_without_guests_goes_with_its_node(world: World) -> None:
    await serving(world, "n1", "n2")
    before = len(world.api.writes())
    world.lose("n1")
    for _ in range(4):
        await world.reconcile()
        world.finish()
        await world.reconcile()
        await world.polls.tick()
    assert set(world.nova.hosts) == {"n2"}
    assert world.cluster.get("ComputeNode", "ns", "n1") is None
    await world.settle()
    assert world.condition("Ready")[0] == "True"
    made = [path for method, path in world.api.writes()[before:] if method == "POST"]
    assert not [path for path in made if "computenodes" in path]


async def test_a_host_with_guests_whose_node_is_gone_says_what_to_do(world: World) -> None:
    await serving(world, "n1", "n2")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=1)
    world.lose("n1")
    await world.settle()
    messages = {c["type"]: c["message"] for c in status_of(world, "n1")["conditions"]}
    assert "gone from Kubernetes" in messages["Progressing"]
    assert "openstack server evacuate" in messages["Progressing"]
    assert "n1: 1 guest" in world.condition("Progressing")[2]
    world.api.remove("computenodes", "ns", "n1")
    await world.settle()
    assert status_of(world, "n1")["state"] == "Leaving", "nova still knows the host"
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=0)
    await world.settle()
    assert set(world.nova.hosts) == {"n2"}
    assert world.cluster.get("ComputeNode", "ns", "n1") is None


async def test_a_node_that_returns_takes_its_guests_up_again(world: World) -> None:
    await serving(world, "n1")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=1)
    world.lose("n1")
    await world.settle()
    world.node("n1")
    world.serve("n1")
    await world.settle()
    assert world.nova.hosts["n1"].enabled
    assert world.labelled() == ["n1"]
    assert world.condition("Ready")[0] == "True"


async def test_a_host_that_another_pool_closed_and_lost_is_opened(world: World) -> None:
    await serving(world, "n1")
    closed = replace(world.nova.hosts["n1"], enabled=False, reason="leaves ComputePool ns/former")
    world.nova.hosts["n1"] = closed
    await world.settle()
    assert world.nova.hosts["n1"].enabled
    assert world.condition("Ready")[0] == "True"


async def test_enrolment_goes_on_where_an_operator_ended(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare()
    world.api.faults.append(Fault("PATCH", "nodes/n1", 500))
    with pytest.raises(OperatorError):
        await world.reconcile()
    assert world.cluster.get("ComputeNode", "ns", "n1") is not None
    assert world.labelled() == []
    world.api.faults.clear()
    world.serve("n1")
    await world.settle()
    assert world.labelled() == ["n1"]
    assert world.condition("Ready")[0] == "True"


async def test_an_operator_that_starts_while_nova_is_down_keeps_what_was_known(
    world: World,
) -> None:
    await serving(world, "n1")
    world.polls.seen.clear()
    world.nova.failure = CloudUnavailable("no answer within 60 s")
    world.clock.at += timedelta(hours=1)
    await world.settle()
    status = status_of(world, "n1")
    assert (status["vcpus"], status["serviceState"]) == (4, "up, enabled")
    condition = next(c for c in status["conditions"] if c["type"] == "Available")
    assert "what is shown was known before: no answer within 60 s" in condition["message"]
    assert condition["lastTransitionTime"].startswith("2026-01-01T01")
    world.nova.failure = None
    await world.settle()
    assert world.condition("Ready")[0] == "True"

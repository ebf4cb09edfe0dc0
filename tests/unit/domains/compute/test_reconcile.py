"""A ComputePool on a small API server; the kubelet and the cloud are played by the test."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stackroles.constants import FINALIZER, LABEL_POOL
from stackroles.errors import CloudUnavailable
from stackroles.roles import registry
from stackroles.settings import Settings
from tests.support.pool_world import World, pool_world, serving


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with pool_world() as made:
        yield made


async def test_a_labelled_node_becomes_a_compute_node_that_serves(world: World) -> None:
    await serving(world, "n1")
    assert world.daemon_sets() == {role.name for role in registry.COMPUTE_ROLES}
    assert world.labelled() == ["n1"]
    assert world.condition("Ready")[:2] == ("True", "AsDesired")
    status = world.pool()["status"]
    assert (status["nodes"], status["ready"], status["vcpus"]) == (1, 1, 4)
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert node["status"]["state"] == "Ready"
    assert node["status"]["virtReason"] == "no kvm"
    assert (node["status"]["computeId"], node["status"]["hostUuid"]) == ("c", "h")


async def test_a_settled_pool_is_left_alone(world: World) -> None:
    await serving(world, "n1")
    before = len(world.api.requests)
    await world.reconcile()
    assert world.api.requests[before:] == []


async def test_an_operator_that_was_restarted_writes_nothing(world: World) -> None:
    await serving(world, "n1")
    before = len(world.api.writes())
    world.polls.seen.clear()
    await world.settle()
    assert world.api.writes()[before:] == []


async def test_a_pool_waits_for_its_controller_and_proceeds(world: World) -> None:
    world.node("n1")
    world.declare()
    await world.settle()
    assert world.condition("Ready")[1] == "ControllerMissing"
    assert world.labelled() == []
    world.controller()
    world.serve("n1")
    await world.settle()
    assert world.condition("Ready")[0] == "True"


async def test_agents_whose_pods_are_refused_say_so(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare()
    await world.reconcile()
    world.clock.at += timedelta(minutes=1)
    found = world.cluster.get("DaemonSet", "ns", "pool-libvirt")
    assert found is not None
    stored = world.api.get("daemonsets", "ns", "pool-libvirt")
    world.store({**copy.deepcopy(stored or {}), "status": {"desiredNumberScheduled": 1}})
    event = {
        "kind": "Event",
        "metadata": {"name": "refused", "namespace": "ns"},
        "regarding": {"kind": "DaemonSet", "uid": found["metadata"]["uid"]},
        "reason": "FailedCreate",
        "note": "violates PodSecurity",
        "deprecatedLastTimestamp": world.clock.at.isoformat(),
    }
    world.api.put(event)
    await world.reconcile()
    status, reason, message = world.condition("Progressing")
    assert (status, reason) == ("False", "PodsRefused")
    assert "Pods of DaemonSet pool-libvirt are refused: violates PodSecurity" in message


@pytest.mark.parametrize(
    "here",
    [
        {"settings": Settings(namespaces=("ns",))},
        {"settings": Settings(namespaces=("ns", "other")), "unread": lambda: ("other",)},
    ],
    ids=["not watched", "watched, but it cannot be read"],
)
async def test_a_node_of_a_pool_that_cannot_be_seen_is_left_to_it(
    world: World, here: dict[str, Any]
) -> None:
    world.context = replace(world.context, **here)
    world.controller()
    world.node("n1")
    theirs = copy.deepcopy(world.api.get("nodes", "", "n1"))
    assert theirs is not None
    theirs["metadata"]["labels"][LABEL_POOL] = "other.pool"
    world.store(theirs)
    world.declare()
    await world.settle()
    node = world.cluster.get("Node", "", "n1")
    assert node is not None
    assert node["metadata"]["labels"][LABEL_POOL] == "other.pool"
    status, reason, message = world.condition("Reconciled")
    assert (status, reason) == ("False", "NodeClaimed")
    assert "other.pool of a namespace that is not watched here" in message


async def test_agents_wait_for_the_roles_they_need(world: World) -> None:
    world.controller(roles=[{"name": "ovn-sb", "ready": 3}, {"name": "nova-conductor", "ready": 0}])
    world.node("n1")
    world.declare()
    await world.settle()
    assert world.daemon_sets() == {
        "openvswitch",
        "libvirt",
        "ovn-controller",
        "ovn-metadata",
        "node-agent",
    }
    status, reason, message = world.condition("Progressing")
    assert (status, reason) == ("True", "WaitingForController")
    assert "nova-conductor" in message


async def test_an_agent_that_runs_stays_while_what_it_needs_is_down(world: World) -> None:
    await serving(world, "n1")
    controller = copy.deepcopy(world.api.get("cloudcontrollers", "ns", "demo"))
    assert controller is not None
    world.store({**controller, "status": {}})
    await world.settle()
    assert "nova-compute" in world.daemon_sets()


async def test_a_selector_that_matches_nothing_is_reported(world: World) -> None:
    world.controller()
    world.node("n1", other="label")
    world.declare()
    await world.settle()
    assert world.condition("Ready")[1] == "NoNodes"


async def test_a_node_of_another_pool_is_refused_and_both_are_named(world: World) -> None:
    await serving(world, "n1")
    world.declare("second")
    await world.settle("pool", "second")
    _, reason, message = world.condition("Ready", "second")
    assert reason == "NodeClaimed"
    assert "n1 belongs to ComputePool ns/pool" in message
    assert world.condition("Ready")[0] == "True"


async def test_new_hosts_are_mapped_by_a_job_of_their_own(world: World) -> None:
    await serving(world, "n1")
    [first] = world.cluster.list("Job", "ns")
    world.node("n2")
    world.serve("n2")
    await world.settle()
    [second] = world.cluster.list("Job", "ns")
    assert first["metadata"]["name"] != second["metadata"]["name"]
    assert world.pool()["status"]["ready"] == 2


async def test_a_node_is_not_ready_before_its_host_is_mapped(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare()
    world.serve("n1")
    for _ in range(4):
        await world.reconcile()
        await world.polls.tick()
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert node["status"]["state"] == "Enrolling"


async def test_a_node_that_is_taken_is_named_once(world: World) -> None:
    await serving(world, "n1")
    world.node("n3")
    await world.reconcile()
    assert world.condition("Progressing")[1:] == ("Enrolling", "n3 do not serve yet.")


async def test_a_host_that_is_down_makes_its_node_unavailable(world: World) -> None:
    await serving(world, "n1", "n2")
    world.nova.hosts["n2"] = replace(world.nova.hosts["n2"], up=False)
    await world.settle()
    status = world.pool()["status"]
    assert (status["ready"], status["unhealthy"]) == (1, ["n2"])
    assert world.condition("Available")[1] == "NodesServe"
    assert world.condition("Ready")[0] == "False"


async def test_a_silent_cloud_is_believed_for_a_while(world: World) -> None:
    await serving(world, "n1")
    world.nova.failure = CloudUnavailable("no answer within 60 s")
    world.enqueued.clear()
    await world.settle()
    assert world.condition("Ready")[0] == "True"
    # A poll that goes on to fail wakes nobody.
    assert world.enqueued, "no pass follows when the answer is too old to be believed"
    world.clock.at += timedelta(minutes=5)
    await world.settle()
    assert world.condition("Ready")[0] == "False"
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    message = next(c["message"] for c in node["status"]["conditions"] if c["type"] == "Available")
    assert "no answer within 60 s" in message
    # Nothing is said of nodes that nobody could ask for: they serve as far as is known.
    status, _, message = world.condition("Available")
    assert status == "Unknown"
    assert "no answer within 60 s" in message


async def test_nobody_is_asked_before_keystone_is_filled(world: World) -> None:
    world.controller(filled=False)
    world.node("n1")
    world.declare()
    await world.settle()
    assert world.polls.calls.keys() == {"ComputePool/ns/pool/reports"}, "only the agents are asked"
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    message = next(c["message"] for c in node["status"]["conditions"] if c["type"] == "Available")
    assert "keystone of CloudController demo has not been filled yet" in message

    world.delete()
    await world.settle()
    assert world.condition("Ready")[1] == "DeletionBlocked"
    assert "has not been filled yet" in world.condition("Ready")[2]


async def test_hosts_are_put_into_the_pools_zone(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare(availabilityZone="left")
    world.serve("n1")
    await world.settle()
    assert ("zone left", ("n1",)) in world.nova.done


async def test_a_node_with_guests_leaves_only_when_they_are_gone(world: World) -> None:
    await serving(world, "n1", "n2")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=2)
    world.node("n1", other="label")
    await world.settle()
    assert "n1" in world.labelled()
    assert "Hosts are still needed (n1: 2 guests)" in world.condition("Progressing")[2]
    assert world.nova.hosts["n1"].enabled is False
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=0)
    await world.settle()
    assert world.labelled() == ["n2"]
    assert "n1" in world.nova.hosts, "its agents have not stopped yet"
    world.stop("n1")
    await world.settle()
    assert "n1" not in world.nova.hosts
    assert world.cluster.get("ComputeNode", "ns", "n1") is None
    assert world.condition("Ready")[0] == "True"


async def test_a_node_that_comes_back_before_it_left_is_opened_again(world: World) -> None:
    await serving(world, "n1")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=1)
    world.node("n1", other="label")
    await world.settle()
    world.node("n1")
    await world.settle()
    assert world.nova.hosts["n1"].enabled is True
    assert world.condition("Ready")[0] == "True"


async def test_a_host_that_a_person_disabled_stays_disabled(world: World) -> None:
    await serving(world, "n1")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], enabled=False, reason="disk check")
    await world.settle()
    assert world.nova.hosts["n1"].enabled is False
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    message = next(c["message"] for c in node["status"]["conditions"] if c["type"] == "Available")
    assert "disk check" in message


async def test_a_pool_of_a_namespace_that_is_deleted_lets_go_of_its_nodes(world: World) -> None:
    await serving(world, "n1")
    world.api.remove("secrets", "ns", "demo-admin-credentials-in-use")
    end = {"deletionTimestamp": "2026-01-01T01:00:00Z"}
    world.api.put({"kind": "Namespace", "metadata": {"name": "ns", **end}})
    world.delete()
    await world.reconcile()
    assert world.labelled() == []
    assert not world.pool()["metadata"].get("finalizers")


async def test_nothing_goes_on_for_a_pool_that_is_suspended_or_without_a_cloud(
    world: World,
) -> None:
    await serving(world, "n1")
    assert world.polls.calls
    world.declare(suspend=True)
    await world.reconcile()
    assert not world.polls.calls
    world.declare()
    await world.reconcile()
    assert world.polls.calls
    world.cluster.cache.remove(world.api.get("cloudcontrollers", "ns", "demo") or {})
    await world.reconcile()
    assert not world.polls.calls


async def test_deletion_is_blocked_while_there_are_guests(world: World) -> None:
    await serving(world, "n1")
    world.nova.hosts["n1"] = replace(world.nova.hosts["n1"], guests=3)
    world.delete()
    await world.settle()
    _, reason, message = world.condition("Ready")
    assert reason == "DeletionBlocked"
    assert "3 guests" in message
    assert FINALIZER in message
    assert world.labelled() == ["n1"]


async def test_deletion_takes_agents_away_then_hosts_then_the_pool(world: World) -> None:
    await serving(world, "n1")
    world.delete()
    await world.settle()
    assert world.labelled() == []
    assert FINALIZER in world.pool()["metadata"]["finalizers"]
    world.stop("n1")
    await world.settle()
    assert world.nova.hosts == {}
    assert not world.pool()["metadata"].get("finalizers")


async def test_deletion_waits_while_the_cloud_cannot_count_guests(world: World) -> None:
    await serving(world, "n1")
    world.nova.failure = CloudUnavailable("no answer within 60 s")
    world.delete()
    await world.settle()
    assert world.condition("Ready")[1] == "DeletionBlocked"
    assert world.labelled() == ["n1"]


async def test_a_pool_whose_cloud_is_gone_goes_without_asking_it(world: World) -> None:
    await serving(world, "n1")
    controller = world.cluster.get("CloudController", "ns", "demo")
    assert controller is not None
    world.cluster.cache.remove(controller)
    world.delete()
    await world.reconcile()
    assert world.labelled() == []
    assert not world.pool()["metadata"].get("finalizers")


async def test_a_suspended_pool_changes_nothing(world: World) -> None:
    world.controller()
    world.node("n1")
    world.declare(suspend=True)
    await world.settle()
    assert world.condition("Reconciled")[1] == "Suspended"
    assert world.labelled() == []
    assert world.daemon_sets() == set()

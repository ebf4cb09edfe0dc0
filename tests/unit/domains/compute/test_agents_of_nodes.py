"""Rolls of the data plane and closed hosts, through whole passes over a pool."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

import pytest

from stackroles.agents.compute.node_protocol import BuildFailure, DataPlane, NodeReport
from stackroles.errors import CloudError
from tests.support.pool_world import World, pool_world, serving

DATA_PLANE = ("openvswitch", "ovn-controller", "ovn-metadata")


@dataclass
class Agents:
    """What the nodes' agents answer."""

    reports: dict[str, NodeReport | None] = field(default_factory=dict)

    async def pull(self, _: Mapping[str, str]) -> dict[str, NodeReport | None]:
        return dict(self.reports)


@pytest.fixture
def agents(monkeypatch: pytest.MonkeyPatch) -> Agents:
    played = Agents()
    place = "stackroles.domains.compute.reconcile_reports.pull_node_reports"
    monkeypatch.setattr(place, played.pull)
    return played


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with pool_world() as made:
        yield made


def carrying(number: int) -> NodeReport:
    address = f"10.0.0.{number}"
    others = tuple(f"10.0.0.{n}" for n in (1, 2) if n != number)
    plane = DataPlane(
        controller="connected", flows=9, settled=True, address=address, tunnels=others
    )
    return NodeReport(at=1, data_plane=plane)


def pods(world: World, node: str) -> set[str]:
    """Return the roles of which a node has a pod on the API server."""
    found = (world.api.get("pods", "ns", f"pool-{role}-{node}") for role in DATA_PLANE)
    return {pod["metadata"]["labels"]["app.kubernetes.io/name"] for pod in found if pod}


def gone(world: World, node: str) -> None:
    """Let the cache know which pods of a node were deleted."""
    for pod in world.cluster.list("Pod", "ns"):
        name = pod["metadata"]["name"]
        if pod["spec"]["nodeName"] == node and world.api.get("pods", "ns", name) is None:
            world.cluster.cache.remove(pod)


async def test_a_new_data_plane_comes_to_one_node_after_the_other(
    world: World, agents: Agents
) -> None:
    await serving(world, "n1", "n2")
    agents.reports = {"n1": carrying(1), "n2": carrying(2)}
    world.new_template("openvswitch", "ovn-controller")
    await world.reconcile()
    assert (pods(world, "n1"), pods(world, "n2")) == ({"ovn-metadata"}, {*DATA_PLANE})
    gone(world, "n1")
    await world.reconcile()
    assert pods(world, "n2") == {*DATA_PLANE}
    status, reason, message = world.condition("Progressing")
    assert (status, reason) == ("True", "RollingOut")
    assert "n1: its openvswitch is not ready" in message
    for role in ("openvswitch", "ovn-controller"):
        world.pod("n1", role, generation=2)
    agents.reports["n1"] = NodeReport(at=1, data_plane=DataPlane(controller="connected", flows=1))
    await world.reconcile()
    assert pods(world, "n2") == {*DATA_PLANE}, "Ready is no proof that traffic flows"
    assert "its flows still change" in world.condition("Progressing")[2]
    agents.reports["n1"] = carrying(1)
    await world.reconcile()
    assert pods(world, "n2") == {"ovn-metadata"}


async def test_a_node_with_the_former_libvirt_is_named_with_the_command(
    world: World, agents: Agents
) -> None:
    await serving(world, "n1", "n2")
    assert world.condition("LibvirtCurrent")[:2] == ("True", "LibvirtUpdated")
    world.new_template("libvirt")
    world.pod("n1", "libvirt", generation=2)
    await world.reconcile()
    status, reason, message = world.condition("LibvirtCurrent")
    assert (status, reason) == ("False", "LibvirtOutdated")
    assert "1 nodes run the former libvirt: n2." in message
    assert "delete pod -l app.kubernetes.io/name=libvirt" in message
    assert world.api.get("pods", "ns", "pool-libvirt-n2") is not None
    assert not agents.reports


async def test_a_host_on_which_builds_fail_is_closed_and_opened_by_a_probe_guest(
    world: World, agents: Agents
) -> None:
    await serving(world, "n1", "n2")
    at = int(world.clock.now().timestamp()) - 60
    failures = tuple(
        BuildFailure(at=at, instance=f"i{n}", fault="libvirtError('no emulator')") for n in range(3)
    )
    agents.reports = {"n1": NodeReport(build_failures=failures), "n2": NodeReport()}
    await world.settle()
    assert world.nova.hosts["n1"].reason == "builds fail here: libvirtError('no emulator')"
    assert world.nova.hosts["n2"].enabled
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    failing = next(c for c in node["status"]["conditions"] if c["type"] == "GuestsFailing")
    assert (failing["status"], failing["reason"]) == ("True", "BuildsFail")
    assert "failed on n1" in failing["message"]
    assert "no emulator" in world.condition("GuestsFailing")[2]
    request = node["status"]["guestProbe"]
    report = {"virtType": "qemu", "proven": True, "request": request}
    world.pod("n1", "nova-compute", report=json.dumps(report))
    await world.settle()
    assert world.nova.hosts["n1"].enabled
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    assert "guestProbe" not in node["status"]
    # As after a start of the operator, when nova does not answer at first.
    world.polls.forget("")
    world.nova.failure = CloudError("timed out")
    await world.settle()
    world.nova.failure = None
    await world.settle()
    assert world.nova.hosts["n1"].enabled
    closed = [names for done, names in world.nova.done if done == "disable"]
    assert closed == [("n1",)], "what the probe guest answered does not count again"

"""Fewer members of an OVN database: each leaves its cluster before its pod and volume go."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.agents.ovsdb.protocol import ClusterView, OvsdbStatus, RaftRole, Server, State
from stackroles.domains.ovn import reconcile as ovn
from stackroles.reconcile.context import Parts
from tests.support.agents import answering
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import World

NAME = "demo-ovn-nb"
Object = dict[str, Any]


class Members:
    """The members of the northbound database, and the controllers of their pods and claims."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.left: set[str] = set()
        self.sizes: list[int] = []
        self.away: set[str] = set()

    @property
    def workload(self) -> Object:
        found = self.world.cluster.get("StatefulSet", "ns", NAME)
        assert found is not None
        return found

    def pods(self) -> set[str]:
        names = {pod["metadata"]["name"] for pod in self.world.cluster.list("Pod", "ns")}
        return {name for name in names if name.startswith(NAME)}

    def claims(self) -> list[int]:
        found = (
            self.world.api.get("persistentvolumeclaims", "ns", f"data-{NAME}-{n}") for n in range(7)
        )
        return [n for n, claim in enumerate(found) if claim]

    def play(self) -> None:
        """Let pods, claims and members follow what was asked."""
        size = self.workload["spec"]["replicas"]
        if not self.sizes or self.sizes[-1] != size:
            self.sizes.append(size)
        for n in range(size):
            self._add(n)
        for name in sorted(self.pods()):
            ordinal = int(name.rpartition("-")[2])
            pod = self.world.cluster.get("Pod", "ns", name)
            assert pod is not None
            if ordinal >= size:
                assert name in self.left, f"{name} was taken while it was a member"
                self.world.api.remove("pods", "ns", name)
                self.world.cluster.cache.remove(pod)
                continue
            asked = pod["metadata"].get("annotations", {}).get(LEAVE_ANNOTATION)
            if asked == pod["metadata"]["uid"] and ordinal >= self.wanted():
                self.left.add(name)

    def wanted(self) -> int:
        """Return how many members the settings of their agents name."""
        replicas: int = self.world.resource["spec"]["roles"]["ovn-nb"]["clustering"]["replicas"]
        return replicas

    def _add(self, ordinal: int) -> None:
        labels = self.workload["metadata"]["labels"]
        member = f"{NAME}-{ordinal}"
        for kind, name in (("Pod", member), ("PersistentVolumeClaim", f"data-{member}")):
            if self.world.cluster.get(kind, "ns", name) is None:
                made = {
                    "apiVersion": "v1",
                    "kind": kind,
                    "metadata": {"name": name, "namespace": "ns", "labels": labels},
                    "spec": {},
                    "status": {"podIP": "10.0.0.1"},
                }
                self.world.cluster.cache.upsert(self.world.api.put(made))

    async def pull(self, addresses: Mapping[str, str]) -> dict[str, OvsdbStatus | None]:
        """Answer as the agents do."""
        members = [name for name in addresses if name not in self.left]
        servers = tuple(Server(sid=n[-4:], address=f"tcp:{n}.{NAME}.ns:6643") for n in members)
        view = ClusterView(
            cluster_id="c",
            server_id="s",
            status="cluster member",
            role=RaftRole.FOLLOWER,
            leader="aaaa",
            term=1,
            servers=servers,
        )
        member = OvsdbStatus(state=State.MEMBER, connected=True, view=view)
        left = OvsdbStatus(state=State.LEFT)
        return {
            name: None if name in self.away else left if name in self.left else member
            for name in addresses
        }

    async def settle(self, rounds: int = 12) -> None:
        for _ in range(rounds):
            await self.world.reconcile()
            self.play()
            self.world.serve()
            await self.world.polls.tick()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


@pytest.fixture
async def members(world: World, monkeypatch: pytest.MonkeyPatch) -> Members:
    """Five members that serve."""
    world.declare(roles={"ovn-nb": {"clustering": {"replicas": 5}}})
    await world.settle()
    found = Members(world)
    monkeypatch.setattr(ovn, "AGENT", answering(ovn.AGENT, found.pull))
    await found.settle(3)
    assert found.sizes == [5]
    return found


def shrink(world: World, size: int = 3) -> None:
    world.declare(roles={"ovn-nb": {"clustering": {"replicas": size}}})


async def test_members_leave_one_by_one_and_take_their_volumes_along(
    world: World, members: Members
) -> None:
    shrink(world)
    await members.settle()
    assert members.sizes == [5, 4, 3]
    assert members.pods() == {f"{NAME}-{n}" for n in range(3)}
    assert members.claims() == [0, 1, 2]
    assert world.condition("Reconciled")["status"] == "True"


async def test_an_operator_that_begins_anew_goes_on(world: World, members: Members) -> None:
    shrink(world)
    for _ in range(20):
        object.__setattr__(world.context, "parts", Parts())
        world.declare(**world.resource["spec"])
        await members.settle(1)
    assert members.sizes == [5, 4, 3]
    assert members.claims() == [0, 1, 2]


async def test_none_leaves_while_one_that_stays_is_away(world: World, members: Members) -> None:
    members.away = {f"{NAME}-1"}
    shrink(world)
    await members.settle()
    assert members.sizes == [5]
    assert members.left == set()
    role = next(r for r in world.resource["status"]["roles"] if r["name"] == "ovn-nb")
    assert "members 1, which stay, are not healthy" in role["message"]
    members.away = set()
    await members.settle()
    assert members.sizes == [5, 4, 3]


async def test_a_number_that_is_set_back_ends_it(world: World, members: Members) -> None:
    asked = world.cluster.get("Pod", "ns", f"{NAME}-4")
    assert asked is not None
    await world.cluster.annotate_pod(asked, {LEAVE_ANNOTATION: asked["metadata"]["uid"]})
    shrink(world, 5)
    await members.settle(4)
    pod = world.cluster.get("Pod", "ns", f"{NAME}-4")
    assert pod is not None
    assert LEAVE_ANNOTATION not in pod["metadata"].get("annotations", {})
    assert members.sizes == [5]
    assert members.left == set()

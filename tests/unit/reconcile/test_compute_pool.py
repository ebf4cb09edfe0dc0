"""A ComputePool on a small API server; the kubelet and the cloud are played by the test."""

import copy
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from stackroles.constants import FINALIZER, LABEL_NAME, LABEL_POOL
from stackroles.errors import CloudUnavailable, OperatorError
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import KINDS, ObjectRef
from stackroles.openstack.fleet import Host
from stackroles.reconcile.compute_pool import reconcile_compute_pool
from stackroles.reconcile.context import Context, Observation
from stackroles.roles import registry
from stackroles.settings import Settings
from tests.support.fake_api import FakeApi, client_of, fake_api
from tests.support.objects import custom

Object = dict[str, Any]
SELECTOR = {"compute": "yes"}
ALL_ROLES = [{"name": r.name, "ready": 1} for r in registry.CONTROLLER_ROLES]


@dataclass
class Time:
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class Polls:
    clock: Time
    calls: dict[str, Callable[[], Awaitable[Any]]] = field(default_factory=dict)
    seen: dict[str, Observation] = field(default_factory=dict)

    def ensure(self, name: str, call: Callable[[], Awaitable[Any]], **_: Any) -> None:
        self.calls[name] = call

    def latest(self, name: str) -> Observation | None:
        return self.seen.get(name)

    def forget(self, prefix: str) -> None:
        for known in (self.calls, self.seen):
            for name in [name for name in known if name.startswith(prefix)]:
                del known[name]

    def refresh(self, prefix: str) -> None:
        pass

    async def tick(self) -> None:
        for name, call in self.calls.items():
            before = self.seen.get(name, Observation(None, "", 0.0))
            try:
                self.seen[name] = Observation(await call(), "", self.clock.monotonic())
            except OperatorError as error:
                self.seen[name] = replace(before, error=str(error))


@dataclass
class Nova:
    """The cloud: hosts by name, and what was done to them."""

    hosts: dict[str, Host] = field(default_factory=dict)
    done: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    failure: OperatorError | None = None

    def access(self, *_: Any) -> "Nova":
        return self

    async def call(self, _: str, work: Callable[..., Any], *arguments: Any, **__: Any) -> Any:
        if self.failure:
            raise self.failure
        return getattr(self, work.__name__)(*arguments)

    def read_hosts(self, names: tuple[str, ...]) -> tuple[Host, ...]:
        return tuple(host for name, host in sorted(self.hosts.items()) if name in names)

    def close_hosts(self, names: tuple[str, ...], reason: str) -> dict[str, int]:
        self.done.append(("close", tuple(sorted(names))))
        for name in {*names} & self.hosts.keys():
            self.hosts[name] = replace(self.hosts[name], enabled=False, reason=reason)
        return {n: h.guests for n, h in self.hosts.items() if n in names and h.guests}

    def open_hosts(self, names: tuple[str, ...], reason: str) -> tuple[str, ...]:
        opened = [n for n in names if n in self.hosts and self.hosts[n].reason == reason]
        for name in opened:
            self.hosts[name] = replace(self.hosts[name], enabled=True, reason="")
        self.done.append(("open", tuple(sorted(opened))))
        return tuple(opened)

    def remove_hosts(self, names: list[str]) -> tuple[str, ...]:
        self.done.append(("remove", tuple(sorted(names))))
        return tuple(f"service of {n}" for n in names if self.hosts.pop(n, None))

    def ensure_zone(self, zone: str, names: tuple[str, ...]) -> tuple[str, ...]:
        self.done.append((f"zone {zone}", tuple(sorted(names))))
        return ()


@dataclass
class World:
    api: FakeApi
    cluster: Cluster
    context: Context
    clock: Time
    polls: Polls
    nova: Nova

    def store(self, obj: Object) -> None:
        self.cluster.cache.upsert(self.api.put(obj))

    def controller(self, roles: list[Object] | None = None) -> None:
        status = {"roles": ALL_ROLES if roles is None else roles}
        self.store({**custom(), "status": status})
        data = {"password": "c2VjcmV0"}
        self.store(
            {
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {"name": "demo-admin", "namespace": "ns"},
                "data": data,
            }
        )

    def node(self, name: str, ready: bool = True, **labels: str) -> None:
        known = self.api.get("nodes", "", name)
        kept = {k: v for k, v in (known or {}).get("metadata", {}).get("labels", {}).items()
                if k == LABEL_POOL}  # fmt: skip
        conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
        metadata = {**(known or {}).get("metadata", {}), "name": name}
        metadata["labels"] = {**(labels or SELECTOR), **kept}
        self.store(
            {
                "apiVersion": "v1",
                "kind": "Node",
                "metadata": metadata,
                "status": {"conditions": conditions},
            }
        )

    def declare(self, name: str = "pool", **spec: Any) -> None:
        said = {"controller": "demo", "nodeSelector": SELECTOR, **spec}
        known = self.api.get("computepools", "ns", name)
        base = copy.deepcopy(known) or custom(name, "ComputePool")
        self.store({**base, "spec": said})

    def delete(self, name: str = "pool") -> None:
        known = copy.deepcopy(self.api.get("computepools", "ns", name))
        assert known is not None
        known["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        self.store(known)

    def pool(self, name: str = "pool") -> Object:
        found = self.cluster.get("ComputePool", "ns", name)
        assert found is not None
        return found

    async def reconcile(self, name: str = "pool") -> None:
        await reconcile_compute_pool(self.context, self.pool(name))

    async def settle(self, *names: str) -> None:
        for _ in range(6):
            for name in names or ("pool",):
                await self.reconcile(name)
            self.finish()
            await self.polls.tick()
        for name in names or ("pool",):
            await self.reconcile(name)

    def finish(self) -> None:
        """Let every Job end well, and forget what the server has deleted."""
        for kind in ("Job", "ComputeNode"):
            for obj in self.cluster.list(kind, "ns"):
                stored = self.api.get(KINDS[kind].plural, "ns", obj["metadata"]["name"])
                if stored is None:
                    self.cluster.cache.remove(obj)
                elif kind == "Job":
                    done = {"conditions": [{"type": "Complete", "status": "True"}]}
                    self.store({**copy.deepcopy(stored), "status": done})

    def serve(self, *names: str) -> None:
        """Let all agents of nodes be ready, and nova know the hosts."""
        for name in names:
            self.nova.hosts[name] = Host(
                name=name, service=f"s-{name}", up=True, enabled=True, vcpus=4, memory_mib=1024
            )
            for role in registry.COMPUTE_ROLES:
                self.pod(name, role.name)

    def pod(self, node: str, role: str) -> None:
        labels = {
            "app.kubernetes.io/instance": "pool",
            "stackroles.io/owner-kind": "ComputePool",
            LABEL_NAME: role,
        }
        report = '{"virtType": "qemu", "virtReason": "no kvm", "computeId": "c", "hostUuid": "h"}'
        ended = {"terminated": {"exitCode": 0, "message": report}}
        self.store(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{role}-{node}",
                    "namespace": "ns",
                    "labels": labels,
                    "ownerReferences": [{"kind": "DaemonSet", "name": role, "uid": role}],
                },
                "spec": {"nodeName": node},
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "initContainerStatuses": [{"name": "virt-probe", "state": ended}]
                    if role == "nova-compute"
                    else [],
                },
            }
        )

    def stop(self, node: str) -> None:
        for pod in self.cluster.list("Pod", "ns"):
            if pod["spec"]["nodeName"] == node:
                self.api.remove("pods", "ns", pod["metadata"]["name"])
                self.cluster.cache.remove(pod)

    def labelled(self) -> list[str]:
        nodes = self.cluster.list("Node")
        return [n["metadata"]["name"] for n in nodes if LABEL_POOL in n["metadata"]["labels"]]

    def condition(self, kind: str, name: str = "pool") -> tuple[str, str, str]:
        found = next(c for c in self.pool(name)["status"]["conditions"] if c["type"] == kind)
        return found["status"], found["reason"], found["message"]

    def daemon_sets(self) -> set[str]:
        found = self.cluster.list("DaemonSet", "ns")
        return {o["metadata"]["labels"][LABEL_NAME] for o in found}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with fake_api() as api, client_of(api) as client:
        clock, nova = Time(), Nova()
        polls = Polls(clock)
        enqueued: list[ObjectRef] = []
        cluster = Cluster(client, Cache(), lambda: 10.0, now=clock.now)
        context = Context(
            cluster=cluster,
            poller=polls,
            clock=clock,
            random=Random(7),
            settings=Settings(image_registry="r"),
            openstack=nova,
            enqueue=lambda ref, delay=0.0: enqueued.append(ref),
            epoch=lambda: 1,
        )
        yield World(api, cluster, context, clock, polls, nova)


async def serving(world: World, *names: str) -> None:
    world.controller()
    for name in names:
        world.node(name)
    world.declare()
    world.serve(*names)
    await world.settle()


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


async def test_a_node_of_another_installations_pool_is_left_to_it(world: World) -> None:
    world.context = replace(world.context, settings=Settings(namespaces=("ns",)))
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
    assert world.daemon_sets() == {"openvswitch", "libvirt", "ovn-controller", "ovn-metadata"}
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


async def test_a_selector_that_matches_nothing_is_said(world: World) -> None:
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
    await world.settle()
    assert world.condition("Ready")[0] == "True"
    world.clock.at += timedelta(minutes=5)
    await world.settle()
    assert world.condition("Ready")[0] == "False"
    node = world.cluster.get("ComputeNode", "ns", "n1")
    assert node is not None
    said = next(c["message"] for c in node["status"]["conditions"] if c["type"] == "Available")
    assert "no answer within 60 s" in said


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
    assert "2 guests are still on n1" in world.condition("Progressing")[2]
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
    said = next(c["message"] for c in node["status"]["conditions"] if c["type"] == "Available")
    assert "disk check" in said


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
    await world.reconcile()
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
    assert world.condition("Ready")[1] == "Suspended"
    assert world.labelled() == []
    assert world.daemon_sets() == set()

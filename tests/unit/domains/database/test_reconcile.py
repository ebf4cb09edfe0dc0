"""Decisions about the database on their way: recorded, observed again, then published."""

import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

import pytest

from stackroles.agents.galera.protocol import Decision, MemberPhase, Mode, Position, Report, View
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.constants import FINALIZER
from stackroles.domains.database.model import Bootstrap, PersistedState, Verdict
from stackroles.domains.database.reconcile import GaleraResult, reconcile_galera
from stackroles.domains.database.reconcile_members import Network, published
from stackroles.domains.database.reconcile_state import (
    KEY,
    StateUnreadable,
    dump_state,
    parse_state,
)
from stackroles.errors import ClusterError, NotReady
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import Key
from stackroles.reconcile.context import Context, Observation
from tests.support.clouds import cloud
from tests.support.fake_api import FakeApi, Fault, direct_api
from tests.support.objects import custom
from tests.support.polls import Time

Object = dict[str, Any]
U1 = "11111111-1111-1111-1111-111111111111"


@dataclass
class Polls:
    intervals: dict[str, float] = field(default_factory=dict)
    observed: Observation | None = None

    def ensure(self, name: str, call: Any, *, interval: float, **_: Any) -> None:
        self.intervals[name] = interval

    def latest(self, name: str) -> Observation | None:
        return self.observed

    def forget(self, prefix: str) -> None:
        self.intervals.clear()

    def refresh(self, prefix: str) -> None:
        pass


@dataclass
class World:
    api: FakeApi
    cluster: Cluster
    context: Context
    polls: Polls
    enqueued: list[tuple[Key, float]]
    reports: dict[str, Report | None] = field(default_factory=dict)
    writer: dict[str, int | None] = field(default_factory=dict)
    spec: Object = field(default_factory=dict)
    observations: int = 0
    before_observation: Callable[[int], None] = lambda _: None

    def pod(self, role: str, n: int, **changes: Any) -> None:
        name = f"demo-{role}-{n}"
        labels = {
            "app.kubernetes.io/name": role,
            "app.kubernetes.io/instance": "demo",
            "stackroles.io/owner-kind": "CloudController",
            "app.kubernetes.io/managed-by": "stackroles",
            "controller-revision-hash": "new",
        }
        labels.update(changes.pop("labels", {}))
        stored = self.api.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": "ns",
                    "uid": f"uid-of-{name}",
                    "labels": labels,
                },
                "spec": {},
                "status": {
                    "podIP": f"10.0.0.{n}",
                    "containerStatuses": [{"state": {"running": {}}}],
                },
            }
        )
        self.cluster.cache.upsert(stored)

    def uid(self, n: int) -> str:
        found = self.cluster.get("Pod", "ns", f"demo-mariadb-{n}")
        return found["metadata"]["uid"] if found else ""

    def report(self, n: int, **changes: Any) -> None:
        report = Report(
            **{
                "pod_uid": self.uid(n),
                "volume_id": f"vol-{n}",
                "attempt": f"attempt-{n}",
                "phase": MemberPhase.WAITING,
                **changes,
            }
        )
        self.reports[f"demo-mariadb-{n}"] = report

    def wait_at(self, n: int, seqno: int, **changes: Any) -> None:
        self.report(n, position=Position(uuid=U1, seqno=seqno), **changes)

    def sync(self, n: int, size: int = 3) -> None:
        view = View(primary=True, synced=True, uuid=U1, committed=50, size=size)
        self.report(n, phase=MemberPhase.RUNNING, view=view)

    async def pull(self, addresses: Mapping[str, str]) -> Mapping[str, Report | None]:
        self.observations += 1
        self.before_observation(self.observations)
        return {name: self.reports.get(name) for name in addresses}

    async def ask(self, addresses: Mapping[str, str]) -> Mapping[str, int | None]:
        return {name: self.writer.get(name) for name in addresses}

    async def reconcile(self) -> GaleraResult:
        owner = self.cluster.get("CloudController", "ns", "demo")
        assert owner is not None
        return await reconcile_galera(
            self.context, owner, cloud(**self.spec), Network(reports=self.pull, writers=self.ask)
        )

    def published_to(self, n: int) -> Decision | None:
        pod = self.api.get("pods", "ns", f"demo-mariadb-{n}")
        assert pod is not None
        return published(pod)

    def persisted(self) -> PersistedState:
        state = self.api.get("configmaps", "ns", "demo-state")
        return parse_state(state["data"][KEY]) if state else PersistedState()

    def record(self, persisted: PersistedState, **data: str) -> None:
        stored = self.api.put(
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": "demo-state",
                    "namespace": "ns",
                    "labels": {"app.kubernetes.io/managed-by": "stackroles"},
                },
                "data": {KEY: dump_state(persisted), **data},
            }
        )
        self.cluster.cache.upsert(stored)


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    async with direct_api() as (api, client):
        clock, polls, enqueued = Time(), Polls(), list[tuple[Key, float]]()
        cluster = Cluster(client, Cache(), lambda: 30.0, now=clock.now)
        context = Context(
            cluster=cluster,
            poller=polls,
            tasks=polls,
            clock=clock,
            random=Random(1),
            settings=None,
            openstack=None,
            enqueue=lambda ref, delay=0.0: enqueued.append((ref, delay)),
            leader="one",
        )
        world = World(api, cluster, context, polls, enqueued)
        owner = custom()
        owner["metadata"]["finalizers"] = [FINALIZER]
        cluster.cache.upsert(api.put(owner))
        for n in range(3):
            world.pod("mariadb", n)
        for n in range(2):
            world.pod("haproxy", n)
        yield world


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with running() as made:
        yield made


async def test_a_start_is_recorded_and_published_to_exactly_one_member(world: World) -> None:
    for n, seqno in enumerate((5, 9, 7)):
        world.wait_at(n, seqno)

    result = await world.reconcile()

    assert result.verdict is Verdict.STARTING
    published = world.published_to(1)
    assert published == Decision(
        attempt="attempt-1", epoch=1, mode=Mode.BOOTSTRAP, uuid=U1, seqno=9
    )
    assert world.published_to(0) is world.published_to(2) is None
    recorded = world.persisted().bootstrap
    assert recorded is not None
    assert recorded.decision == published
    assert world.polls.intervals == {"CloudController/ns/demo/galera": 1.0}


async def test_it_is_recorded_before_it_is_published(world: World) -> None:
    for n in range(3):
        world.wait_at(n, 5)
    world.api.faults.append(Fault("PATCH", "/pods/", 500))

    with pytest.raises(ClusterError):
        await world.reconcile()

    assert world.persisted().bootstrap is not None
    assert world.published_to(0) is None

    result = await world.reconcile()
    assert result.verdict is Verdict.STARTING
    assert world.published_to(0) is not None


async def test_nothing_is_published_when_it_cannot_be_recorded(world: World) -> None:
    for n in range(3):
        world.wait_at(n, 5)
    world.api.faults.append(Fault("POST", "configmaps", 500))

    with pytest.raises(ClusterError):
        await world.reconcile()

    assert world.published_to(0) is None


async def test_nothing_is_published_when_the_members_changed_since(world: World) -> None:
    for n in range(3):
        world.wait_at(n, 5)

    def kill(nth: int) -> None:
        if nth == 2:
            world.report(2, attempt="fresh", phase=MemberPhase.RECOVERING)

    world.before_observation = kill
    await world.reconcile()

    assert all(world.published_to(n) is None for n in range(3))
    assert world.enqueued


async def test_a_pass_that_finds_nothing_new_writes_nothing(world: World) -> None:
    for n in range(3):
        world.wait_at(n, 5)
    await world.reconcile()
    before = len(world.api.writes())

    await world.reconcile()

    assert len(world.api.writes()) == before


async def test_another_s_record_is_never_overwritten(world: World) -> None:
    for n in range(3):
        world.wait_at(n, 5)
    world.record(PersistedState())
    known = world.cluster.get("ConfigMap", "ns", "demo-state")
    await world.cluster.read_config_map("ns", "demo-state")
    other = replace(PersistedState(), uuid=U1, complete=True)
    stored = world.api.get("configmaps", "ns", "demo-state")
    assert stored is not None
    assert known is not None
    world.api.put({**stored, "data": {KEY: dump_state(other)}}, silent=True)

    with pytest.raises(NotReady):
        await world.reconcile()

    assert world.persisted() == other
    assert all(world.published_to(n) is None for n in range(3))


async def test_other_keys_of_the_state_are_kept(world: World) -> None:
    world.record(PersistedState(), others="step 3")
    for n in range(3):
        world.sync(n)

    await world.reconcile()

    state = world.api.get("configmaps", "ns", "demo-state")
    assert state is not None
    assert state["data"]["others"] == "step 3"
    assert world.persisted().complete


async def test_a_state_that_cannot_be_read_stops_everything_with_a_message(world: World) -> None:
    world.record(PersistedState())
    stored = world.api.get("configmaps", "ns", "demo-state")
    assert stored is not None
    world.cluster.cache.upsert(world.api.put({**stored, "data": {KEY: "{"}}))
    for n in range(3):
        world.report(n, position=Position(empty=True))

    result = await world.reconcile()

    assert result.verdict.needs_person
    assert "state" in result.message
    assert all(world.published_to(n) is None for n in range(3))


async def test_a_synced_cluster_names_its_writer_only_when_the_proxies_agree(
    world: World,
) -> None:
    for n in range(3):
        world.sync(n)
    world.writer = {"demo-haproxy-0": 2, "demo-haproxy-1": 2}
    result = await world.reconcile()
    assert result.ready
    assert result.writer == "demo-mariadb-1"
    assert result.members == {f"demo-mariadb-{n}": "Synced" for n in range(3)}
    assert world.polls.intervals == {"CloudController/ns/demo/galera": 2.0}

    world.writer["demo-haproxy-0"] = 1
    assert (await world.reconcile()).writer is None
    world.writer = {"demo-haproxy-0": 0, "demo-haproxy-1": 0}
    assert (await world.reconcile()).writer is None
    world.writer = {"demo-haproxy-0": None, "demo-haproxy-1": 3}
    assert (await world.reconcile()).writer == "demo-mariadb-2"


def stateful_set(world: World) -> None:
    stored = world.api.put(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {
                "name": "demo-mariadb",
                "namespace": "ns",
                "labels": {"app.kubernetes.io/managed-by": "stackroles"},
            },
            "spec": {"replicas": 3},
        }
    )
    generation = stored["metadata"].get("generation", 0)
    status = {"updateRevision": "new", "observedGeneration": generation}
    world.cluster.cache.upsert(world.api.put({**stored, "status": status}))


async def test_a_new_template_reaches_one_member_at_a_time_the_writer_last(world: World) -> None:
    stateful_set(world)
    for n in range(3):
        world.pod("mariadb", n, labels={"controller-revision-hash": "old"})
        world.sync(n)
    world.writer = {"demo-haproxy-0": 3, "demo-haproxy-1": 3}

    await world.reconcile()

    assert world.api.get("pods", "ns", "demo-mariadb-1") is None
    assert world.api.get("pods", "ns", "demo-mariadb-0") is not None
    assert world.api.get("pods", "ns", "demo-mariadb-2") is not None

    deleted = world.cluster.get("Pod", "ns", "demo-mariadb-1")
    if deleted is not None:
        world.cluster.cache.remove(deleted)
    before = len(world.api.writes())
    await world.reconcile()
    assert len(world.api.writes()) == before


async def test_a_member_that_cannot_start_is_made_anew_instead_of_started(
    world: World,
) -> None:
    stateful_set(world)
    for n in range(3):
        world.pod("mariadb", n, labels={"controller-revision-hash": "old"})
        world.report(n, position=Position(empty=True))
    world.report(
        0, position=Position(empty=True), failed_starts=2, failure="unknown variable 'x=1'"
    )

    result = await world.reconcile()

    assert result.failing == " demo-mariadb-0, start 2: unknown variable 'x=1'"
    assert world.api.get("pods", "ns", "demo-mariadb-0") is None
    assert world.published_to(1) is world.published_to(2) is None


async def test_a_correction_reaches_a_member_whose_position_cannot_be_recovered(
    world: World,
) -> None:
    stateful_set(world)
    for n in range(3):
        world.pod("mariadb", n, labels={"controller-revision-hash": "old"})
        world.report(n, position=Position(error="unknown variable 'x=1'"))

    result = await world.reconcile()

    assert result.verdict is Verdict.UNUSABLE
    assert world.api.get("pods", "ns", "demo-mariadb-0") is None


async def test_nobody_is_restarted_while_the_state_cannot_be_read(world: World) -> None:
    stateful_set(world)
    world.record(PersistedState())
    stored = world.api.get("configmaps", "ns", "demo-state")
    assert stored is not None
    world.cluster.cache.upsert(world.api.put({**stored, "data": {KEY: "{"}}))
    for n in range(3):
        world.pod("mariadb", n, labels={"controller-revision-hash": "old"})
        world.sync(n)

    result = await world.reconcile()

    assert result.verdict is Verdict.STATE_UNREADABLE
    assert all(world.api.get("pods", "ns", f"demo-mariadb-{n}") for n in range(3))


def test_what_is_recorded_is_read_back() -> None:
    decision = Decision(attempt="a", epoch=3, mode=Mode.CREATE, full=True)
    record = Bootstrap(member="m", pod_uid="p", volume_id="v", decision=decision)
    persisted = PersistedState(
        uuid=U1, volumes={"m": "v"}, complete=True, bootstrap=record, epoch=3, leader="one"
    )

    assert parse_state(dump_state(persisted)) == persisted
    assert parse_state(None) == PersistedState()
    for text in ("[]", "{", json.dumps({"uuid": None})):
        with pytest.raises(StateUnreadable):
            parse_state(text)


async def test_a_surplus_member_is_asked_to_leave_once_no_proxy_sends_clients_to_it(
    world: World,
) -> None:
    for n in (3, 4):
        world.pod("mariadb", n)
    for n in range(5):
        world.sync(n, size=5)
    workload = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "demo-mariadb", "namespace": "ns", "generation": 1},
        "spec": {"replicas": 5},
        "status": {"observedGeneration": 1, "updatedReplicas": 5, "updateRevision": "new"},
    }
    world.cluster.cache.upsert(world.api.put(workload))
    world.writer = {"demo-haproxy-0": 5, "demo-haproxy-1": 1}

    note = (await world.reconcile()).note

    assert note.endswith("member 4 stays for now, since it is the writer of demo-haproxy-0.")
    assert not asked_to_leave(world)

    world.writer = {"demo-haproxy-0": 1, "demo-haproxy-1": 1}
    note = (await world.reconcile()).note

    assert note == "Member 4 leaves the cluster of mariadb."
    assert asked_to_leave(world) == ["demo-mariadb-4"]


def asked_to_leave(world: World) -> list[str]:
    pods = [world.api.get("pods", "ns", f"demo-mariadb-{n}") for n in range(5)]
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod and pod["metadata"].get("annotations", {}).get(LEAVE_ANNOTATION)
    ]


def lose(world: World) -> None:
    """Have the node of the second member be gone, with its volume."""
    world.pod("mariadb", 1)
    pod = world.api.get("pods", "ns", "demo-mariadb-1")
    assert pod is not None
    pod["spec"]["nodeName"] = "node-b"
    labels = {k: v for k, v in pod["metadata"]["labels"].items() if "revision" not in k}
    labels["stackroles.io/owner-name"] = labels.pop("app.kubernetes.io/instance")
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-demo-mariadb-1", "namespace": "ns", "labels": labels},
        "spec": {},
        "status": {"phase": "Bound"},
    }
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node-a"}, "status": {}}
    for made in (pod, claim, node):
        world.cluster.cache.upsert(world.api.put(made))
    world.reports["demo-mariadb-1"] = None


async def test_a_lost_member_is_off_the_record_before_its_claim_and_pod_go(world: World) -> None:
    volumes = {f"demo-mariadb-{n}": f"vol-{n}" for n in range(3)}
    world.record(PersistedState(uuid=U1, volumes=volumes, complete=True))
    for n in (0, 2):
        world.sync(n, size=2)
    lose(world)

    lost = (await world.reconcile()).lost
    assert lost is not None
    assert world.api.get("pods", "ns", "demo-mariadb-1")
    [incident] = re.findall("incident: ([0-9a-f]{8})", lost.message)
    world.spec = {
        "roles": {"mariadb": {"replaceMember": {"member": "demo-mariadb-1", "incident": incident}}}
    }
    world.api.faults.append(Fault("DELETE", "/persistentvolumeclaims/", 500))
    with pytest.raises(ClusterError):
        await world.reconcile()

    assert world.persisted().volumes == {k: v for k, v in volumes.items() if k[-1] != "1"}
    state = world.api.get("configmaps", "ns", "demo-state")
    assert state is not None
    assert json.loads(state["data"]["mariadb-replaced"])["incident"] == incident
    await world.reconcile()
    assert world.api.get("persistentvolumeclaims", "ns", "data-demo-mariadb-1") is None
    assert world.api.get("pods", "ns", "demo-mariadb-1") is None


async def test_a_lost_member_is_kept_while_nobody_serves(world: World) -> None:
    for n in (0, 2):
        world.wait_at(n, 5)
    lose(world)

    assert (await world.reconcile()).lost is None
    assert world.api.get("persistentvolumeclaims", "ns", "data-demo-mariadb-1")

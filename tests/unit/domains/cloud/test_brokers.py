"""Brokers of a cloud: a consent reaches the named pod, and members leave before their pods go."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.broker.protocol import (
    DECISION_ANNOTATION,
    BrokerDecision,
    BrokerMode,
    BrokerStatus,
    State,
)
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.domains.messaging import reconcile as messaging
from stackroles.domains.messaging.decide import LOST_SECONDS
from tests.support.agents import answering
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_parts_lifecycle import restart
from tests.unit.domains.cloud.test_reconcile import World

NAME = "demo-rabbitmq"
NODES = frozenset(f"rabbit@{NAME}-{n}.{NAME}.ns.svc" for n in range(3))
SERVING = BrokerStatus(State.RUNNING, NODES, running=NODES)
WAITING = BrokerStatus(State.STOPPED, attempt="attempt-0", seconds=LOST_SECONDS)
Object = dict[str, Any]


class Brokers:
    """The brokers' pods, claims and agents."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.reports: dict[str, BrokerStatus | None] = {}

    async def pull(self, addresses: Mapping[str, str]) -> dict[str, BrokerStatus | None]:
        """Answer as the agents do."""
        return {name: self.reports.get(name) for name in addresses}

    def add(self, ordinal: int) -> None:
        """Let a member's pod and claim be there."""
        workload = self.world.cluster.get("StatefulSet", "ns", NAME)
        assert workload is not None
        member = f"{NAME}-{ordinal}"
        for kind, name in (("Pod", member), ("PersistentVolumeClaim", f"data-{member}")):
            made = {
                "apiVersion": "v1",
                "kind": kind,
                "metadata": {
                    "name": name,
                    "namespace": "ns",
                    "labels": workload["metadata"]["labels"],
                },
                "spec": {},
                "status": {
                    "podIP": "10.0.0.1",
                    "conditions": [{"type": "Ready", "status": "True"}],
                },
            }
            self.world.cluster.cache.upsert(self.world.api.put(made))

    def note(self, ordinal: int, name: str) -> str | None:
        """Return an annotation of a member's pod."""
        pod = self.world.cluster.get("Pod", "ns", f"{NAME}-{ordinal}")
        assert pod is not None
        found: str | None = pod["metadata"].get("annotations", {}).get(name)
        return found

    async def settle(self, rounds: int = 3) -> None:
        """Let the operator poll and act."""
        for _ in range(rounds):
            await self.world.reconcile()
            self.world.serve()
            await self.world.polls.tick()


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


@pytest.fixture
async def brokers(world: World, monkeypatch: pytest.MonkeyPatch) -> Brokers:
    """Three brokers with pods and claims."""
    world.declare()
    await world.settle()
    found = Brokers(world)
    monkeypatch.setattr(messaging, "AGENT", answering(messaging.AGENT, found.pull))
    for ordinal in range(3):
        found.add(ordinal)
    return found


async def test_a_consent_as_the_condition_asks_for_it_reaches_the_named_pod(
    world: World, brokers: Brokers
) -> None:
    brokers.reports = {f"{NAME}-0": WAITING, f"{NAME}-1": BrokerStatus(State.EMPTY)}
    workload = world.cluster.get("StatefulSet", "ns", NAME)
    assert workload is not None
    workload = {**workload, "status": {**workload["status"], "readyReplicas": 0}}
    world.cluster.cache.upsert(world.api.put(workload))
    for _ in range(3):
        await world.reconcile()
        await world.polls.tick()
    message = world.condition("Progressing")["message"]
    assert "demo-rabbitmq-2 (it does not answer)" in message
    incident = message.partition("incident: ")[2][:8]
    assert brokers.note(0, DECISION_ANNOTATION) is None

    consent = {"from": f"{NAME}-0", "incident": incident}
    world.declare(roles={"rabbitmq": {"recovery": consent}})
    await brokers.settle()
    text = brokers.note(0, DECISION_ANNOTATION)
    assert text
    assert wire.loads(BrokerDecision, text) == BrokerDecision(
        attempt="attempt-0", mode=BrokerMode.CONTINUE, incident=incident
    )
    assert brokers.note(1, DECISION_ANNOTATION) is None


async def test_the_last_broker_is_asked_to_leave_and_the_set_keeps_its_size(
    world: World, brokers: Brokers
) -> None:
    brokers.reports = {f"{NAME}-{n}": SERVING for n in range(3)}
    world.declare(roles={"rabbitmq": {"clustering": {"replicas": 1}}})
    await brokers.settle(5)
    pod = world.cluster.get("Pod", "ns", f"{NAME}-2")
    assert pod is not None
    assert brokers.note(2, LEAVE_ANNOTATION) == pod["metadata"]["uid"]
    assert brokers.note(1, LEAVE_ANNOTATION) is None
    workload = world.cluster.get("StatefulSet", "ns", NAME)
    assert workload is not None
    assert workload["spec"]["replicas"] == 3


def recoveries(world: World) -> list[Object]:
    found: list[Object] = world.resource["status"].get("recoveries", [])
    return found


def away(world: World, ready: int) -> None:
    """Let probes find so many brokers ready."""
    workload = world.cluster.get("StatefulSet", "ns", NAME)
    assert workload is not None
    world.put(workload, **{**workload["status"], "readyReplicas": ready})


async def test_a_recovery_has_what_a_broker_did_and_outlives_the_operator(
    world: World, brokers: Brokers
) -> None:
    brokers.reports = {f"{NAME}-{n}": SERVING for n in range(3)}
    await brokers.settle()
    assert recoveries(world) == []
    away(world, 2)
    brokers.reports[f"{NAME}-1"] = None
    await world.polls.tick()
    await world.reconcile()
    (lost,) = recoveries(world)
    assert lost["role"] == "rabbitmq"
    assert "completedAt" not in lost

    restart(world)
    world.clock.at += timedelta(seconds=20)
    did = {world.clock.at.isoformat(): "joins the others anew, who have forgotten its lost data"}
    brokers.reports[f"{NAME}-1"] = replace(SERVING, actions=did)
    await brokers.settle()
    (found,) = recoveries(world)
    assert found["decisions"] == [f"{NAME}-1 {text}" for text in did.values()]
    assert (found["startedAt"], found["durationSeconds"]) == (lost["startedAt"], 20)

    written = len(world.api.writes())
    world.clock.at += timedelta(minutes=9)
    await brokers.settle()
    restart(world)
    await brokers.settle()
    assert world.api.writes()[written:] == []


async def test_a_broker_that_was_back_before_a_probe_failed_has_a_recovery(
    world: World, brokers: Brokers
) -> None:
    brokers.reports = {f"{NAME}-{n}": SERVING for n in range(3)}
    await brokers.settle()
    did = {world.clock.at.isoformat(): "starts its broker again, which ended with -9"}
    world.clock.at += timedelta(seconds=3)
    brokers.reports[f"{NAME}-1"] = BrokerStatus(State.STOPPED, actions=did)
    await brokers.settle()
    (found,) = recoveries(world)
    assert "completedAt" not in found
    world.clock.at += timedelta(seconds=8)
    brokers.reports[f"{NAME}-1"] = replace(SERVING, actions=did)
    await brokers.settle()
    (found,) = recoveries(world)
    assert (found["members"], found["durationSeconds"]) == ([f"{NAME}-1"], 11)
    assert found["decisions"] == [f"{NAME}-1 starts its broker again, which ended with -9"]

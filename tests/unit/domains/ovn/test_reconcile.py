"""Decisions on OVN's databases: recorded first, published for one attempt, and only if still so."""

import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.ovsdb.protocol import (
    DECISION_ANNOTATION,
    ClusterView,
    Mode,
    OvsdbDecision,
    OvsdbStatus,
    RaftRole,
    State,
)
from stackroles.domains.ovn import reconcile as ovn
from tests.support.agents import answering
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import World

NAME = "demo-ovn-nb"
EMPTY = OvsdbStatus(state=State.EMPTY)
VIEW = ClusterView(
    cluster_id="dff2",
    server_id="3bbb",
    status="cluster member",
    role=RaftRole.FOLLOWER,
    leader="3acf",
    term=4,
    servers=(),
)
WELL = OvsdbStatus(state=State.MEMBER, connected=True, view=VIEW)
ALONE = replace(WELL, connected=False, stuck=True)


@dataclass
class Members:
    """What the members of the northbound database answer, by ordinal."""

    world: World
    answers: list[OvsdbStatus]
    rounds: int = 0
    later: dict[int, list[OvsdbStatus]] = field(default_factory=dict)

    def add(self) -> None:
        """Let the pods be there."""
        workload = self.world.cluster.get("StatefulSet", "ns", NAME)
        assert workload is not None
        for n in range(len(self.answers)):
            pod = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": f"{NAME}-{n}",
                    "namespace": "ns",
                    "labels": workload["metadata"]["labels"],
                },
                "spec": {},
                "status": {"podIP": "10.0.0.1"},
            }
            self.world.cluster.cache.upsert(self.world.api.put(pod))

    async def pull(self, addresses: Mapping[str, str]) -> dict[str, OvsdbStatus | None]:
        """Answer as the agents do."""
        found: dict[str, OvsdbStatus | None] = {}
        for name in addresses:
            n = int(name.rpartition("-")[2])
            if name.startswith(NAME):
                found[name] = replace(self.answers[n], attempt=f"attempt-{n}")
        if found:
            self.rounds += 1
            self.answers = self.later.pop(self.rounds, self.answers)
        return found

    async def settle(self) -> None:
        for _ in range(4):
            await self.world.reconcile()
            self.world.serve()
            await self.world.polls.tick()

    def decided(self, n: int) -> OvsdbDecision | None:
        pod = self.world.api.get("pods", "ns", f"{NAME}-{n}")
        assert pod is not None
        text = pod["metadata"].get("annotations", {}).get(DECISION_ANNOTATION)
        return wire.loads(OvsdbDecision, text) if text else None

    def recorded(self) -> Any:
        state = self.world.api.get("configmaps", "ns", "demo-state")
        return json.loads(state["data"]["ovn-nb"]) if state else None


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


async def begin(
    world: World, monkeypatch: pytest.MonkeyPatch, *answers: OvsdbStatus, **spec: Any
) -> Members:
    members = Members(world, list(answers))
    monkeypatch.setattr(ovn, "AGENT", answering(ovn.AGENT, members.pull))
    world.declare(**spec)
    await world.settle()
    members.add()
    return members


async def test_the_first_member_of_a_new_database_gets_the_decision_to_make_it(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = await begin(world, monkeypatch, EMPTY, EMPTY, EMPTY)
    await members.settle()
    assert members.decided(0) == OvsdbDecision(attempt="attempt-0", mode=Mode.CREATE)
    assert (members.decided(1), members.decided(2)) == (None, None)
    assert members.recorded() is None
    members.answers = [WELL, WELL, WELL]
    await members.settle()
    assert members.recorded() == {"formed": True, "incident": "", "former": ""}


async def test_a_decision_that_no_longer_follows_is_not_published(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = await begin(world, monkeypatch, EMPTY, EMPTY, EMPTY)
    # Between what was polled and what is asked for the decision, one has found its data.
    members.later = {1: [EMPTY, ALONE, EMPTY]}
    await members.settle()
    assert members.rounds > 1
    assert members.decided(0) is None


async def test_a_lost_majority_goes_on_once_the_user_consents(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = await begin(world, monkeypatch, WELL, WELL, WELL)
    await members.settle()
    members.answers = [ALONE, EMPTY, EMPTY]
    await members.settle()
    assert members.decided(0) is None
    assert "ovn-nb has lost its majority" in problem(world)
    number = (problem(world)).partition("incident: ")[2][:8]
    world.declare(roles={"ovn-nb": {"recovery": {"from": f"{NAME}-0", "incident": number}}})
    await members.settle()
    decision = OvsdbDecision(attempt="attempt-0", mode=Mode.CONTINUE, incident=number)
    assert members.decided(0) == decision
    assert members.recorded() == {"formed": True, "incident": number, "former": ""}


async def test_a_recovery_has_what_members_did(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = await begin(world, monkeypatch, WELL, WELL, WELL)
    await members.settle()
    assert not world.resource["status"].get("recoveries")
    did = {world.clock.at.isoformat(): "starts its server again, which ended with -9"}
    began = replace(ALONE, stuck=False, actions=did)
    members.answers = [began, began, began]
    await members.settle()
    world.clock.at += timedelta(seconds=7)
    aside = {
        **did,
        world.clock.at.isoformat(): "puts its file aside and joins the others anew: no header",
    }
    members.answers = [replace(WELL, actions=did) for _ in range(2)]
    members.answers.append(replace(WELL, actions=aside))
    await members.settle()
    (found,) = world.resource["status"]["recoveries"]
    assert (found["role"], found["served"], found["durationSeconds"]) == ("ovn-nb", False, 7)
    assert found["members"] == [f"{NAME}-{n}" for n in range(3)]
    assert found["decisions"] == [
        *(f"{NAME}-{n} starts its server again, which ended with -9" for n in range(3)),
        f"{NAME}-2 puts its file aside and joins the others anew: no header",
    ]


def problem(world: World) -> str:
    state = world.context.latest(world.resource, ovn.databases_of(world.resource))
    return str(state.problems["ovn-nb"].message)


async def test_a_database_that_was_made_is_never_made_anew_untold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = await begin(world, monkeypatch, WELL, WELL, WELL)
    await members.settle()
    members.answers = [EMPTY, EMPTY, EMPTY]
    await members.settle()
    assert [members.decided(n) for n in range(3)] == [None, None, None]
    assert "has lost its data on all members" in problem(world)


async def test_a_record_that_cannot_be_read_stops_all_decisions(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = await begin(world, monkeypatch, WELL, WELL, WELL)
    await members.settle()
    state = world.api.get("configmaps", "ns", "demo-state")
    assert state is not None
    world.cluster.cache.upsert(world.api.put({**state, "data": {"ovn-nb": "{"}}))
    members.answers = [EMPTY, EMPTY, EMPTY]
    await members.settle()
    assert members.decided(0) is None
    assert "key ovn-nb of ConfigMap demo-state cannot be read" in problem(world)

"""A cloud while a Restore has stopped some of its roles: each keeps all but its members."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents.endpoint.protocol import PAUSED_LABEL
from stackroles.constants import LABEL_NAME
from stackroles.roles import registry
from stackroles.workloads.restoring import RestoreRecord, Stopped, dump_record, stopped_roles
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import WORKLOADS, World

RECORD = RestoreRecord(name="back", uid="u", done=("Preflight",))


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        found.declare()
        await found.settle()
        yield found


def put_record(world: World, text: str) -> None:
    """Record what a Restore has done, as its passes do."""
    known = world.api.get("configmaps", "ns", "demo-state") or {}
    made = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": known.get("metadata") or {"name": "demo-state", "namespace": "ns"},
        "data": {**known.get("data", {}), "restore": text},
    }
    world.cluster.cache.upsert(world.api.put(made))


def stop(world: World, stopped: Stopped, *, ended: bool = False) -> frozenset[str]:
    put_record(world, dump_record(replace(RECORD, stopped=stopped, ended=ended)))
    return stopped_roles(stopped, registry.CONTROLLER_ROLES, registry.SERVICES)


def replicas(world: World) -> dict[str, int]:
    """Return the members of each role's workload."""
    return {
        found["metadata"]["labels"][LABEL_NAME]: found["spec"]["replicas"]
        for found in world.all(*WORKLOADS)
    }


def templates(world: World) -> dict[str, Any]:
    plurals = {"StatefulSet": "statefulsets", "Deployment": "deployments"}
    found = {}
    for kind, plural in plurals.items():
        for workload in world.all(kind):
            whole = world.api.get(plural, "ns", workload["metadata"]["name"]) or {}
            found[workload["metadata"]["name"]] = whole["spec"]["template"]
    return found


def is_paused(service: dict[str, Any]) -> bool:
    return PAUSED_LABEL in service["metadata"]["labels"]


def paused(world: World) -> dict[str, str]:
    """Return the roles whose members' Service says that a Restore pauses them."""
    return {
        found["metadata"]["labels"][LABEL_NAME]: found["metadata"]["labels"][PAUSED_LABEL]
        for found in world.all("Service")
        if is_paused(found)
    }


@pytest.mark.parametrize("stopped", [Stopped.SERVICES, Stopped.DATABASE], ids=lambda s: s.value)
async def test_roles_that_rest_have_no_members_and_come_back_as_they_were(
    world: World, stopped: Stopped
) -> None:
    declared, made = replicas(world), templates(world)
    services = {found["metadata"]["name"] for found in world.all("Service")}

    resting = stop(world, stopped)
    await world.reconcile()

    assert {role for role, count in replicas(world).items() if not count} == resting
    assert {r: n for r, n in replicas(world).items() if n} == {
        role: count for role, count in declared.items() if role not in resting
    }
    assert templates(world) == made, "nothing is rolled by a restore"
    assert {found["metadata"]["name"] for found in world.all("Service")} == services
    asked = {s.catalogue.role for s in registry.SERVICES if s.catalogue}
    assert asked <= paused(world).keys() <= resting
    assert set(paused(world).values()) == {"back"}

    labelled = {found["metadata"]["name"] for found in world.all("Service") if is_paused(found)}
    before = len(world.api.writes())
    stop(world, Stopped.NOTHING)
    await world.settle()
    assert replicas(world) == declared
    # By an apply without it the label goes; this server knows no field's owner.
    applied = {path.rpartition("/")[2] for _, path in world.api.writes()[before:]}
    assert labelled <= applied


async def test_the_cloud_says_that_it_is_restored_and_asks_for_nobody(world: World) -> None:
    stop(world, Stopped.DATABASE)
    await world.settle()

    status = world.resource["status"]
    for kind in ("Ready", "Progressing"):
        condition = world.condition(kind)
        assert condition["reason"] == "Restoring", kind
        assert condition["message"].startswith("Restore back is under way")
    assert world.condition("Ready")["status"] == "False"
    assert world.condition("Progressing")["status"] == "True"
    assert world.condition("Stalled")["status"] == "False"
    assert world.condition("Available")["status"] == "False"
    assert status.get("recoveries", []) == []


async def test_a_cloud_that_a_restore_has_made_and_left_without_data_asks_for_somebody(
    world: World,
) -> None:
    stop(world, Stopped.DATABASE, ended=True)
    await world.settle()

    for kind in ("Ready", "Progressing"):
        condition = world.condition(kind)
        assert condition["reason"] == "DatabaseBlocked", kind
        assert "Apply another Restore" in condition["message"]
        assert "remove the key restore from ConfigMap demo-state" in condition["message"]
    assert world.condition("Stalled")["status"] == "True"

    known = world.api.get("configmaps", "ns", "demo-state") or {}
    left = {key: value for key, value in known["data"].items() if key != "restore"}
    world.cluster.cache.upsert(world.api.put({**known, "data": left}))
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert 0 not in replicas(world).values()


async def test_what_a_restore_stopped_is_no_recovery_afterwards(world: World) -> None:
    stop(world, Stopped.SERVICES)
    await world.settle()
    stop(world, Stopped.NOTHING)
    await world.settle()
    assert world.condition("Progressing")["reason"] == "Restoring", "it has not ended"
    stop(world, Stopped.NOTHING, ended=True)
    await world.settle()

    assert world.condition("Ready")["status"] == "True"
    assert world.resource["status"].get("recoveries", []) == []


async def test_a_record_that_cannot_be_read_is_named_by_the_cloud(world: World) -> None:
    declared = replicas(world)
    put_record(world, "{")
    with pytest.raises(Exception, match="Key restore"):
        await world.reconcile()

    condition = world.condition("Ready")
    assert condition["status"] == "False"
    assert "Key restore of the cloud's state ConfigMap cannot be read" in condition["message"]
    assert replicas(world) == declared

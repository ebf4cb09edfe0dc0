"""The database's own pass: when it runs, what it publishes, and whom it waits for."""

import copy
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import FINALIZER
from stackroles.domains.database import reconcile_part
from stackroles.domains.database.model import Verdict
from stackroles.domains.database.reconcile import reconcile_galera
from stackroles.domains.database.reconcile_members import Network
from stackroles.domains.database.reconcile_part import part_of, reconcile_database
from stackroles.domains.database.status import DatabaseState
from stackroles.reconcile.context import Observation
from stackroles.settings import Settings
from tests.support.objects import child_labels, custom
from tests.unit.domains.database.test_reconcile import World, running

Object = dict[str, Any]


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    async with running() as made:
        network = Network(reports=made.pull, writers=made.ask)

        async def galera(context: Any, owner: Object, cloud: Any) -> Any:
            return await reconcile_galera(context, owner, cloud, network)

        monkeypatch.setattr(reconcile_part, "reconcile_galera", galera)
        made.context = type(made.context)(**{
            **vars(made.context), "settings": Settings(image_registry="r")
        })  # fmt: skip
        workload = {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "demo-mariadb", "namespace": "ns", "labels": child_labels()},
            "spec": {"replicas": 3},
        }
        made.cluster.cache.upsert(made.api.put(workload))
        for n in range(3):
            made.sync(n)
        made.writer.update({"demo-haproxy-0": 2, "demo-haproxy-1": 2})
        yield made


def owner(world: World) -> Object:
    found = world.cluster.get("CloudController", "ns", "demo")
    assert found is not None
    return found


def polled(world: World, ago: float = 0.0) -> None:
    """Let the poller have asked all members and proxies, so many seconds ago."""
    answers = (dict(world.reports), dict(world.writer))
    world.polls.observed = Observation(answers, "", world.context.clock.monotonic() - ago)


def change(world: World, metadata: dict[str, Any], **spec: Any) -> None:
    resource = copy.deepcopy(owner(world))
    resource["metadata"].update(metadata)
    world.cluster.cache.upsert(world.api.put({**resource, "spec": spec}))


async def test_a_difference_wakes_the_cloud_and_a_repetition_does_not(world: World) -> None:
    part = part_of(owner(world))
    await reconcile_database(world.context, owner(world))
    found = world.context.latest(owner(world), part)
    assert isinstance(found, DatabaseState)
    assert (found.writer, found.health.reason) == ("demo-mariadb-1", Reason.DATABASE_SOUND)
    assert (part.whole, 0.0) in world.enqueued

    world.enqueued.clear()
    await reconcile_database(world.context, owner(world))
    assert world.enqueued == []


async def test_what_is_under_way_brings_back_the_database_alone(world: World) -> None:
    del world.reports["demo-mariadb-2"]
    await reconcile_database(world.context, owner(world))
    world.enqueued.clear()
    await reconcile_database(world.context, owner(world))
    assert {key for key, _ in world.enqueued} == {part_of(owner(world))}


async def test_a_suspended_cloud_is_left_alone(world: World) -> None:
    change(world, {}, suspend=True)
    await reconcile_database(world.context, owner(world))
    assert world.observations == 0
    assert world.context.latest(owner(world), part_of(owner(world))) is None


@pytest.mark.parametrize("pools", [False, True])
async def test_a_cloud_that_goes_is_kept_up_only_for_its_pools(world: World, pools: bool) -> None:
    change(world, {"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": [FINALIZER]})
    if pools:
        world.cluster.cache.upsert(
            world.api.put(custom("pool", kind="ComputePool", controller="demo"))
        )
    await reconcile_database(world.context, owner(world))
    assert bool(world.observations) is pools


async def test_answers_that_were_polled_a_moment_ago_are_not_asked_for_again(world: World) -> None:
    world.polls.observed = Observation(
        (dict(world.reports), dict(world.writer)), "", world.context.clock.monotonic()
    )
    recorded = await world.reconcile()  # the first pass records what a whole cluster is
    assert recorded.verdict is Verdict.SYNCED
    before = world.observations

    again = await world.reconcile()

    assert world.observations == before
    assert again == recorded


async def test_old_answers_are_asked_for_again(world: World) -> None:
    await world.reconcile()
    world.polls.observed = Observation(
        (dict(world.reports), dict(world.writer)), "", world.context.clock.monotonic() - 10
    )
    before = world.observations
    await world.reconcile()
    assert world.observations == before + 1


async def test_what_follows_from_polled_answers_is_decided_anew(world: World) -> None:
    for n in range(3):
        world.wait_at(n, 5)
    world.polls.observed = Observation(
        (dict(world.reports), dict(world.writer)), "", world.context.clock.monotonic()
    )
    world.wait_at(0, 9)

    await world.reconcile()

    assert world.published_to(0) is not None
    assert world.observations == 2, "asked before it is recorded, and before it is published"

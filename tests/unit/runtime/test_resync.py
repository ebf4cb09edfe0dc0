from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random

import pytest

from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import KINDS, OWN_KINDS, ObjectRef
from stackroles.runtime import resync
from stackroles.runtime.namespaces import NamespaceScope
from stackroles.runtime.queue import WorkQueue
from stackroles.runtime.resync import Resync
from stackroles.runtime.router import EventRouter
from tests.support.fake_api import FakeApi, Fault, client_of, fake_api
from tests.support.objects import custom


@asynccontextmanager
async def world(
    monkeypatch: pytest.MonkeyPatch, *namespaces: str
) -> AsyncIterator[tuple[FakeApi, Resync, Cluster, WorkQueue]]:
    monkeypatch.setattr(resync, "_RETRY_SECONDS", 0.01)
    monkeypatch.setattr(resync, "_GAP_SECONDS", 0.0)
    async with fake_api() as api, client_of(api) as client:
        now = datetime(2026, 1, 1, tzinfo=UTC)
        cluster = Cluster(client, Cache(), lambda: 1.0, now=lambda: now)
        queue = WorkQueue(lambda: 0.0, Random(1))
        router = EventRouter(cluster, queue, {}, OWN_KINDS)
        router.begin()
        scope = NamespaceScope(namespaces)
        made = Resync(
            client,
            router,
            kinds=[KINDS["CloudController"], KINDS["Node"]],
            scope=scope,
            shortest=1.0,
            longest=2.0,
            random=Random(1),
        )
        yield api, made, cluster, queue


@pytest.mark.parametrize("status", [404, 403, 429, 500])
async def test_start_waits_until_everything_can_be_listed(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    async with world(monkeypatch) as (api, made, cluster, _):
        api.put(custom())
        api.faults += [Fault("GET", "cloudcontrollers", status)] * 2

        await made.prime()

        assert cluster.get("CloudController", "ns", "demo") is not None
        assert api.faults == []


async def test_only_served_namespaces_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with world(monkeypatch, "ns", "two") as (api, made, _, _):
        await made.prime()

        assert [path for _, path in api.requests] == [
            "/apis/stackroles.io/v1alpha1/namespaces/ns/cloudcontrollers",
            "/apis/stackroles.io/v1alpha1/namespaces/two/cloudcontrollers",
            "/api/v1/nodes",
        ]


async def test_round_finds_a_missed_deletion_and_reconciles_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch, "ns") as (api, made, cluster, queue):
        api.put(custom("stays"))
        api.put(custom("goes"))
        await made.prime()
        while (key := queue.take()) is not None:
            queue.done(key)
        api.remove("cloudcontrollers", "ns", "goes", silent=True)

        await made.round()

        assert cluster.get("CloudController", "ns", "goes") is None
        assert {queue.take(), queue.take()} == {
            ObjectRef("CloudController", "ns", "goes"),
            ObjectRef("CloudController", "ns", "stays"),
        }


async def test_kind_that_cannot_be_listed_does_not_stop_the_round(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch, "ns") as (api, made, cluster, _):
        api.put({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}})
        api.faults.append(Fault("GET", "cloudcontrollers", 500))

        await made.round()

        assert cluster.get("Node", "", "n") is not None


async def test_namespace_that_may_not_be_read_is_left_out_until_it_may(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with world(monkeypatch, "gone", "ns") as (api, made, cluster, queue):
        api.put(custom())
        late = custom("late")
        api.put({**late, "metadata": {**late["metadata"], "namespace": "gone"}})
        api.faults.append(Fault("GET", "namespaces/gone/cloudcontrollers", 403))
        await made.prime()
        assert made._scope.excluded() == ("gone",)
        assert cluster.get("CloudController", "ns", "demo") is not None
        before = len(api.requests)
        await made.round()
        assert not [path for _, path in api.requests[before:] if "/gone/" in path]

        api.faults.append(Fault("GET", "namespaces/gone/cloudcontrollers", 403))
        await made.include("gone")
        assert made._scope.excluded() == ("gone",)
        await made.include("gone")

        assert made._scope.served() == {"gone": True, "ns": True}
        keys = {queue.take() for _ in range(queue.depth())}
        assert ObjectRef("CloudController", "gone", "late") in keys

"""The whole operator, wired as main does it, against the fake API server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from stackroles.errors import LeadershipLost
from stackroles.kube.kinds import KINDS, ObjectRef
from stackroles.reconcile.context import Context
from stackroles.runtime import replica, resync
from stackroles.runtime.metrics import Metrics
from stackroles.runtime.replica import Operator
from stackroles.settings import Settings
from tests.support.fake_api import FakeApi, Fault, client_of, fake_api
from tests.support.objects import config_map, custom, deployment, owned_by

Object = dict[str, Any]
_KINDS = 22
_LIMIT = 15.0


@dataclass
class Run:
    """A running operator whose CloudControllers own a Deployment and a ConfigMap each."""

    api: FakeApi
    operator: Operator
    passes: list[str] = field(default_factory=list)

    async def until(self, true: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(_LIMIT):
                while not true():  # noqa: ASYNC110 - what it waits for is in a server
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"never happened: {what}") from None

    async def settled(self, name: str = "demo") -> None:
        def is_written() -> bool:
            found = self.api.get("cloudcontrollers", "ns", name)
            return bool(found and len(found.get("status", {}).get("children", ())) == 2)

        await self.until(is_written, f"{name} is settled")
        await self.until(lambda: not self.operator.queue.depth(), "the queue is empty")


async def reconcile(context: Context, resource: Object) -> None:
    """Own a Deployment and a ConfigMap, as simple as a role can be."""
    name = resource["metadata"]["name"]
    manifests = [deployment(f"{name}-d"), config_map(f"{name}-c", a="1")]
    for manifest in manifests:
        manifest["metadata"] = {**manifest["metadata"], "ownerReferences": owned_by(resource)}
    records = await context.cluster.apply_children(resource, manifests)
    await context.cluster.patch_status(resource, {"children": [r.to_dict() for r in records]})
    if resource["spec"].get("backup"):
        run = custom(f"{name}-run", "Backup", policy=name)
        await context.cluster.create_once(run, resource)


async def finish(context: Context, resource: Object) -> None:
    """Be done with a Backup at once."""
    await context.cluster.patch_status(resource, {"verified": True})


@asynccontextmanager
async def running(api: FakeApi, **settings: Any) -> AsyncIterator[Run]:
    async with client_of(api) as client:
        operator = Operator(
            Settings(**{"namespaces": ("ns",), "pod_name": "me", "health_port": 0, **settings}),
            client,
            Metrics(),
            reconcilers={"CloudController": reconcile, "Backup": finish},
            watchers={},
        )
        stop = asyncio.Event()
        task = asyncio.create_task(operator.run(stop))
        run = Run(api, operator)
        try:
            await run.until(lambda: len(api.watched()) == _KINDS or task.done(), "all watches")
            assert not task.done(), task.result()
            yield run
        finally:
            stop.set()
            await asyncio.wait_for(task, 5)


async def test_resource_gets_its_children_and_a_second_look_writes_nothing() -> None:
    async with fake_api() as api, running(api) as run:
        api.put(custom())
        await run.settled()
        before = len(api.writes())

        run.operator.router.everything()
        await run.until(lambda: not run.operator.queue.depth(), "the queue is empty")

        assert api.writes()[before:] == []
        assert "finalizers" not in (api.get("cloudcontrollers", "ns", "demo") or {})["metadata"]
        assert "annotations" not in (api.get("cloudcontrollers", "ns", "demo") or {})["metadata"]


async def test_what_a_pass_creates_is_reconciled_and_then_nothing_more_happens() -> None:
    async with fake_api() as api, running(api) as run:
        api.put(custom(backup=True))
        await run.settled()

        def is_verified() -> bool:
            made = api.get("backups", "ns", "demo-run")
            return bool(made and made.get("status", {}).get("verified"))

        await run.until(is_verified, "the Backup that the pass made was reconciled")
        await run.until(run.operator.queue.is_idle, "no key waits or is worked on")
        adds = run.operator.queue.adds
        await asyncio.sleep(0.5)  # watches have told all by then

        assert run.operator.queue.adds == adds


async def test_restart_on_a_settled_cluster_writes_nothing() -> None:
    async with fake_api() as api:
        async with running(api) as run:
            api.put(custom())
            await run.settled()
        before = len(api.writes())

        async with running(api) as again:
            await again.until(
                lambda: 'result="success"' in again.operator.metrics.render().decode(), "one pass"
            )

        assert api.writes()[before:] == []


async def test_deleted_child_is_made_again() -> None:
    async with fake_api() as api, running(api) as run:
        api.put(custom())
        await run.settled()

        api.remove("deployments", "ns", "demo-d")

        await run.until(lambda: api.get("deployments", "ns", "demo-d") is not None, "it is back")


async def test_deletion_during_a_broken_watch_is_found_by_the_re_list() -> None:
    async with fake_api() as api, running(api) as run:
        api.put(custom())
        await run.settled()
        api.remove("deployments", "ns", "demo-d", silent=True)
        api.expire_watches()
        await run.until(lambda: len(api.watched()) == _KINDS, "watches are back")
        # kopf listed again and reported nothing: the cache still holds what is gone.
        assert run.operator.cluster.get("Deployment", "ns", "demo-d") is not None

        await run.operator.resync.list_kind(KINDS["Deployment"])

        await run.until(lambda: api.get("deployments", "ns", "demo-d") is not None, "it is back")


async def test_changes_arrive_after_watches_were_dropped() -> None:
    async with fake_api() as api, running(api) as run:
        api.drop_watches()
        await run.until(lambda: len(api.watched()) == _KINDS, "watches are back")

        api.put(custom())

        await run.settled()


async def test_conflicts_throttling_and_outages_pass() -> None:
    async with fake_api() as api, running(api) as run:
        api.faults += [
            Fault("PATCH", "deployments", 429, {"Retry-After": "0"}),
            Fault("PATCH", "configmaps", 503),
            Fault("PATCH", "/status", 409),
        ]

        api.put(custom())

        await run.settled()
        assert api.faults == []


async def test_burst_of_events_is_few_passes() -> None:
    async with fake_api() as api, running(api) as run:
        made = api.put(custom())
        for number in range(200):
            made = api.put({**made, "spec": {"number": number}})
        key = ObjectRef("CloudController", "ns", "demo")
        await run.until(
            lambda: (run.operator.cluster.get(*key) or {}).get("spec") == {"number": 199},
            "the last",
        )
        await run.settled()

        text = run.operator.metrics.render().decode()
        count = 'reconcile_total{controller="cloudcontroller",result="success"} '
        assert float(text.split(count)[1].split("\n")[0]) < 100


async def test_lease_is_given_back_on_a_clean_exit() -> None:
    async with fake_api() as api:
        async with running(api) as run:
            await run.until(lambda: run.operator.leadership.leading, "it leads")

        lease = api.get("leases", "default", "stackroles-leader")

    assert lease is not None
    assert lease["spec"]["holderIdentity"] == ""


@pytest.mark.parametrize("ends", [True, False])
async def test_lease_is_not_given_back_before_threads_end(
    monkeypatch: pytest.MonkeyPatch, *, ends: bool
) -> None:
    monkeypatch.setattr(replica, "_DRAIN_SECONDS", 1.0 if ends else 0.1)
    holders: list[str] = []
    async with fake_api() as api:
        thread: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def holder() -> str:
            return str((api.get("leases", "default", "stackroles-leader") or {})["spec"].get(
                "holderIdentity"
            ))  # fmt: skip

        def end() -> None:
            holders.append(holder())
            if ends:
                thread.set_result(None)

        async with running(api) as run:
            await run.until(lambda: run.operator.leadership.leading, "it leads")
            threads = run.operator.clouds._threads
            threads.add(thread)
            thread.add_done_callback(threads.discard)
            asyncio.get_running_loop().call_later(0.3, end)  # kopf ends younger tasks
        await run.until(lambda: bool(holders), "its thread's time has come")
        holders.append(holder())

    assert holders == ["me", "" if ends else "me"]


async def test_namespace_that_was_deleted_takes_no_other_with_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(resync, "_REGAIN_SECONDS", 0.2)
    async with fake_api() as api, running(api, namespaces=("ns", "two")) as run:
        api.put(custom())
        await run.settled()
        api.forbidden.add("two")
        api.drop_watches()
        await run.until(lambda: run.operator.scope.excluded() == ("two",), "it is left out")
        await run.until(
            lambda: {place[0] for place in run.operator.ages.ages()} == {"", "ns"}, "no age of it"
        )
        await run.until(lambda: len(api.watched_in("ns")) == _KINDS - 1, "the other is watched")
        api.put({**custom("second")})
        await run.settled("second")

        api.forbidden.clear()
        await run.until(lambda: len(api.watched_in("two")) == _KINDS - 1, "it is watched again")
        assert run.operator.scope.excluded() == ()


async def test_keys_do_not_wait_on_a_replica_that_does_not_lead() -> None:
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "stackroles-leader", "namespace": "default"},
        "spec": {"holderIdentity": "other", "renewTime": "2026-01-01T00:00:00.000000Z"},
    }
    async with fake_api() as api:
        api.put(lease)
        async with running(api) as run:
            api.put(custom())
            await run.until(lambda: run.operator.cluster.cache.count() != {}, "it was seen")
            run.operator.router.everything()

            text = run.operator.metrics.render().decode()

    assert 'workqueue_longest_wait_seconds{name="stackroles"} 0.0' in text
    assert 'workqueue_depth{name="stackroles"} 0.0' in text


async def test_lost_lease_ends_the_operator() -> None:
    async with fake_api() as api, client_of(api) as client:
        settings = Settings(namespaces=("ns",), pod_name="me", health_port=0)
        operator = Operator(settings, client, Metrics(), reconcilers={}, watchers={})
        task = asyncio.create_task(operator.run(asyncio.Event()))
        run = Run(api, operator)
        await run.until(lambda: operator.leadership.leading, "it leads")
        lease = api.get("leases", "default", "stackroles-leader")
        assert lease is not None

        api.put({**lease, "spec": {**lease["spec"], "holderIdentity": "other"}})

        with pytest.raises(LeadershipLost):
            await asyncio.wait_for(task, _LIMIT)
        kept = api.get("leases", "default", "stackroles-leader")
        assert kept is not None
        assert kept["spec"]["holderIdentity"] == "other"


async def test_probes_of_a_running_operator_are_good() -> None:
    async with fake_api() as api, running(api) as run:
        health_snapshot = run.operator.health_snapshot()

        assert health_snapshot.synced
        assert len(health_snapshot.watch_ages) == _KINDS
        assert max(health_snapshot.watch_ages.values()) < _LIMIT


async def test_each_event_is_a_sign_of_life_of_its_watch() -> None:
    async with fake_api() as api, running(api) as run:
        await asyncio.sleep(0.3)
        api.put(custom())
        await run.settled()

        ages = run.operator.ages.ages()

        assert ages["ns", "cloudcontrollers"] < ages["ns", "pods"]


async def test_clean_exit_is_fast() -> None:
    async with fake_api() as api:
        loop = asyncio.get_running_loop()
        async with running(api):
            started = loop.time()
        assert loop.time() - started < 5

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.errors import (
    Conflict,
    Forbidden,
    LeadershipLost,
    NotReady,
    SpecInvalid,
    Throttled,
)
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import ObjectRef
from stackroles.reconcile.context import Context
from stackroles.runtime.dispatch import UNCLAIMED_SECONDS, Dispatcher
from stackroles.runtime.metrics import Metrics
from stackroles.runtime.queue import WorkQueue
from stackroles.runtime.replica import SystemClock
from tests.support.fake_api import Fault, client_of, fake_api
from tests.support.objects import custom, stored

KEY = ObjectRef("CloudController", "ns", "demo")


class Bench:
    """A dispatcher with a clock that tests move; `outcome` is what a pass does."""

    def __init__(self, outcome: Exception | None = None, client: KubeClient | None = None) -> None:
        self.outcome = outcome
        self.passes: list[dict[str, Any]] = []
        self.now = 0.0
        self.queue = WorkQueue(lambda: self.now, Random(1))
        cache = Cache()
        self.cache = cache
        cache.upsert(stored(custom(), 1))
        cluster = Cluster(
            client,  # type: ignore[arg-type]
            cache,
            lambda: 1.0,
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
        )
        context = Context(
            cluster=cluster,
            poller=self,  # type: ignore[arg-type]
            tasks=self,  # type: ignore[arg-type]
            clock=SystemClock(),
            random=Random(1),
            settings=None,
            openstack=self,
            enqueue=lambda ref, delay=0.0: self.queue.add_after(ref, delay),
            leader="one",
        )
        self.refused: dict[str, str] = {}
        self.installation = "here/stackroles-leader"
        self.forgotten: list[tuple[str, ...]] = []
        self.metrics = Metrics()
        reconcilers: dict[str, Callable[[Context, dict[str, Any]], Awaitable[None]]] = {
            "CloudController": self.reconcile
        }
        self.dispatcher = Dispatcher(
            self.queue,
            context,
            reconcilers,
            self.metrics,
            claims=self,  # type: ignore[arg-type]
            workers=1,
            monotonic=lambda: self.now,
        )

    def holds(self, namespace: str) -> bool:
        """Return whether the namespace is this installation's."""
        return namespace not in self.refused

    def holder(self, namespace: str) -> str:
        """Return which other installation holds it."""
        return self.refused.get(namespace, "")

    def rest(self, *what: str) -> None:
        self.forgotten.append(what)

    def forget(self, *what: str) -> None:
        self.forgotten.append(what)

    async def reconcile(self, _: Context, resource: dict[str, Any]) -> None:
        self.passes.append(resource)
        if self.outcome is not None:
            raise self.outcome

    async def once(self) -> None:
        self.queue.add(KEY)
        assert self.queue.take() == KEY
        await self.dispatcher.process(KEY)
        self.queue.done(KEY)

    def next_after(self) -> float | None:
        """Return after how many seconds the key comes again; None for never."""
        for tenth in range(40_000):
            self.now = tenth / 10
            if self.queue.take() is not None:
                return self.now
        return None


async def test_success_does_not_come_again() -> None:
    bench = Bench()
    await bench.once()

    assert bench.passes[0]["metadata"]["name"] == "demo"
    assert bench.next_after() is None
    text = bench.metrics.render().decode()
    assert 'reconcile_total{controller="cloudcontroller",result="success"} 1.0' in text


async def test_invalid_spec_is_reported_and_waits_for_a_new_one() -> None:
    async with fake_api() as api, client_of(api) as client:
        bench = Bench(SpecInvalid(Reason.CREDENTIALS_INVALID, "a message"), client)
        bench.cache.remove(stored(custom(), 1))
        bench.cache.upsert(api.put(custom()))
        await bench.once()
        written = api.get("cloudcontrollers", "ns", "demo")

    assert written is not None
    conditions = {c["type"]: (c["reason"], c["message"]) for c in written["status"]["conditions"]}
    assert conditions["Reconciled"] == ("CredentialsInvalid", "a message")
    assert conditions["Ready"] == conditions["Reconciled"]
    assert bench.next_after() is None


async def test_a_status_that_could_not_be_written_is_tried_again() -> None:
    async with fake_api() as api, client_of(api) as client:
        bench = Bench(SpecInvalid(Reason.CREDENTIALS_INVALID, "a message"), client)
        bench.cache.remove(stored(custom(), 1))
        bench.cache.upsert(api.put(custom()))
        api.faults.append(Fault("PATCH", "/status", 409))
        await bench.once()

    assert bench.next_after() is not None


async def test_not_ready_comes_again_after_its_delay() -> None:
    bench = Bench(NotReady("no database yet", delay=7.0))
    await bench.once()

    assert bench.next_after() == pytest.approx(7.0, abs=0.11)


@pytest.mark.parametrize("error", [Conflict("c"), Forbidden("f"), ValueError("a mistake of ours")])
async def test_other_errors_back_off_and_end_no_worker(error: Exception) -> None:
    bench = Bench(error)
    await bench.once()

    again = bench.next_after()
    assert again is not None
    assert again <= 0.6


async def test_throttled_pass_waits_as_long_as_the_server_asked() -> None:
    bench = Bench(Throttled("slow down", delay=20.0))
    await bench.once()

    assert bench.next_after() == pytest.approx(20.0, abs=0.11)


async def test_lost_leadership_ends_the_workers() -> None:
    bench = Bench(LeadershipLost("gone"))
    bench.queue.add(KEY)

    with pytest.raises(ExceptionGroup) as caught:
        await bench.dispatcher.run()

    assert caught.value.subgroup(LeadershipLost) is not None


async def test_resource_that_is_gone_is_not_reconciled() -> None:
    bench = Bench()
    gone = ObjectRef("CloudController", "ns", "nobody")
    await bench.dispatcher.process(gone)

    assert bench.passes == []
    # Nor does a poll or task go on for it, should its finalizer have been removed by hand.
    assert bench.forgotten == [(f"{gone}/",), (f"{gone}/",), ("ns", "nobody")]


async def test_what_another_installation_has_claimed_is_left_alone_until_it_is_given_up() -> None:
    async with fake_api() as api, client_of(api) as client:
        bench = Bench(client=client)
        bench.refused = {"ns": "elsewhere/stackroles-leader"}
        await bench.once()
        assert bench.passes == []
        notes = [obj["note"] for (plural, *_), obj in api._objects.items() if plural == "events"]
        assert len(notes) == 1
        assert "elsewhere/stackroles-leader serves this namespace" in notes[0]
        assert bench.next_after() == UNCLAIMED_SECONDS
        bench.queue.done(KEY)
        bench.refused = {}
        await bench.once()
        assert len(bench.passes) == 1

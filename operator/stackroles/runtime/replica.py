"""One replica of the operator: all parts wired, run and ended in order."""

import asyncio
import ctypes
import gc
import random
import signal
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from stackroles.errors import OperatorError
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import WATCHED_KINDS, Key, Kind, ObjectRef, PartRef
from stackroles.openstack.clients import Clouds
from stackroles.reconcile.context import Context, Reconcilers
from stackroles.runtime import health
from stackroles.runtime.claims import NamespaceClaims
from stackroles.runtime.dispatch import Dispatcher
from stackroles.runtime.leader import Elector, Leadership
from stackroles.runtime.metrics import Metrics
from stackroles.runtime.namespaces import NamespaceScope
from stackroles.runtime.poller import AsyncPoller
from stackroles.runtime.queue import WorkQueue
from stackroles.runtime.resync import Resync
from stackroles.runtime.router import EventRouter, Owners, Watchers, belongs_to_parent
from stackroles.runtime.tasks import Tasks
from stackroles.runtime.watch import run_watches
from stackroles.settings import Settings

log = structlog.get_logger(__name__)

_THREADS: Final = 8
_EXIT_SECONDS: Final = 1.5
_DRAIN_SECONDS: Final = 5.0
_SETTLE_SECONDS: Final = 5.0


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """Return the wall clock in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


def boottime() -> float:
    """Return seconds that never go back and also pass while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Operator:
    """All parts of one replica, wired.

    Args:
        settings: the installation's settings.
        client: the Kubernetes API.
        reconcilers: which function reconciles which kind.
        watchers: further keys by the kind that changed.
        owners: which keys a child belongs to.
    """

    def __init__(
        self,
        settings: Settings,
        client: KubeClient,
        metrics: Metrics,
        *,
        reconcilers: Reconcilers,
        watchers: Watchers,
        owners: Owners = belongs_to_parent,
    ) -> None:
        self.settings = settings
        self.client = client
        self.metrics = metrics
        self.clock = SystemClock()
        self.kinds = watched_kinds(settings)
        identity = settings.pod_name or f"{socket.gethostname()}_{uuid.uuid4()}"
        self.leadership = Leadership(boottime)
        self.elector = Elector(
            client,
            self.leadership,
            namespace=settings.pod_namespace,
            name=settings.lease,
            identity=identity,
            boottime=boottime,
            now=self.clock.now,
        )
        self.queue = WorkQueue(
            time.monotonic, random.SystemRandom(), waited=metrics.waited, worked=metrics.worked
        )
        self.cluster = Cluster(
            client, Cache(), self.leadership.fence, now=self.clock.now, instance=identity
        )
        self.router = EventRouter(self.cluster, self.queue, watchers, reconcilers, owners)
        self.poller = AsyncPoller(self.queue.add, time.monotonic)
        self.tasks = Tasks(
            self.queue.add, time.monotonic, is_active=self._is_active, fence=self.leadership.fence
        )
        self.clouds = Clouds(self.leadership.fence)
        self.scope = NamespaceScope(settings.namespaces)
        self.claims = NamespaceClaims(
            client,
            f"{settings.pod_namespace}/{settings.lease}",
            boottime=boottime,
            now=self.clock.now,
        )
        self.context = Context(
            cluster=self.cluster,
            poller=self.poller,
            tasks=self.tasks,
            clock=self.clock,
            random=random.SystemRandom(),
            settings=settings,
            openstack=self.clouds,
            unread=self.scope.excluded,
            enqueue=self.enqueue,
            active=self.active_parts,
            leader=f"{identity}/{uuid.uuid4()}",
        )
        self.dispatcher = Dispatcher(
            self.queue,
            self.context,
            reconcilers,
            metrics,
            claims=self.claims,
            workers=settings.workers,
            monotonic=time.monotonic,
        )
        shortest, longest = settings.resync_seconds
        self.resync = Resync(
            client,
            self.router,
            kinds=self.kinds,
            scope=self.scope,
            shortest=shortest,
            longest=longest,
            random=random.SystemRandom(),
        )
        self.ages = health.WatchAges(time.monotonic)
        self.synced = False
        metrics.controls(reconcilers, settings.workers)
        metrics.follow(self.queue, self.cluster.cache, self.ages.ages, self.served)

    def served(self) -> dict[str, bool]:
        """Return of each namespace whether this operator acts there."""
        return {**self.scope.served(), **dict.fromkeys(self.claims.refused(), False)}

    def enqueue(self, ref: Key, delay: float = 0.0) -> None:
        """Reconcile a resource after `delay` seconds."""
        self.queue.add_after(ref, delay)

    def active_parts(self, whole: ObjectRef) -> list[Key]:
        """Return the parts of a resource that are being reconciled."""
        keys = (key for key, _ in self.queue.active())
        return [key for key in keys if isinstance(key, PartRef) and key.whole == whole]

    def _is_active(self, ref: Key) -> bool:
        found = self.cluster.get(ref.kind, ref.namespace, ref.name)
        if found is None:
            return False
        suspended = (found.get("spec") or {}).get("suspend")
        return not suspended or bool(found["metadata"].get("deletionTimestamp"))

    def health_snapshot(self) -> health.HealthSnapshot:
        """Return what health is judged by, now."""
        return health.HealthSnapshot(
            watch_ages=self.ages.ages(),
            answer_age=time.monotonic() - self.client.last_answer,
            longest_wait=self.queue.longest_wait(),
            longest_run=self.queue.longest_run(),
            working=self.leadership.leading,
            synced=self.synced,
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until `stop` is set; the Lease is given back then.

        Raises:
            Exception: a part ended that must not; the process must end, so that Kubernetes starts
                another one.
        """
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS))
        server = await health.serve(
            health.build_app(self.health_snapshot, self.metrics), self.settings.health_port
        )
        parts = {
            name: asyncio.create_task(coroutine, name=name)
            for name, coroutine in (
                ("stop", stop.wait()),
                ("work", self._work()),
                ("elect", self._elect()),
                ("claim", self._claim()),
                ("watch", self._watch(stop)),
            )
        }
        ended: dict[str, asyncio.Task[Any]] = {}
        try:
            await asyncio.wait(parts.values(), return_when=asyncio.FIRST_COMPLETED)
            ended = {name: part for name, part in parts.items() if part.done()}
        finally:
            # The Lease goes back when no write can follow, also from a thread, and kopf, which
            # cancels every younger task of this process, ends last.
            await _end(parts["work"], parts["claim"], parts["elect"])
            await self.tasks.stop()
            await self.poller.stop()
            if await self.clouds.drain(_DRAIN_SECONDS):
                await self.elector.release()
            else:
                log.warning("The Lease is left to run out: a call to a cloud has not ended")
            await _end(parts["stop"], parts["watch"])
            await server.cleanup()
        ended.pop("stop", None)
        for name, part in ended.items():
            part.result()
            raise OperatorError(f"Part {name} ended by itself")

    async def _watch(self, stop: asyncio.Event) -> None:
        await self.resync.prime()
        self.synced = True
        log.info("Cache is filled", objects=sum(self.cluster.cache.count().values()))
        started = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(
                run_watches(
                    self.kinds,
                    self.router,
                    self.client,
                    self.ages,
                    scope=self.scope,
                    started=started,
                )
            )
            group.create_task(self.resync.run())
            await started.wait()
            handle_signals(stop)  # kopf has put its own
            await asyncio.sleep(_SETTLE_SECONDS)
            give_memory_back()

    async def _elect(self) -> None:
        self.metrics.leads(self.settings.lease, leading=False)
        await self.elector.run()

    async def _claim(self) -> None:
        await self.leadership.started.wait()
        await self.claims.run()

    async def _work(self) -> None:
        await self.leadership.started.wait()
        self.metrics.leads(self.settings.lease, leading=True)
        while not self.synced:  # noqa: ASYNC110 - once, at start
            await asyncio.sleep(0.1)
        self.router.begin()
        await self.dispatcher.run()


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks and wait for their end, not for ever."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks, timeout=_EXIT_SECONDS)


def watched_kinds(settings: Settings) -> tuple[Kind, ...]:
    """Return the kinds to watch with the rights this installation has."""
    return tuple(k for k in WATCHED_KINDS if k.namespaced or settings.node_rights)


def give_memory_back() -> None:
    """Return what the start-up burst used to the system."""
    gc.collect()
    gc.freeze()
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        log.debug("This C library cannot trim memory")


def handle_signals(stop: asyncio.Event) -> None:
    """Let SIGTERM and SIGINT set `stop`."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

"""Prometheus metrics under the names dashboards for controllers already know."""

from collections import Counter as Tally
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from typing_extensions import override

from stackroles.constants import MANAGED_BY
from stackroles.kube.cache import Cache
from stackroles.kube.kinds import OWN_KINDS, controller_of
from stackroles.runtime import resource_metrics
from stackroles.runtime.namespaces import Ages
from stackroles.runtime.queue import WorkQueue

_BUCKETS: Final = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0)


class Metrics:
    """The operator's metrics, in a registry of their own."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._reconciles = Counter(
            "controller_runtime_reconcile",
            "Reconciliations by controller and result (success, error, requeue_after).",
            ("controller", "result"),
            registry=self.registry,
        )
        self._errors = Counter(
            "controller_runtime_reconcile_errors",
            "Reconciliations that failed, by controller.",
            ("controller",),
            registry=self.registry,
        )
        self._limits = Gauge(
            "controller_runtime_max_concurrent_reconciles",
            "Reconciliations that may run at the same time; all controllers share the workers.",
            ("controller",),
            registry=self.registry,
        )
        self._waits = self._queue_histogram("queue_duration", "Wait of a key for a worker.")
        self._works = self._queue_histogram("work_duration", "Work on a key.")
        self._seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Length of a reconciliation.",
            ("controller",),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._requests = Counter(
            "rest_client_requests",
            "Requests to the Kubernetes API by status (0: no answer) and method.",
            ("code", "method"),
            registry=self.registry,
        )
        self._leader = Gauge(
            "leader_election_master_status",
            "1 on the replica that holds the Lease.",
            ("name",),
            registry=self.registry,
        )

    def _queue_histogram(self, name: str, text: str) -> Histogram:
        full = f"workqueue_{name}_seconds"
        made = Histogram(full, text, ("name",), buckets=_BUCKETS, registry=self.registry)
        return made.labels(MANAGED_BY)

    def controls(self, kinds: Iterable[str], workers: int) -> None:
        """Say which kinds are reconciled, and by how many workers."""
        for kind in kinds:
            self._errors.labels(kind.lower())  # 0 is there before the first error
            self._limits.labels(kind.lower()).set(workers)

    def waited(self, seconds: float) -> None:
        """Count a key that a worker took."""
        self._waits.observe(seconds)

    def worked(self, seconds: float) -> None:
        """Count a key that a worker was done with."""
        self._works.observe(seconds)

    def reconciled(self, kind: str, result: str, seconds: float) -> None:
        """Count one reconciliation."""
        self._reconciles.labels(kind.lower(), result).inc()
        if result == "error":
            self._errors.labels(kind.lower()).inc()
        self._seconds.labels(kind.lower()).observe(seconds)

    def requested(self, method: str, status: int) -> None:
        """Count one request to the Kubernetes API."""
        self._requests.labels(str(status), method).inc()

    def leads(self, lease: str, *, leading: bool) -> None:
        """Say whether this replica holds the Lease."""
        self._leader.labels(lease).set(1 if leading else 0)

    def follow(
        self,
        queue: WorkQueue,
        cache: Cache,
        watch_ages: Callable[[], Ages],
        served: Callable[[], Mapping[str, bool]],
    ) -> None:
        """Serve the state of the queue, the cache, the watches and namespaces from now on."""
        self.registry.register(_State(queue, cache, watch_ages, served))

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)


class _State(Collector):
    """Reads values when Prometheus asks instead of keeping copies."""

    def __init__(
        self,
        queue: WorkQueue,
        cache: Cache,
        watch_ages: Callable[[], Ages],
        served: Callable[[], Mapping[str, bool]],
    ) -> None:
        self._queue = queue
        self._served = served
        self._cache = cache
        self._watch_ages = watch_ages

    @override
    def collect(self) -> Iterable[Metric]:
        """Return the metrics of this moment."""
        yield from self._queue_metrics()
        yield self._workers()
        ages = GaugeMetricFamily(
            "stackroles_watch_age_seconds",
            "Seconds since a watch last proved alive.",
            labels=["namespace", "kind"],
        )
        for place, age in self._watch_ages().items():
            ages.add_metric([*place], age)
        yield ages
        served = GaugeMetricFamily(
            "stackroles_namespace_served",
            "1 for a namespace in which the operator acts, 0 for one that it may not read or that "
            "another operator serves.",
            labels=["namespace"],
        )
        for namespace, good in self._served().items():
            served.add_metric([namespace], good)
        yield served
        held = GaugeMetricFamily(
            "stackroles_cache_objects", "Objects in the cache.", labels=["kind"]
        )
        for kind, count in self._cache.count().items():
            held.add_metric([kind], count)
        yield held
        yield from resource_metrics.families(self._cache)

    def _queue_metrics(self) -> Iterator[Metric]:
        queue = self._queue
        for kind, name, text, value in (
            (GaugeMetricFamily, "depth", "Keys that wait.", queue.depth()),
            (CounterMetricFamily, "adds", "Keys added.", queue.adds),
            (CounterMetricFamily, "retries", "Keys added after a failure.", queue.retries),
            (GaugeMetricFamily, "longest_wait_seconds", "Oldest key.", queue.longest_wait()),
            (
                GaugeMetricFamily,
                "longest_running_processor_seconds",
                "Oldest pass.",
                queue.longest_run(),
            ),
            (
                GaugeMetricFamily,
                "unfinished_work_seconds",
                "Passes under way, all together.",
                sum(seconds for _, seconds in queue.active()),
            ),
        ):
            family = kind(f"workqueue_{name}", text, labels=["name"])
            family.add_metric([MANAGED_BY], value)
            yield family

    def _workers(self) -> Metric:
        family = GaugeMetricFamily(
            "controller_runtime_active_workers",
            "Reconciliations under way, by controller.",
            labels=["controller"],
        )
        busy = Tally(controller_of(key) for key, _ in self._queue.active())
        for controller in sorted({*OWN_KINDS, *busy}):
            family.add_metric([controller.lower()], busy[controller])
        return family

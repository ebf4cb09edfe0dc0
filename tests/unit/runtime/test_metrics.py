"""Metrics under the names that dashboards of controllers know, with the values they expect."""

from random import Random

from prometheus_client.parser import text_string_to_metric_families

from stackroles.kube.cache import Cache
from stackroles.kube.kinds import ObjectRef
from stackroles.runtime.metrics import Metrics
from stackroles.runtime.queue import WorkQueue

KEY = ObjectRef("CloudController", "ns", "demo")
CONTROLLER = {"controller": "cloudcontroller"}
QUEUE = {"name": "stackroles"}


class Bench:
    """Metrics of a queue with a clock that tests move."""

    def __init__(self) -> None:
        self.now = 0.0
        self.metrics = Metrics()
        self.queue = WorkQueue(
            lambda: self.now, Random(1), waited=self.metrics.waited, worked=self.metrics.worked
        )
        self.metrics.controls(("CloudController",), 8)
        self.metrics.follow(self.queue, Cache(), dict, dict)

    def value(self, name: str, labels: dict[str, str]) -> float:
        text = self.metrics.render().decode()
        (found,) = (
            sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == name and sample.labels == labels
        )
        return float(found)


def test_wait_and_work_of_a_key_are_counted() -> None:
    bench = Bench()
    bench.queue.add(KEY)
    bench.now = 2.0
    assert bench.queue.take() == KEY
    bench.now = 5.0

    assert bench.value("workqueue_queue_duration_seconds_sum", QUEUE) == 2.0
    assert bench.value("workqueue_unfinished_work_seconds", QUEUE) == 3.0
    assert bench.value("controller_runtime_active_workers", CONTROLLER) == 1
    bench.queue.done(KEY)
    assert bench.value("workqueue_work_duration_seconds_sum", QUEUE) == 3.0
    assert bench.value("workqueue_unfinished_work_seconds", QUEUE) == 0.0
    assert bench.value("controller_runtime_active_workers", CONTROLLER) == 0


def test_errors_are_counted_from_nought() -> None:
    bench = Bench()
    assert bench.value("controller_runtime_reconcile_errors_total", CONTROLLER) == 0

    bench.metrics.reconciled("CloudController", "error", 0.1)
    bench.metrics.reconciled("CloudController", "success", 0.1)

    assert bench.value("controller_runtime_reconcile_errors_total", CONTROLLER) == 1
    assert bench.value("controller_runtime_max_concurrent_reconciles", CONTROLLER) == 8


def test_the_process_itself_is_measured() -> None:
    assert Bench().value("process_resident_memory_bytes", {}) > 0

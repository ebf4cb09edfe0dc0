"""Each controller node is drained in turn, and a steady load sees no failure."""

import time
from collections.abc import Iterator

import pytest

from lab.kubectl import Kubectl, Object
from tests.support.client import NAME, Client
from tests.support.cloud import Cloud
from tests.support.clustering import WRITER, failed, failures
from tests.support.measurements import Measurements

# Members of services leave one after the other: each waits until the one before it has started.
DRAIN_SECONDS = 600
CONTROLLER = "app.kubernetes.io/instance=demo,stackroles.io/owner-kind=CloudController"


@pytest.fixture(autouse=True)
def uncordoned(kubectl: Kubectl) -> Iterator[None]:
    """Leave every node as it was."""
    yield
    for node in kubectl.items("nodes"):
        if node["spec"].get("unschedulable"):
            kubectl.run("uncordon", node["metadata"]["name"])


def nodes_of(pods: list[Object]) -> list[str]:
    """Return the nodes that pods run on."""
    return sorted({pod["spec"]["nodeName"] for pod in pods if pod["spec"].get("nodeName")})


def drain(kubectl: Kubectl, node: str) -> None:
    """Drain a node as a person would; the client that makes the load stays."""
    kubectl.run(
        "drain", node, "--ignore-daemonsets", "--delete-emptydir-data",
        f"--pod-selector=app.kubernetes.io/name!={NAME}", f"--timeout={DRAIN_SECONDS}s",
        timeout=DRAIN_SECONDS + 30,
    )  # fmt: skip


def without_writer(calls: list[Object], address: str) -> list[Object]:
    """Return the calls but those of glance: its volume is on one node, and so is its member."""
    return [call for call in calls if f"//{address}:" not in call["url"]]


def test_a_drain_of_each_node_loses_no_call(
    cloud: Cloud, kubectl: Kubectl, loaded: Client, measurements: Measurements
) -> None:
    cloud.wait_ready()
    service = kubectl.get("service", f"{cloud.name}-{WRITER}") or {}
    address = service["spec"]["clusterIP"]
    nodes = nodes_of(cloud.pods())
    assert len(nodes) > 1
    for node in nodes:
        at_writer = node in nodes_of(cloud.pods(WRITER))
        before = {pod["metadata"]["uid"] for pod in cloud.pods() if node in nodes_of([pod])}
        assert before, "no member of the cloud was there"
        started = time.time()
        drain(kubectl, node)
        assert not [pod for pod in cloud.pods() if node in nodes_of([pod])], "pods stayed"
        drained = time.time()
        kubectl.run("uncordon", node)
        cloud.wait_ready()
        whole = time.time()
        calls = [call for call in loaded.load() if call["at"] >= started]
        asked = without_writer(calls, address) if at_writer else calls
        measurements.record(
            f"drain of {node}, {len(before)} pods, {len(asked)} calls",
            drained_seconds=drained - started,
            whole_seconds=whole - started,
            longest_call_seconds=max(call["seconds"] for call in asked),
            failed=len(failed(asked)),
        )
        assert failures(asked) == []

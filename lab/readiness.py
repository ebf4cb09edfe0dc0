"""When a cluster is ready: each node reported since its container started, its workloads serve."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.cluster import Cluster

SECONDS = 300
NAMESPACES = ("kube-system", "local-path-storage")


@dataclass(frozen=True, slots=True)
class Container:
    """A node's container: since when it runs and its address on the first network."""

    started: datetime
    address: str


def wait(cluster: Cluster, notify: Callable[[str], None], seconds: float = SECONDS) -> None:
    """Wait until the API answers, every node is ready and the cluster's own workloads serve.

    Raises:
        LabError: That took longer than ``seconds``; the message names what was waited for.
    """
    deadline = time.monotonic() + seconds
    last = ""
    while waited_for := _observe(cluster):
        if time.monotonic() > deadline:
            remedy = f"KUBECONFIG={cluster.kubeconfig} kubectl get nodes,pods --all-namespaces"
            raise LabError(
                f"the cluster was not ready in {seconds:.0f} s: {waited_for}", remedy=remedy
            )
        if waited_for != last:
            notify(f"waiting for {waited_for}")
            last = waited_for
        time.sleep(1)


def unready_nodes(
    containers: Mapping[str, Container], nodes: list[dict[str, Any]], leases: list[dict[str, Any]]
) -> list[str]:
    """Return the nodes that are not ready, or were so only before their container started.

    Args:
        containers: Node name -> its container.
        nodes: Node objects.
        leases: The nodes' Lease objects, renewed by each kubelet every 10 seconds.
    """
    by_name = {node["metadata"]["name"]: node.get("status", {}) for node in nodes}
    renewed = {lease["metadata"]["name"]: _time(lease["spec"]["renewTime"]) for lease in leases}
    waiting = []
    for name, container in containers.items():
        status = by_name.get(name, {})
        conditions = {item["type"]: item["status"] for item in status.get("conditions", [])}
        addresses = {item["type"]: item["address"] for item in status.get("addresses", [])}
        fresh = name in renewed and renewed[name] > container.started
        if not (
            fresh
            and conditions.get("Ready") == "True"
            and addresses.get("InternalIP") == container.address
        ):
            waiting.append(f"node {name}")
    return waiting


def unready_workloads(workloads: list[dict[str, Any]]) -> list[str]:
    """Return the Deployments and DaemonSets that do not serve with all pods, with their counts."""
    waiting = []
    for item in workloads:
        status = item.get("status", {})
        if item["kind"] == "DaemonSet":
            wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
        else:
            wanted, ready = item["spec"]["replicas"], status.get("readyReplicas", 0)
        if ready < wanted or status.get("observedGeneration") != item["metadata"]["generation"]:
            waiting.append(f"{item['metadata']['name']} ({ready}/{wanted})")
    return waiting


def _observe(cluster: Cluster) -> str:
    """Return what is still waited for, as text, or an empty string."""
    try:
        nodes = _list(cluster, "nodes")
        leases = _list(cluster, "leases", "kube-node-lease")
        workloads = [
            item for name in NAMESPACES for item in _list(cluster, "deployments,daemonsets", name)
        ]
    except LabError:
        return "the API server"
    waiting = unready_nodes(_containers(cluster), nodes, leases)
    if not workloads:
        waiting.append("the cluster's own workloads")
    return ", ".join(waiting + unready_workloads(workloads))


def _list(cluster: Cluster, kinds: str, namespace: str = "") -> list[dict[str, Any]]:
    arguments = [f"--namespace={namespace}"] if namespace else []
    items: list[dict[str, Any]] = json.loads(
        cluster.kubectl("get", kinds, *arguments, "--output=json")
    )["items"]
    return items


def _containers(cluster: Cluster) -> dict[str, Container]:
    found = {}
    for item in json.loads(cluster.docker("inspect", *cluster.nodes)):
        address = item["NetworkSettings"]["Networks"][cluster.network]["IPAddress"]
        found[item["Name"].lstrip("/")] = Container(_time(item["State"]["StartedAt"]), address)
    return found


def _time(text: str) -> datetime:
    """Return a time that docker (nanoseconds) or the API (microseconds) wrote."""
    head, _, fraction = text.rstrip("Z").partition(".")
    return datetime.strptime(f"{head}.{(fraction or '0')[:6]}", "%Y-%m-%dT%H:%M:%S.%f").replace(
        tzinfo=UTC
    )

"""What kind is asked for, and when the cluster counts as ready."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import cluster, kind_config, readiness
from lab.readiness import Container

START = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
CONTAINERS = {"c-worker": Container(START, "172.18.0.3")}


def rendered(stores: dict[str, Path]) -> dict[str, Any]:
    text = kind_config.render("c", directory=Path("/d"), images=Path("/i"), stores=stores)
    content: dict[str, Any] = yaml.safe_load(text)
    content["patches"] = {
        patch["kind"]: patch for patch in map(yaml.safe_load, content["kubeadmConfigPatches"])
    }
    return content


def test_three_nodes_of_which_the_control_plane_writes_the_audit_log() -> None:
    nodes = rendered({})["nodes"]
    assert [node["role"] for node in nodes] == ["control-plane", "worker", "worker"]
    audited = [
        any(mount["hostPath"] == "/d/audit" for mount in node["extraMounts"]) for node in nodes
    ]
    assert audited == [True, False, False]


def test_an_own_image_has_local_components_and_each_node_its_store() -> None:
    stores = {node: Path("/s") / node for node in kind_config.node_names("c")}
    content = rendered(stores)
    assert content["patches"]["ClusterConfiguration"]["imageRepository"] == "localhost/stackroles"
    for node, name in zip(content["nodes"], stores, strict=True):
        mounts = {mount["containerPath"]: mount["hostPath"] for mount in node["extraMounts"]}
        assert mounts["/var/lib/containerd"] == f"/s/{name}"


def test_the_published_image_keeps_its_own_components() -> None:
    content = rendered({})
    assert "imageRepository" not in content["patches"]["ClusterConfiguration"]
    assert "/var/lib/containerd" not in str(content["nodes"])


def test_the_underlay_is_the_same_each_time_and_another_for_another_name() -> None:
    assert kind_config.underlay_prefix("stackroles") == "10.177.0"
    assert kind_config.underlay_prefix("other") != "10.177.0"
    assert list(kind_config.underlay_addresses("stackroles").items()) == [
        ("stackroles-control-plane", "10.177.0.11"),
        ("stackroles-worker", "10.177.0.12"),
        ("stackroles-worker2", "10.177.0.13"),
    ]


def test_the_default_route_stays_on_the_first_network() -> None:
    # docker gives the default route to the network whose name sorts first
    assert min([cluster.underlay("a"), cluster.NETWORK]) == cluster.NETWORK


NODES = ("a", "b", "c")


@pytest.mark.parametrize(
    ("found", "made", "fault"),
    [
        (NODES, True, ""),
        (NODES, False, "making the cluster was interrupted"),
        ((), True, "there is no cluster yet"),
        (("a", "c"), True, "only a, c of the nodes are there"),
    ],
)
def test_only_a_cluster_that_was_made_to_its_end_is_completed(
    found: tuple[str, ...], made: bool, fault: str
) -> None:
    assert cluster.unusable(found, NODES, made=made) == fault


def node(ready: str = "True", address: str = "172.18.0.3") -> dict[str, Any]:
    return {
        "metadata": {"name": "c-worker"},
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "addresses": [{"type": "InternalIP", "address": address}],
        },
    }


def lease(time: str) -> dict[str, Any]:
    return {"metadata": {"name": "c-worker"}, "spec": {"renewTime": time}}


AFTER, BEFORE = "2026-01-01T12:00:05.000000Z", "2026-01-01T11:59:59.999999Z"


@pytest.mark.parametrize(
    ("nodes", "leases", "waiting"),
    [
        ([node()], [lease(AFTER)], []),
        ([node()], [lease(BEFORE)], ["node c-worker"]),
        ([node()], [], ["node c-worker"]),
        ([node(ready="Unknown")], [lease(AFTER)], ["node c-worker"]),
        ([node(address="172.18.0.9")], [lease(AFTER)], ["node c-worker"]),
        ([], [], ["node c-worker"]),
    ],
)
def test_a_node_is_ready_when_it_says_so_since_its_container_started(
    nodes: list[dict[str, Any]], leases: list[dict[str, Any]], waiting: list[str]
) -> None:
    assert readiness.unready_nodes(CONTAINERS, nodes, leases) == waiting


def test_workloads_are_waited_for_by_their_counts_and_generation() -> None:
    def workload(kind: str, generation: int, **status: int) -> dict[str, Any]:
        meta = {"name": kind.lower(), "generation": generation}
        return {"kind": kind, "metadata": meta, "spec": {"replicas": 2}, "status": status}

    assert readiness.unready_workloads(
        [
            workload("Deployment", 1, readyReplicas=2, observedGeneration=1),
            workload("Deployment", 1, readyReplicas=1, observedGeneration=1),
            workload("DaemonSet", 2, desiredNumberScheduled=3, numberReady=3, observedGeneration=1),
        ]
    ) == ["deployment (1/2)", "daemonset (3/3)"]

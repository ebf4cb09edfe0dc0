"""What kind is asked for: pure functions from names and paths to configuration."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from lab import versions

AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}
"""Every request with its user, verb, resource and answer: enough to count who writes what."""
AUDIT_DIRECTORY = "/var/log/kubernetes/audit"
AUDIT_POLICY_FILE = "/etc/kubernetes/audit-policy.yaml"
IMAGES_MOUNT = "/images"


def node_names(cluster: str) -> tuple[str, str, str]:
    """Return the names of the control plane and the two workers."""
    return (f"{cluster}-control-plane", f"{cluster}-worker", f"{cluster}-worker2")


def underlay_prefix(cluster: str) -> str:
    """Return the first three numbers of the underlay's /24: 10.177.0 for the usual cluster."""
    third = 0 if cluster == "stackroles" else 1 + zlib.crc32(cluster.encode()) % 254
    return f"10.177.{third}"


def underlay_addresses(cluster: str) -> dict[str, str]:
    """Return each node's address on the underlay (eth1): .11, .12 and .13."""
    prefix = underlay_prefix(cluster)
    return {node: f"{prefix}.{11 + index}" for index, node in enumerate(node_names(cluster))}


def render(cluster: str, *, directory: Path, images: Path, stores: Mapping[str, Path]) -> str:
    """Return kind's configuration file.

    Args:
        cluster: Name of the cluster.
        directory: The cluster's folder on this machine, with ``audit-policy.yaml`` and ``audit/``.
        images: The folder on this machine that every node sees read-only below /images.
        stores: Node -> its container runtime's data folder on this machine. Empty with the
            published node image, which brings its own component images under upstream's names.
    """
    audit = [
        _mount(directory / "audit-policy.yaml", AUDIT_POLICY_FILE, read_only=True),
        _mount(directory / "audit", AUDIT_DIRECTORY, read_only=False),
    ]
    nodes = []
    for index, node in enumerate(node_names(cluster)):
        mounts = [_mount(images, IMAGES_MOUNT, read_only=True)]
        if node in stores:
            mounts.append(_mount(stores[node], "/var/lib/containerd", read_only=False))
        control = index == 0
        nodes.append(
            {
                "role": "control-plane" if control else "worker",
                "extraMounts": mounts + audit * control,
            }
        )
    return yaml.safe_dump(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "networking": {"podSubnet": "10.244.0.0/16", "kubeProxyMode": "iptables"},
            "nodes": nodes,
            "kubeadmConfigPatches": [
                yaml.safe_dump(patch) for patch in _patches(published_image=not stores)
            ],
        },
        sort_keys=False,
    )


def _mount(source: Path, target: str, *, read_only: bool) -> dict[str, Any]:
    return {"hostPath": str(source), "containerPath": target, "readOnly": read_only}


def _patches(*, published_image: bool) -> list[dict[str, Any]]:
    cluster: dict[str, Any] = {
        "kind": "ClusterConfiguration",
        "apiVersion": "kubeadm.k8s.io/v1beta3",
        "apiServer": {
            "extraArgs": {
                "audit-policy-file": AUDIT_POLICY_FILE,
                "audit-log-path": f"{AUDIT_DIRECTORY}/audit.log",
                "audit-log-maxsize": "200",
                "audit-log-maxbackup": "3",
            },
            "extraVolumes": [
                _volume("audit-policy", AUDIT_POLICY_FILE, kind="File", read_only=True),
                _volume("audit-log", AUDIT_DIRECTORY, kind="Directory", read_only=False),
            ],
        },
    }
    if not published_image:
        repository = "localhost/stackroles"
        cluster["imageRepository"] = repository
        cluster["dns"] = {"imageRepository": repository, "imageTag": versions.COREDNS}
        cluster["etcd"] = {"local": {"imageTag": versions.ETCD}}
    kubelet = {
        "kind": "KubeletConfiguration",
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "maxOpenFiles": 20000,
        "oomScoreAdj": 0,
        "failCgroupV1": False,
        "serializeImagePulls": False,
        "maxPods": 250,
    }
    proxy = {
        "kind": "KubeProxyConfiguration",
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "oomScoreAdj": 0,
        "conntrack": {"maxPerCore": 0},
    }
    return [cluster, kubelet, proxy]


def _volume(name: str, path: str, *, kind: str, read_only: bool) -> dict[str, Any]:
    return {
        "name": name,
        "hostPath": path,
        "mountPath": path,
        "readOnly": read_only,
        "pathType": kind,
    }

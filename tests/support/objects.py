"""Small objects for tests of the operator's core."""

import base64
from typing import Any

from stackroles.constants import (
    GROUP_VERSION,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_OWNER_KIND,
    MANAGED_BY,
)

Object = dict[str, Any]


def custom(name: str = "demo", kind: str = "CloudController", **spec: Any) -> Object:
    """Return a custom resource as a user would write it."""
    metadata = {"name": name, "namespace": "ns"}
    return {"apiVersion": GROUP_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


def child_labels(owner: str = "demo", kind: str = "CloudController") -> dict[str, str]:
    """Return the labels by which a child names its owner."""
    return {LABEL_MANAGED_BY: MANAGED_BY, LABEL_OWNER_KIND: kind, LABEL_INSTANCE: owner}


def owned_by(owner: Object) -> list[Object]:
    """Return the owner references of a child."""
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": owner["metadata"]["name"],
            "uid": owner["metadata"]["uid"],
            "controller": True,
        }
    ]


def config_map(name: str, **data: str) -> Object:
    metadata = {"name": name}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def secret(name: str, value: str, labels: dict[str, str] | None = None) -> Object:
    """Return a Secret with one value, as the API server serves it."""
    metadata = {"name": name, "namespace": "ns", "labels": labels or {}}
    data = {"password": base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}


def deployment(name: str, replicas: int = 1) -> Object:
    metadata = {"name": name}
    spec = {"replicas": replicas, "selector": {"matchLabels": {"a": "b"}}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def service(name: str, port: int = 80) -> Object:
    metadata = {"name": name}
    spec = {"ports": [{"port": port}], "selector": {"a": "b"}}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


def stored(obj: Object, version: int, uid: str = "u1", **metadata: Any) -> Object:
    """Return an object as the API server would serve it."""
    created = {"namespace": "ns", "creationTimestamp": "2026-01-01T00:00:00Z"}
    full = {**created, **obj["metadata"], "uid": uid, "resourceVersion": str(version)}
    return {**obj, "metadata": {**full, **metadata}}

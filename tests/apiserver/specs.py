"""Smallest valid objects of each kind, and the server's rules on them."""

import copy
from collections.abc import Iterator, Mapping
from typing import Any

from tests.apiserver.conftest import GROUP, installed

MINIMAL: Mapping[str, dict[str, Any]] = {
    "CloudController": {},
    "ComputePool": {"controller": "cloud", "nodeSelector": {"role": "compute"}},
    "ComputeNode": {"pool": "pool", "nodeName": "node.example"},
    "BackupPolicy": {
        "controller": "cloud",
        "schedule": "0 3 * * *",
        "repository": {"volume": {}},
        "encryptionSecret": "key",
    },
    "Backup": {"policy": "daily"},
    "Restore": {"backup": "first"},
}
CRDS = tuple(d for d in installed() if d["kind"] == "CustomResourceDefinition")
PLURALS = {crd["spec"]["names"]["kind"]: crd["spec"]["names"]["plural"] for crd in CRDS}


def objects_path(kind: str, namespace: str) -> str:
    """Return the URL path of a kind's collection."""
    return f"{GROUP}/namespaces/{namespace}/{PLURALS[kind]}"


def build(kind: str, *, name: str = "sample", **changes: Any) -> dict[str, Any]:
    """Return a minimal object with top-level spec fields changed."""
    return {
        "apiVersion": "stackroles.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": {**copy.deepcopy(MINIMAL[kind]), **changes},
    }


def all_rules() -> Iterator[tuple[str, str, str]]:
    """Yield (kind, path, message) of each CEL rule in the CRDs."""
    for crd in CRDS:
        kind = crd["spec"]["names"]["kind"]
        schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        for path, message in _rules(schema, ""):
            yield kind, path, message


def _rules(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, str]]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield path, rule["message"]
    for name, field in schema.get("properties", {}).items():
        yield from _rules(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield from _rules(schema[key], f"{path}.*")

"""Resources of the project's as tests apply them."""

from collections.abc import Mapping
from typing import Any

from lab.kubectl import Object
from stackroles.roles import registry

API = "stackroles.io/v1alpha1"
NOWHERE = {"nodeSelector": {"e2e.example.com/node": "nowhere"}}
"""A placement that fits no node."""


def resource(kind: str, name: str, spec: Mapping[str, Any]) -> Object:
    """Return a resource of the project's."""
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": dict(spec)}


def small_cloud(name: str, mariadb: Mapping[str, Any], **spec: Any) -> Object:
    """Return a CloudController of which every role but the database may run nowhere."""
    roles = {
        role.name: {"placement": NOWHERE} | ({"clustering": {"replicas": 1}} if role.quorum else {})
        for role in registry.CONTROLLER_ROLES
    }
    roles["mariadb"] = {"clustering": {"replicas": 1}, **mariadb}
    return resource("CloudController", name, {"roles": roles, **spec})

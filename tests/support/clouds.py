"""Clouds for tests: as declared, and as the registry's roles make them."""

from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.roles import registry
from stackroles.roles.resolve import resolve_cloud
from stackroles.workloads.manifests.agents import agent_sources

Object = dict[str, Any]
# This one is part of rendered files, which shall not change with it.
AGENTS = {**agent_sources(), "known_addresses.py": "..."}


def controller(**spec: Any) -> Object:
    """Return a CloudController as the API server would serve it."""
    return {
        "apiVersion": "stackroles.io/v1alpha1",
        "kind": "CloudController",
        "metadata": {
            "name": "demo",
            "namespace": "ns",
            "uid": "uid-demo",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        },
        "spec": spec,
    }


def cloud(resource: Object | None = None, **spec: Any) -> Cloud:
    """Return the cloud that a resource, or just a spec, declares."""
    return resolve_cloud(
        resource or controller(**spec),
        registry.CONTROLLER_ROLES,
        registry.SERVICES,
        image_registry="registry.test/stackroles",
        image_tags={"default": "1"},
        agents=AGENTS,
    )


def counted(start: int = 0) -> Any:
    """Return a source of bytes for keys that is the same at every run."""
    state = [start]

    def draw(count: int) -> bytes:
        state[0] += 1
        return (state[0]).to_bytes(4, "big").rjust(count, b"\0")[-count:]

    return draw

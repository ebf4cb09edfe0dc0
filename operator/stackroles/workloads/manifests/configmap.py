"""Immutable ConfigMaps, named by the hash of what they hold."""

from collections.abc import Mapping

from stackroles.config.owner import Owner
from stackroles.workloads.manifests.agents import config_map_data
from stackroles.workloads.manifests.metadata import Manifest, labels, metadata
from stackroles.workloads.manifests.rendering import Rendering, file_key


def build_config_map(owner: Owner, name: str, service: str, rendering: Rendering) -> Manifest:
    """Return the ConfigMap with the files of a role or step, which must have some.

    A change makes a new one beside it: a pod that restarts during a roll finds the files it was
    made with.
    """
    if rendering.config_map is None:
        raise ValueError(f"{name} renders no files")
    data = {file_key(path): text for path, text in rendering.files.items()}
    return _immutable(owner, rendering.config_map, labels(owner, name, service), data)


def build_agents_config_map(owner: Owner, rendering: Rendering) -> Manifest:
    """Return the ConfigMap with the agents of a role or step, which must have some.

    Those that need the same agents share it.
    """
    if rendering.agents_map is None:
        raise ValueError("no agents are mounted")
    own_labels = labels(owner, "agents", "agents")
    return _immutable(owner, rendering.agents_map, own_labels, config_map_data(rendering.agents))


def _immutable(
    owner: Owner, name: str, child_labels: Mapping[str, str], data: dict[str, str]
) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(owner, name, child_labels),
        "immutable": True,
        "data": data,
    }

"""What a backup copies: the member it reads from, and what its set holds besides the databases."""

from collections.abc import Mapping
from typing import Any

from stackroles import __version__, naming
from stackroles.addresses import pod_address
from stackroles.agents.backup.protocol import RESOURCES_FILE, STATE_FILE, VERSIONS_FILE, Versions
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_OWNER_KIND, LABEL_PART_OF
from stackroles.domains.backup.decide import SourceCandidate
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.roles.mariadb import NAME
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.pod import is_ready


async def read_inputs(context: Context, cloud: Cloud) -> Mapping[str, Any]:
    """Return the JSON that a run puts into its set, by file. No secrets."""
    kinds = ("CloudController", "ComputePool", "BackupPolicy")
    resources = [
        {
            "apiVersion": found["apiVersion"],
            "kind": kind,
            "metadata": {
                key: found["metadata"][key]
                for key in ("name", "namespace", "labels", "annotations")
                if key in found["metadata"]
            },
            "spec": found.get("spec", {}),
        }
        for kind in kinds
        for found in context.cluster.list(kind, cloud.namespace)
        if cloud.name in (found["metadata"]["name"], found.get("spec", {}).get("controller"))
    ]
    state = await context.cluster.read_config_map(cloud.namespace, naming.state(cloud.name))
    images = {
        role.name: cloud.image(role.image, cloud.settings(role.name).image)
        for role in registry.CONTROLLER_ROLES
    }
    versions = Versions(operator=__version__, release=cloud.spec.release, images=images)
    return {RESOURCES_FILE: resources, STATE_FILE: state or {}, VERSIONS_FILE: versions}


def list_secrets(context: Context, cloud: Cloud) -> tuple[str, ...]:
    """Return the names of the Secrets that belong to the cloud."""
    owned = {LABEL_PART_OF: cloud.name, LABEL_OWNER_KIND: "CloudController"}
    found = context.cluster.list("Secret", cloud.namespace, owned)
    return tuple(sorted(secret["metadata"]["name"] for secret in found))


def list_members(context: Context, cloud: Cloud) -> tuple[SourceCandidate, ...]:
    """Return the database members as the cluster shows them."""
    return tuple(
        SourceCandidate(
            name=pod["metadata"]["name"],
            address=pod_address(pod),
            ready=is_ready(pod),
        )
        for pod in context.cluster.list("Pod", cloud.namespace, selector(cloud, NAME))
    )

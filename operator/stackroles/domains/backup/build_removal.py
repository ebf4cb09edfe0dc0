"""The Job that removes a deleted Backup's recovery set from its repository."""

from collections.abc import Mapping

from stackroles import naming
from stackroles.agents.backup.protocol import RemovalSettings
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_REPOSITORY
from stackroles.workloads.manifests.agents import closure, config_map_data
from stackroles.workloads.manifests.metadata import Manifest, metadata
from stackroles.workloads.recovery_set.pod import RunParent, build_pod
from stackroles.workloads.recovery_set.repository import (
    Volumes,
    agent_container,
    beside_repository,
    repository_environment,
    repository_id,
)
from stackroles.workloads.recovery_set.users import REMOVAL

PROGRAM = "backup.removal"
"""The agent that a removal is, below the package of agents."""
TRIES = 3
# Each try ends by its own stall limits; this is for a pod that does not even begin.
DEADLINE_SECONDS = 1200


def removal_name(backup: str) -> str:
    """Return the name of the Job of a Backup's removal."""
    return naming.child(backup, REMOVAL)


def build_removal(
    cloud: Cloud, parent: RunParent, policy_name: str, policy: BackupPolicySpec
) -> list[Manifest]:
    """Return the ConfigMap with the program, and the Job that runs it."""
    program, volumes = _build_program(parent, cloud.agents), Volumes()
    volumes.add_agents(program["metadata"]["name"], closure([PROGRAM], cloud.agents))
    volumes.add_repository(policy, policy_name)
    settings = RemovalSettings(name=parent.name, policy=policy_name)
    main = agent_container(REMOVAL, PROGRAM, settings)
    pod = build_pod(cloud, (main,), volumes.volumes, volumes.mounts, policy.resources)
    pod |= beside_repository(parent.namespace, policy_name, policy)
    pod["containers"][0]["env"] += repository_environment(cloud, policy)
    repository = repository_id(parent.namespace, policy_name, policy)
    labels = parent.labels(REMOVAL) | {LABEL_REPOSITORY: repository}
    return [
        program,
        {
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": metadata(parent, removal_name(parent.name), labels),
            "spec": {
                "backoffLimit": TRIES - 1,
                "activeDeadlineSeconds": DEADLINE_SECONDS,
                "template": {"metadata": {"labels": labels}, "spec": pod},
            },
        },
    ]


def _build_program(parent: RunParent, agents: Mapping[str, str]) -> Manifest:
    data = config_map_data(closure([PROGRAM], agents))
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": parent.metadata(naming.config(parent.name, REMOVAL, data), REMOVAL),
        "immutable": True,
        "data": data,
    }

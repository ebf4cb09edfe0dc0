"""The Job that copies a recovery set into another repository."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from stackroles import naming
from stackroles.agents import wire
from stackroles.agents.backup.protocol import RETENTION_FILE, CopySettings, RetentionInput
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec, RepositoryCopy
from stackroles.api.v1alpha1.common import Resources
from stackroles.api.v1alpha1.repository import Repository
from stackroles.config.cloud import Cloud
from stackroles.constants import (
    ANNOTATION_BACKUP,
    ANNOTATION_CONFIG_MAPS,
    LABEL_COPY_REPOSITORY,
    LABEL_REPOSITORY,
)
from stackroles.workloads.manifests.agents import closure, config_map_data
from stackroles.workloads.manifests.metadata import Manifest, metadata
from stackroles.workloads.recovery_set.pod import RunParent, build_pod
from stackroles.workloads.recovery_set.repository import (
    Place,
    Volumes,
    agent_container,
    beside_repository,
    items,
    repository_environment,
    repository_id,
)
from stackroles.workloads.recovery_set.users import COPY

PROGRAM: Final = "backup.copy"
"""The agent that a copy is, below the package of agents."""
_INPUTS: Final = "/backup/inputs"
# Two programs share the container's memory.
_SHARE: Final = 5
_DESTINATION = Place(sixteenths=_SHARE)
# The names of its variables: agents/backup/copy.py.
_SOURCE = Place(
    volume="/source",
    files="/backup/source",
    volumes="source-",
    variables="SOURCE_",
    sixteenths=_SHARE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyAccess:
    """How the repository of a copy is used: a RepositoryAccess."""

    repository: Repository
    encryption_secret: str
    resources: Resources


def access_of(policy: BackupPolicySpec, item: RepositoryCopy) -> CopyAccess:
    """Return how a copy's repository is used."""
    return CopyAccess(
        repository=item.repository,
        encryption_secret=item.encryption_secret or policy.encryption_secret,
        resources=policy.resources,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyRun:
    """One copy of a set.

    Attributes:
        name: of the Job.
        backup: whose set is copied.
        retention: what stays in the repository of the copy.
    """

    name: str
    backup: str
    retention: RetentionInput


def build_copy(
    cloud: Cloud,
    parent: RunParent,
    policy: BackupPolicySpec,
    item: RepositoryCopy,
    run: CopyRun,
) -> list[Manifest]:
    """Return the ConfigMap with the program and its input, and the Job (last).

    A failed pod fails the copy: the operator tries again, once the repositories are free.
    """
    inputs, volumes, access = _build_inputs(cloud, parent, run), Volumes(), access_of(policy, item)
    name = inputs["metadata"]["name"]
    volumes.add("inputs", _INPUTS, {"configMap": {"name": name, "items": items(RETENTION_FILE)}})
    volumes.add_agents(name, closure([PROGRAM], cloud.agents))
    volumes.add_repository(access, parent.name, _DESTINATION)
    volumes.add_repository(policy, parent.name, _SOURCE)
    settings = CopySettings(name=run.backup, policy=parent.name, inputs=_INPUTS)
    main = agent_container(COPY, PROGRAM, settings)
    pod = build_pod(cloud, (main,), volumes.volumes, volumes.mounts, policy.resources)
    pod |= beside_repository(parent.namespace, parent.name, policy)
    pod["containers"][0]["env"] += [
        *repository_environment(cloud, access, _DESTINATION),
        *repository_environment(cloud, policy, _SOURCE),
    ]
    labels = parent.labels(COPY) | {
        LABEL_REPOSITORY: repository_id(parent.namespace, parent.name, policy),
        LABEL_COPY_REPOSITORY: repository_id(parent.namespace, parent.name, access),
    }
    job: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(parent, run.name, labels)
        | {"annotations": {ANNOTATION_BACKUP: run.backup, ANNOTATION_CONFIG_MAPS: name}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": policy.deadline_seconds,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    return [inputs, job]


def _build_inputs(cloud: Cloud, parent: RunParent, run: CopyRun) -> Manifest:
    data: Mapping[str, str] = {
        **config_map_data(closure([PROGRAM], cloud.agents)),
        RETENTION_FILE: wire.dumps(run.retention, sort_keys=True),
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": parent.metadata(naming.config(parent.name, COPY, data), COPY),
        "immutable": True,
        "data": dict(data),
    }

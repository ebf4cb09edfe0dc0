"""StatefulSets, Deployments and DaemonSets."""

from typing import Any

from stackroles.config.owner import Owner
from stackroles.roles.definition import RoleDefinition, Workload
from stackroles.workloads.manifests.metadata import (
    Manifest,
    labels,
    metadata,
    owner_reference,
    ownerless,
    selector,
)
from stackroles.workloads.manifests.pod import build_pod_template, shared_claim
from stackroles.workloads.manifests.rendering import Rendering

HISTORY = 3


def build_workload(owner: Owner, role: RoleDefinition, rendering: Rendering) -> Manifest:
    """Return the workload of a role, of the kind that the role names."""
    match role.workload:
        case Workload.STATEFUL_SET:
            return build_stateful_set(owner, role, rendering)
        case Workload.DEPLOYMENT:
            return build_deployment(owner, role, rendering)
        case Workload.DAEMON_SET:
            return build_daemon_set(owner, role, rendering)


def build_stateful_set(owner: Owner, role: RoleDefinition, rendering: Rendering) -> Manifest:
    """Return a StatefulSet; its volumes outlive it.

    Also with `deletionPolicy: Delete`: they go with the resource, in its teardown. A StatefulSet
    alone may be deleted to be made again, and must never take the data along.
    """
    spec: dict[str, Any] = {
        "replicas": owner.members_of(role.name),
        "serviceName": owner.workload(role.name),
        "podManagementPolicy": "Parallel" if role.parallel else "OrderedReady",
        "updateStrategy": {"type": role.update_strategy},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
    }
    if role.volume:
        spec["volumeClaimTemplates"] = [build_claim_template(owner, role)]
    return _workload(owner, role, rendering, spec)


def build_deployment(owner: Owner, role: RoleDefinition, rendering: Rendering) -> Manifest:
    """Return a Deployment that takes no pod away before its successor is ready."""
    strategy = {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
    }
    return _workload(
        owner,
        role,
        rendering,
        {"replicas": owner.members_of(role.name), "strategy": strategy},
    )


def build_daemon_set(owner: Owner, role: RoleDefinition, rendering: Rendering) -> Manifest:
    """Return a DaemonSet; which nodes it runs on follows from the role's node selector."""
    return _workload(owner, role, rendering, {"updateStrategy": {"type": role.update_strategy}})


def build_claim_template(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return the claim of each member's volume, as the user declared it or the role's default."""
    if role.volume is None:
        raise ValueError(f"{role.name} has no volume")
    settings = owner.settings(role.name)
    spec: dict[str, Any] = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": settings.storage_size or role.volume.size}},
    }
    if settings.storage_class:
        spec["storageClassName"] = settings.storage_class
    return {
        "metadata": {
            "name": role.volume.claim,
            "labels": ownerless(labels(owner, role.name, role.service)),
        },
        "spec": spec,
    }


def build_shared_claim(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return the claim that all members of an ActivePassive role mount."""
    template = build_claim_template(owner, role)
    template["spec"]["accessModes"] = [owner.settings(role.name).access_mode.value]
    name = shared_claim(owner, role)
    meta = metadata(owner, name, labels(owner, role.name, role.service), keep=True)
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": meta,
        "spec": template["spec"],
    }


def _workload(
    owner: Owner, role: RoleDefinition, rendering: Rendering, spec: dict[str, Any]
) -> Manifest:
    meta = metadata(owner, owner.workload(role.name), labels(owner, role.name, role.service))
    meta["ownerReferences"] = [owner_reference(owner)]
    return {
        "apiVersion": "apps/v1",
        "kind": role.workload.value,
        "metadata": meta,
        "spec": {
            **spec,
            "selector": {"matchLabels": selector(owner, role.name)},
            "revisionHistoryLimit": HISTORY,
            "template": build_pod_template(owner, role, rendering),
        },
    }

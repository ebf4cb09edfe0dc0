"""What a Restore is about: its recovery set, and the cloud that this is of."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.backup import BackupStatus
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.common import parse_spec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.restore import RecoverySet, RestoreSpec
from stackroles.domains.restore.point_in_time import newest_before
from stackroles.domains.restore.reconcile_former import (
    NamedRepository,
    access_of,
    find_former,
    read_identity,
)
from stackroles.domains.restore.waiting import Waiting, lacks, waits_for
from stackroles.domains.restore.work import Source, Subject
from stackroles.reconcile.blocked import attribute_to
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import find_access_problem
from stackroles.workloads.recovery_set.repository import RepositoryAccess

Object = dict[str, Any]


def find_cloud(context: Context, namespace: str, name: str) -> Subject:
    """Return the cloud that a Restore is about.

    Raises:
        Waiting: it is not there.
        SpecInvalid: its spec is not valid.
    """
    controller = context.cluster.get("CloudController", namespace, name)
    if controller is None:
        raise _gone(name, namespace)
    with attribute_to(controller):
        cloud = cloud_of(context, controller)
    return Subject(controller=controller, cloud=cloud)


async def find_subject(context: Context, resource: Object, spec: RestoreSpec) -> Subject:
    """Return what a Restore is about.

    Raises:
        Waiting: something of it is not there, or cannot be used.
        SpecInvalid: the spec of one of them is not valid.
    """
    namespace = resource["metadata"]["namespace"]
    name, policy_name, copied_at = _source(context, resource, spec)
    access, controller = _access(context, namespace, spec, policy_name)
    problem = await find_access_problem(context, namespace, policy_name, access)
    if problem:
        raise waits_for(problem)
    source = Source(name=name, copied_at=copied_at, policy_name=policy_name, access=access)
    controller = controller or (resource.get("status") or {}).get("controller")
    if controller and exists(context, namespace, controller):
        return replace(find_cloud(context, namespace, controller), found=source)
    if not isinstance(access, NamedRepository):
        raise _gone(str(controller), namespace)
    manifest = await read_identity(context, resource, source)
    source = replace(source, name=manifest.name)
    if exists(context, namespace, manifest.cloud):
        return replace(find_cloud(context, namespace, manifest.cloud), found=source)
    return await find_former(context, resource, source, manifest)


def _gone(name: str, namespace: str) -> Waiting:
    return lacks(
        Reason.CONTROLLER_MISSING,
        f"CloudController {name} does not exist in {namespace}: apply it; or, to have it made as "
        "the recovery set has it, apply a Restore that names the repository in "
        "spec.recoverySet.repository.",
    )


def exists(context: Context, namespace: str, controller: str) -> bool:
    """Return whether there is a CloudController of a name."""
    return context.cluster.get("CloudController", namespace, controller) is not None


def _access(
    context: Context, namespace: str, spec: RestoreSpec, policy_name: str
) -> tuple[RepositoryAccess, str | None]:
    """Return how the repository is used, and the CloudController, None where the set says it."""
    if named := access_of(spec.recovery_set):
        return named, None
    policy_object = context.cluster.get("BackupPolicy", namespace, policy_name)
    if policy_object is None:
        raise lacks(
            Reason.POLICY_MISSING,
            f"BackupPolicy {policy_name}, which names the repository, does not exist in "
            f"{namespace}: apply it, or name the repository in spec.recoverySet.",
        )
    with attribute_to(policy_object):
        policy = parse_spec(BackupPolicySpec, policy_object)
    return policy, policy.controller


def _set_before(context: Context, namespace: str, recovery_set: RecoverySet, at: datetime) -> str:
    """Return the newest Backup of a policy that was completed by a time.

    Raises:
        Waiting: there is none.
    """
    policy = recovery_set.policy
    name = newest_before(context.cluster.naming("Backup", namespace, "policy", policy), at)
    if name is None or recovery_set.repository is not None:
        raise lacks(
            Reason.RESTORE_BACKUP_MISSING,
            f"No verified Backup of BackupPolicy {policy} in {namespace} was completed by "
            f"{at:%Y-%m-%d %H:%M:%S %Z}, spec.pointInTime, whose repository the Restore does not "
            "name itself: name the set in the recoverySet of a new Restore, or choose a later "
            "time.",
        )
    return name


def _source(
    context: Context, resource: Object, spec: RestoreSpec
) -> tuple[str, str, datetime | None]:
    """Return the set, its policy, and when it was begun, None where its Backup is not there."""
    namespace, status = resource["metadata"]["namespace"], resource.get("status") or {}
    if spec.recovery_set is not None:
        # Once it has begun, the newest set is another one whenever a backup is made.
        name = spec.recovery_set.name or status.get("recoverySet") or ""
        if not name and spec.point_in_time is not None:
            name = _set_before(context, namespace, spec.recovery_set, spec.point_in_time)
        return name, spec.recovery_set.policy, None
    backup = context.cluster.get("Backup", namespace, str(spec.backup))
    if backup is None:
        raise lacks(
            Reason.RESTORE_BACKUP_MISSING,
            f"Backup {spec.backup} does not exist in {namespace}: kubectl get backups lists those "
            "that do; a set without a Backup is named by spec.recoverySet.",
        )
    status = BackupStatus.model_validate(backup.get("status") or {})
    if not status.verified or status.started_at is None:
        raise lacks(
            Reason.RESTORE_BACKUP_MISSING,
            f"Backup {spec.backup} has no verified recovery set (see its conditions): restore one "
            "that has.",
        )
    return str(spec.backup), backup["spec"]["policy"], status.started_at

"""What a Restore is about, and whether it has all that it needs; nothing is stopped by it."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from stackroles.agents.backup.reader_protocol import Manifest
from stackroles.api.v1alpha1.backup import BackupPolicySpec, BackupStatus
from stackroles.api.v1alpha1.common import parse_spec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.api.v1alpha1.restore import Preflight, RestoreSpec
from stackroles.config.cloud import Cloud
from stackroles.domains.restore.build import member_claim
from stackroles.domains.restore.phases import Phase
from stackroles.domains.restore.preflight import Observed, assess
from stackroles.domains.restore.reconcile_reader import end_reader, read_set
from stackroles.domains.restore.status import (
    another,
    blocked,
    checked,
    consent_required,
    running,
)
from stackroles.domains.restore.work import Source, Subject
from stackroles.reconcile.blocked import attribute_to, missing_controller
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import find_claim_problem, find_secret_problem
from stackroles.roles import mariadb
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.metadata import selector
from stackroles.workloads.pod import is_ready
from stackroles.workloads.restoring import RestoreRecord

Object = dict[str, Any]
_SOON: Final = 2.0
_LATER: Final = 15.0


class Waiting(Exception):  # noqa: N818 - what happened
    """The restore does not begin yet; says what that waits for.

    Attributes:
        complete: how the restore stands.
        reconciled: what is wrong with what it refers to, None where nothing is.
        again: seconds until it is looked at again; 0 where only a change of the spec helps.
        found: fields of the status.
    """

    def __init__(
        self,
        complete: Finding,
        *,
        reconciled: Finding | None = None,
        again: float = 0.0,
        found: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(complete.message)
        self.complete, self.reconciled, self.again = complete, reconciled, again
        self.found = dict(found or {})


def find_cloud(context: Context, namespace: str, name: str) -> Subject:
    """Return the cloud that a Restore is about.

    Raises:
        Waiting: it is not there.
        SpecInvalid: its spec is not valid.
    """
    controller = context.cluster.get("CloudController", namespace, name)
    if controller is None:
        raise _waits_for(missing_controller(name, namespace))
    with attribute_to(controller):
        cloud = cloud_of(context, controller)
    return Subject(controller=controller, cloud=cloud)


async def find_subject(context: Context, resource: Object, spec: RestoreSpec) -> Subject:
    """Return what a Restore is about.

    Raises:
        Waiting: something of it is not there, or cannot be used.
        SpecInvalid: the spec of one of them is not valid.
    """
    cluster, namespace = context.cluster, resource["metadata"]["namespace"]
    name, policy_name, copied_at = _source(context, namespace, spec)
    policy_object = cluster.get("BackupPolicy", namespace, policy_name)
    if policy_object is None:
        raise _lacks(
            Reason.POLICY_MISSING,
            f"BackupPolicy {policy_name}, which names the repository, does not exist in "
            f"{namespace}: apply it.",
        )
    with attribute_to(policy_object):
        policy = parse_spec(BackupPolicySpec, policy_object)
    found = find_cloud(context, namespace, policy.controller)
    problem = await find_secret_problem(context, namespace, policy)
    problem = problem or await find_claim_problem(context, namespace, policy_name, policy)
    if problem:
        raise _waits_for(problem)
    source = Source(
        name=name,
        copied_at=copied_at,
        policy_name=policy_name,
        policy=policy,
    )
    return replace(found, found=source)


def _source(
    context: Context, namespace: str, spec: RestoreSpec
) -> tuple[str, str, datetime | None]:
    """Return the set, its policy, and when it was begun, None where its Backup is not there."""
    if spec.recovery_set is not None:
        return spec.recovery_set.name, spec.recovery_set.policy, None
    backup = context.cluster.get("Backup", namespace, str(spec.backup))
    if backup is None:
        raise _lacks(
            Reason.RESTORE_BACKUP_MISSING,
            f"Backup {spec.backup} does not exist in {namespace}: kubectl get backups lists those "
            "that do; a set without a Backup is named by spec.recoverySet.",
        )
    status = BackupStatus.model_validate(backup.get("status") or {})
    if not status.verified or status.started_at is None:
        raise _lacks(
            Reason.RESTORE_BACKUP_MISSING,
            f"Backup {spec.backup} has no verified recovery set (see its conditions): restore one "
            "that has.",
        )
    return str(spec.backup), backup["spec"]["policy"], status.started_at


async def check(
    context: Context,
    resource: Object,
    spec: RestoreSpec,
    subject: Subject,
    record: RestoreRecord | None,
) -> Preflight:
    """Return what the restore would do; it may begin.

    Raises:
        Waiting: something is missing, or only this was asked for.
    """
    if record is not None and not record.ended:
        raise Waiting(another(record.name), again=_LATER)
    if writer := _run_at_work(context, resource, subject.source.policy_name):
        waits = f"Backup {writer} writes the repository; it ends first."
        raise Waiting(running(Phase.PREFLIGHT, waits), again=_LATER)
    manifest, why = await read_set(context, resource, subject.cloud, subject.source)
    if manifest is None:
        raise Waiting(running(Phase.PREFLIGHT, why), again=_SOON)
    capacity = _capacity(context, subject.cloud)
    found = assess(
        Observed(
            cloud=subject.cloud,
            manifest=manifest,
            copied_at=began_at(manifest, subject.source),
            capacity=capacity,
            away=_away(context, subject.cloud),
        )
    )
    status = {"preflight": found}
    if found.missing:
        raise Waiting(blocked(found), again=_LATER, found=status)
    if spec.dry_run:
        await end_reader(context, resource)
        raise Waiting(checked(found), found=status)
    if spec.overwrite != subject.cloud.name:
        # It holds the repository's volume, on one node, for as long as the user thinks.
        await end_reader(context, resource)
        raise Waiting(consent_required(found, subject.cloud.name), found=status)
    return found


def _run_at_work(context: Context, resource: Object, policy: str) -> str:
    """Return the Backup whose run is at work: its retention may remove the very set."""
    namespace = resource["metadata"]["namespace"]
    for backup in context.cluster.naming("Backup", namespace, "policy", policy):
        status = backup.get("status") or {}
        if status.get("startedAt") and not status.get("completedAt"):
            return str(backup["metadata"]["name"])
    return ""


def _away(context: Context, cloud: Cloud) -> dict[str, str]:
    """Return the nodes of database members that are not ready, by pod."""
    found = {}
    for pod in context.cluster.list("Pod", cloud.namespace, selector(cloud, mariadb.NAME)):
        node = pod.get("spec", {}).get("nodeName")
        if node and not is_ready(context.cluster.get("Node", "", node) or {}):
            found[pod["metadata"]["name"]] = node
    return found


def _capacity(context: Context, cloud: Cloud) -> dict[str, str | None]:
    """Return the sizes of the volumes of all database members, by claim."""
    found: dict[str, str | None] = {}
    for ordinal in range(cloud.replicas[mariadb.NAME]):
        name = member_claim(cloud, ordinal)
        claim = context.cluster.get("PersistentVolumeClaim", cloud.namespace, name)
        size = (claim or {}).get("status", {}).get("capacity", {}).get("storage", "")
        found[name] = size if claim is not None else None
    return found


def began_at(manifest: Manifest, source: Source) -> datetime | None:
    """Return when a set was begun, as it says itself, or as its Backup does."""
    if manifest.time:
        return datetime.fromisoformat(manifest.time)
    return source.copied_at


def _waits_for(problem: Finding) -> Waiting:
    """Return what a Restore waits for: a finding about what it refers to, whatever its kind."""
    waits = Finding(Reason.RESTORE_BLOCKED, problem.message)
    about_spec = problem if problem.reason.type.value == "Reconciled" else None
    return Waiting(waits, reconciled=about_spec, again=_LATER)


def _lacks(reason: Reason, message: str) -> Waiting:
    return _waits_for(Finding(reason, message))

"""The end of a Backup: its recovery set goes with it, unless its policy keeps it."""

from datetime import datetime, timedelta
from typing import Any, NoReturn

from stackroles import naming
from stackroles.api.v1alpha1.backup import BackupStatus
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.common import DeletionPolicy, dump, parse_spec
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.config.cloud import Cloud
from stackroles.constants import FINALIZER
from stackroles.domains.backup.build import COMPONENT
from stackroles.domains.backup.build_removal import TRIES, build_removal, removal_name
from stackroles.domains.backup.decide import leaves_set
from stackroles.domains.backup.reconcile_queue import (
    policy_run,
    restore_before,
    runs_of_policy,
    writer_of,
)
from stackroles.errors import NotReady, SpecInvalid
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import find_access_problem, start_lock
from stackroles.reconcile.teardown import namespace_ends
from stackroles.workloads.conditions import Finding, build_condition
from stackroles.workloads.pod import failure_message
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.recovery_set.users import RUN
from stackroles.workloads.step import ending_of

Object = dict[str, Any]
# A removal that has not begun by then does not hold up the deletion any more.
_PATIENCE = timedelta(hours=1)
_LOOK_AGAIN = 5.0
_UNDER_WAY = "Its recovery set is being removed from the repository."


class _Left(Exception):  # noqa: N818 - what becomes of the set
    """The set stays in the repository; says why. "" where nobody has to know."""


async def reconcile_removal(context: Context, resource: Object) -> None:
    """Remove a deleted Backup's recovery set, then let the Backup go.

    A repository that is not to be had does not keep the Backup: the set is left, and an Event of
    the policy says so.
    """
    if FINALIZER not in (resource["metadata"].get("finalizers") or ()):
        return
    try:
        await _remove(context, resource)
    except _Left as left:
        if str(left):
            await _report_left(context, resource, str(left))
    context.forget(ref_of(resource))
    await context.cluster.set_finalizer(resource, present=False)


async def _remove(context: Context, resource: Object) -> None:
    """Return once the set is gone; raises _Left where it stays, NotReady until one is known."""
    metadata, policy_name = resource["metadata"], resource["spec"]["policy"]
    namespace, name = metadata["namespace"], metadata["name"]
    await _end_run(context, resource)
    runs = runs_of_policy(context, namespace, policy_name)
    if not resource.get("status", {}).get("startedAt") or not leaves_set(
        policy_run(resource), runs
    ):
        return
    job = context.cluster.get("Job", namespace, removal_name(name))
    if job is None:
        await _start(context, resource)
    ending = ending_of(job or {})
    if not ending:
        await _wait(context, resource, _UNDER_WAY)
    if ending["type"] == "Failed":
        pods = context.cluster.owned(job or {}, "Pod")
        failure = next((failure for pod in pods if (failure := failure_message(pod))), "")
        raise _Left(f"its removal failed {TRIES} times, or did not end in time. {failure}")


async def _end_run(context: Context, resource: Object) -> None:
    """End the run of a Backup that is deleted; raises NotReady until its pods are gone."""
    metadata = resource["metadata"]
    job = context.cluster.get("Job", metadata["namespace"], naming.child(metadata["name"], RUN))
    if job is None or job not in context.cluster.owned(resource, "Job"):
        return
    pods = [
        pod
        for pod in context.cluster.owned(job, "Pod")
        if pod.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    ]
    if not ending_of(job) and not job["metadata"].get("deletionTimestamp"):
        await context.cluster.delete(job)
    if pods:
        await _wait(context, resource, "Its run is being ended.")


async def _start(context: Context, resource: Object) -> NoReturn:
    """Start the removal once no run writes the repository; raises _Left where it cannot be."""
    policy_name = resource["spec"]["policy"]
    policy, cloud = await _repository_of(context, resource)
    if restore := await restore_before(context, cloud, ""):
        await _wait(context, resource, f"Restore {restore} reads the repository; it ends first.")
    async with start_lock(context):
        if other := writer_of(context, resource, policy):
            _check_patience(context, resource, other)
            why = f"{other[:1].upper()}{other[1:]} works with the repository; it ends first."
            await _wait(context, resource, why)
        parent = RunParent.of(resource, cloud.name, COMPONENT)
        for child in build_removal(cloud, parent, policy_name, policy):
            await context.cluster.create_once(child, resource)
    await _wait(context, resource, _UNDER_WAY)


async def _repository_of(context: Context, resource: Object) -> tuple[BackupPolicySpec, Cloud]:
    """Return what says where the set is, and the cloud whose images remove it; raises _Left."""
    namespace, name = resource["metadata"]["namespace"], resource["spec"]["policy"]
    found = context.cluster.get("BackupPolicy", namespace, name)
    if found is None:
        raise _Left(f"BackupPolicy {name}, which names the repository, is gone.")
    try:
        policy = parse_spec(BackupPolicySpec, found)
        if policy.deletion_policy is DeletionPolicy.RETAIN:
            raise _Left("")
        controller = context.cluster.get("CloudController", namespace, policy.controller)
        if controller is None:
            raise _Left(f"CloudController {policy.controller}, whose images would do it, is gone.")
        cloud = cloud_of(context, controller)
    except SpecInvalid as error:
        raise _Left(f"a spec is not valid: {error}") from error
    if problem := await find_access_problem(context, namespace, name, policy):
        raise _Left(problem.message)
    if await namespace_ends(context, resource):
        raise _Left(f"namespace {namespace} is being deleted.")
    return policy, cloud


def _check_patience(context: Context, resource: Object, other: str) -> None:
    since = datetime.fromisoformat(resource["metadata"]["deletionTimestamp"])
    if context.clock.now() - since > _PATIENCE:
        raise _Left(f"{other} has worked with the repository for more than an hour.")


async def _wait(context: Context, resource: Object, why: str) -> NoReturn:
    """Say what a deletion waits for; raises NotReady."""
    status = BackupStatus.model_validate(resource.get("status", {}))
    generation = resource["metadata"].get("generation", 0)
    known = {condition.type: condition for condition in status.conditions}
    kind = ConditionType.RECONCILED
    at = (generation, context.clock.now())
    condition = build_condition(kind, Finding(Reason.DELETING, why), known.get(kind.value), at)
    conditions = (*(c for c in status.conditions if c.type != kind.value), condition)
    await context.cluster.patch_status(
        resource, dump(status.model_copy(update={"conditions": conditions}))
    )
    raise NotReady(why, delay=_LOOK_AGAIN)


async def _report_left(context: Context, resource: Object, why: str) -> None:
    """Say on the policy, which stays, that a set has no Backup any more."""
    metadata, policy_name = resource["metadata"], resource["spec"]["policy"]
    about = context.cluster.get("BackupPolicy", metadata["namespace"], policy_name) or resource
    await context.cluster.event(
        about,
        "Warning",
        "RecoverySetLeft",
        f"The recovery set of the deleted Backup {metadata['name']} stays in the repository: {why} "
        "It counts for the policy's keep fields until newer sets have taken its place; to remove "
        "it at once: "
        f"restic forget --prune the snapshots with the tag set={metadata['name']}.",
    )

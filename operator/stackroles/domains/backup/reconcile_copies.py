"""Copies of a policy's newest set in other repositories: started in turn, and taken over."""

from typing import Any

from stackroles import naming
from stackroles.agents.backup.protocol import RetentionInput
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec, RepositoryCopy
from stackroles.api.v1alpha1.backup_policy_status import BackupPolicyStatus, CopyStatus
from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_BACKUP, LABEL_COPY_REPOSITORY, LABEL_REPOSITORY
from stackroles.domains.backup.build import COMPONENT
from stackroles.domains.backup.build_copy import CopyRun, access_of, build_copy
from stackroles.domains.backup.copies import ended, is_due
from stackroles.domains.backup.outcome import (
    awaits_pod,
    failure_text,
    read_outcome,
    termination_text,
)
from stackroles.domains.backup.reconcile_jobs import clean_jobs
from stackroles.domains.backup.reconcile_queue import restore_before, retention_rules
from stackroles.domains.backup.verify import newest_verified
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import (
    find_access_problem,
    start_lock,
    user_of,
)
from stackroles.workloads.pod import first_finding
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.recovery_set.repository import repository_id
from stackroles.workloads.recovery_set.users import COPY
from stackroles.workloads.step import ending_of

Object = dict[str, Any]


def is_copying(status: BackupPolicyStatus) -> bool:
    """Return whether a copy is under way, waits or failed, so that it is looked at again."""
    return any(found.running or found.waits or found.failed for found in status.copies)


async def run_copies(
    context: Context,
    resource: Object,
    cloud: Cloud,
    policy: BackupPolicySpec,
    status: BackupPolicyStatus,
) -> BackupPolicyStatus:
    """Take over what ended, and start what is due; return the policy's status.

    Raises:
        ClusterError: something was refused; the next pass tries again.
    """
    known = {found.name: found for found in status.copies}
    results = []
    for item in policy.copies:
        found = known.get(item.name) or CopyStatus(name=item.name)
        if found.running:
            found = _track(context, resource, found)
        if not found.running:
            found = await _start_due(context, resource, cloud, (policy, item), found)
        results.append(found)
    # The last one of each copy stays for its log.
    named = {found.job for found in (*status.copies, *results)}
    await clean_jobs(context, resource, COPY, named)
    return status.model_copy(update={"copies": tuple(results)})


def _track(context: Context, resource: Object, known: CopyStatus) -> CopyStatus:
    """Return what became of a copy that was started."""
    namespace, now = resource["metadata"]["namespace"], context.clock.now()
    job = context.cluster.get("Job", namespace, known.job or "")
    if job is None:
        return ended(known, None, "it was deleted before it ended", now)
    pods, ending = context.cluster.owned(job, "Pod"), ending_of(job)
    if not ending:
        problem = first_finding(pods, now)
        return known.model_copy(update={"waits": problem.message if problem else None})
    if awaits_pod(ending, pods, now):
        return known
    outcome = read_outcome(termination_text(pods, COPY))
    return ended(known, outcome, failure_text(ending, pods), now)


async def _start_due(
    context: Context,
    resource: Object,
    cloud: Cloud,
    wanted: tuple[BackupPolicySpec, RepositoryCopy],
    known: CopyStatus,
) -> CopyStatus:
    """Start the copy of the newest verified set if it is due and can begin."""
    policy, item = wanted
    parent = RunParent.of(resource, cloud.name, COMPONENT)
    newest = newest_verified(
        context.cluster.naming("Backup", parent.namespace, "policy", parent.name)
    )
    if newest is None or not is_due(known, newest["metadata"]["name"], context.clock.now()):
        return _waiting(known, None)
    problem = await _find_problem(context, parent, policy, item)
    if not problem and (restore := await restore_before(context, cloud, "")):
        problem = f"Restore {restore} of this cloud is under way; it ends first."
    if problem:
        return _waiting(known, problem)
    backup = newest["metadata"]["name"]
    run = CopyRun(
        name=naming.child(parent.name, COPY, item.name, backup),
        backup=backup,
        retention=RetentionInput(rules=retention_rules(policy), backups=()),
    )
    async with start_lock(context):
        return await _begin(context, resource, build_copy(cloud, parent, policy, item, run), known)


async def _begin(
    context: Context, resource: Object, children: list[Object], known: CopyStatus
) -> CopyStatus:
    """Make the Job of a copy unless a repository of it is used, or its former one is there."""
    [*_, job] = children
    namespace, name = job["metadata"]["namespace"], job["metadata"]["name"]
    labels, backup = job["metadata"]["labels"], job["metadata"]["annotations"][ANNOTATION_BACKUP]
    begun = known.model_copy(update={"running": backup, "job": name, "waits": None})
    former = context.cluster.get("Job", namespace, name)
    if former is not None and not ending_of(former):
        return begun  # it was started, and not written down
    if user := user_of(context, labels[LABEL_REPOSITORY], labels[LABEL_COPY_REPOSITORY]):
        return _waiting(known, f"{user} works with the repository; it ends first.")
    if former is not None:
        await context.cluster.delete(former)
        return _waiting(known, f"The Job {name} of an earlier try is being removed.")
    for child in children:
        await context.cluster.create_once(child, resource)
    return begun


async def _find_problem(
    context: Context, parent: RunParent, policy: BackupPolicySpec, item: RepositoryCopy
) -> str:
    """Return why a copy cannot begin until a person acts, empty when it can."""
    access, namespace, name = access_of(policy, item), parent.namespace, parent.name
    if repository_id(namespace, name, access) == repository_id(namespace, name, policy):
        return "It names the policy's own repository: name another one."
    for one in (policy, access):
        if problem := await find_access_problem(context, namespace, name, one):
            return problem.message
    return ""


def _waiting(known: CopyStatus, message: str | None) -> CopyStatus:
    return known.model_copy(update={"waits": message})

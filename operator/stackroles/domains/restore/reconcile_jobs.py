"""The Jobs of a restore: made once, and watched until they have ended."""

from dataclasses import dataclass, replace
from typing import Any

from stackroles.constants import LABEL_STEP
from stackroles.domains.restore.build import COMPONENT, MEMBER, READER
from stackroles.kube.apply import check_owner
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import explain_pods
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.pod import failure_message, first_finding
from stackroles.workloads.rejected_pods import lacks_pods
from stackroles.workloads.step import ending_of

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobState:
    """How a Job stands.

    Attributes:
        complete: it ended well.
        failed: why it failed for good; empty while it may still succeed.
        message: what its pod left when it ended well, else why no pod of it runs; may be empty.
        pods: its pods.
    """

    complete: bool = False
    failed: str = ""
    message: str = ""
    pods: tuple[Object, ...] = ()


async def ensure_job(
    context: Context, resource: Object, children: list[Manifest], *, again: bool = False
) -> JobState:
    """Have a Job run, and return how it stands.

    Args:
        context: what a pass is given.
        resource: the Restore.
        children: what the Job needs, and last the Job; made once.
        again: whether one that failed for good is made anew, as what the restore cannot do without.
    """
    cluster, namespace = context.cluster, resource["metadata"]["namespace"]
    name = children[-1]["metadata"]["name"]
    job = cluster.get("Job", namespace, name)
    if job is None or job not in cluster.owned(resource, "Job"):
        await make_once(context, resource, children)
        return JobState()
    state = await _explain(context, job, observe_job(context, job))
    if state.failed and again:
        await end_job(context, resource, name)
    return state


async def make_once(context: Context, resource: Object, children: list[Manifest]) -> None:
    """Make children that are never changed.

    Raises:
        NotReady: one of a deleted Restore of this name is still there, and about to go.
        NotOwned: one belongs to somebody else.
    """
    for child in children:
        seen = context.cluster.get(*ref_of(child))
        if seen is not None:
            check_owner(resource, seen)
    for child in children:
        await context.cluster.create_once(child, resource)


async def find_job(context: Context, resource: Object, name: str) -> JobState | None:
    """Return how a Job of a restore stands, None where it was not made, or is gone."""
    job = context.cluster.get("Job", resource["metadata"]["namespace"], name)
    if job is None or job not in context.cluster.owned(resource, "Job"):
        return None
    return await _explain(context, job, observe_job(context, job))


async def _explain(context: Context, job: Object, state: JobState) -> JobState:
    """Return the state with why a Job gets no pod, which Events alone say: a quota, a policy."""
    now = context.clock.now()
    if state.complete or state.failed or state.message or not lacks_pods(job, state.pods, 1, now):
        return state
    found = await explain_pods(context.cluster, job, state.pods, now)
    return replace(state, message=found.message) if found else state


async def end_job(context: Context, resource: Object, name: str) -> None:
    """Delete a Job; nothing if it goes already."""
    job = context.cluster.get("Job", resource["metadata"]["namespace"], name)
    if job is not None and not job["metadata"].get("deletionTimestamp"):
        await context.cluster.delete(job)


async def release_volumes(context: Context, resource: Object) -> None:
    """Delete the Jobs of a restore that mount a volume: the repository's, or a member's.

    A pod that has ended holds its claim as one that runs does: a member whose claim is deleted
    would never get another one.
    """
    steps = {f"{COMPONENT}.{READER}", f"{COMPONENT}.{MEMBER}"}
    for job in context.cluster.owned(resource, "Job"):
        if job["metadata"].get("labels", {}).get(LABEL_STEP) in steps:
            await end_job(context, resource, job["metadata"]["name"])


def children_for_volumes(context: Context, resource: Object) -> list[Object]:
    """Return what a restore has made to work on members' volumes, none before it has begun to.

    The program is made before its Jobs, and stays when one is deleted to be made again.
    """
    step = f"{COMPONENT}.{MEMBER}"
    made = [c for kind in ("ConfigMap", "Job") for c in context.cluster.owned(resource, kind)]
    return [child for child in made if child["metadata"].get("labels", {}).get(LABEL_STEP) == step]


def observe_job(context: Context, job: Object) -> JobState:
    """Return how a Job stands, by the cache."""
    pods = tuple(context.cluster.owned(job, "Pod"))
    ending = ending_of(job)
    if not ending:
        problem = first_finding(pods, context.clock.now())
        return JobState(message=problem.message if problem else "", pods=pods)
    if ending["type"] == "Complete":
        message = next((text for pod in pods if (text := _message(pod))), "")
        return JobState(complete=True, message=message, pods=pods)
    if runs := [pod["metadata"]["name"] for pod in pods if not has_ended(pod)]:
        # It may go on to write for a while: what follows a failure must not meet it.
        return JobState(message=f"Waiting for {', '.join(sorted(runs))} to end.", pods=pods)
    left = next((text for pod in pods if (text := failure_message(pod))), "")
    why = f"{ref_of(job).name}: {ending.get('message') or ending.get('reason', 'failed')}"
    return JobState(failed=f"Job {why}. {left}".strip(), pods=pods)


def has_ended(pod: Object) -> bool:
    """Return whether a pod's programs have ended for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def _message(pod: Object) -> str:
    """Return what the program of a pod that ended well left in its termination message."""
    for container in pod.get("status", {}).get("containerStatuses") or ():
        ended = container.get("state", {}).get("terminated")
        if ended and not ended.get("exitCode"):
            return str(ended.get("message") or "")
    return ""

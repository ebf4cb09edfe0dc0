"""The record of a Restore that is gone without having ended it, as where its finalizer was removed.

What it has stopped would rest for ever, and no Restore, nor any Backup, of the cloud would begin.
"""

from dataclasses import replace

from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_STEP
from stackroles.domains.restore.build import COMPONENT, MEMBER
from stackroles.domains.restore.phases import Phase
from stackroles.domains.restore.reconcile_jobs import has_ended
from stackroles.kube.kinds import uid_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.restoring import write_record
from stackroles.workloads.restoring import RestoreRecord, released


async def end_orphan(context: Context, cloud: Cloud, record: RestoreRecord) -> RestoreRecord:
    """Return the record of another Restore, ended where that one does not exist any more.

    The cloud goes on as if that had been deleted. Where members' data may have been half replaced,
    it rests until a Restore has replaced all of it.

    Raises:
        NotReady: what was recorded is not seen yet.
        ClusterError: it could not be asked for, or recorded.
    """
    if record.ended or await _is_there(context, cloud, record):
        return record
    if _is_at_work(context, cloud):
        return record
    half = Phase.KEYS in record.done and Phase.DATA not in record.done
    ended = released(replace(record, made=record.made or half))
    await write_record(context.cluster, cloud, record, ended)
    return ended


async def _is_there(context: Context, cloud: Cloud, record: RestoreRecord) -> bool:
    found = await context.cluster.read("Restore", cloud.namespace, record.name)
    return found is not None and uid_of(found) == record.uid


def _is_at_work(context: Context, cloud: Cloud) -> bool:
    """Return whether a pod of a Restore has a member's volume still: two would write it."""
    step = {LABEL_STEP: f"{COMPONENT}.{MEMBER}"}
    pods = context.cluster.list("Pod", cloud.namespace, step)
    return any(not has_ended(pod) for pod in pods)

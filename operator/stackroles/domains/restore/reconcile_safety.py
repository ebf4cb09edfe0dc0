"""The safety backup: what is about to be overwritten is backed up and verified first."""

from typing import Any

from stackroles.api.v1alpha1.conditions import ConditionType
from stackroles.api.v1alpha1.restore import SafetyBackup
from stackroles.constants import GROUP_VERSION
from stackroles.domains.restore.phases import Abandoned, Progress
from stackroles.domains.restore.reconcile_reader import end_reader
from stackroles.domains.restore.work import Work
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import observe_roles
from stackroles.roles import mariadb
from stackroles.workloads.pod import condition_of
from stackroles.workloads.restoring import safety_backup

Object = dict[str, Any]
_STEP = "safety"


async def back_up(context: Context, work: Work) -> Progress:
    """Have a Backup made of what is there.

    Raises:
        Abandoned: it failed.
    """
    name = safety_backup(work.record)
    namespace = work.cloud.namespace
    found = context.cluster.get("Backup", namespace, name)
    if found is None:
        if why := _why_not(context, work):
            return Progress(done=True, message=f"No backup of what is overwritten: {why}.")
        # The repository may be a volume that one node mounts at a time. It is read again later.
        await end_reader(context, work.resource)
        await context.cluster.create_once(_backup(work, name), work.resource)
        return Progress(message=f"Backup {name} begins.")
    complete = condition_of(found.get("status") or {}, ConditionType.COMPLETE.value) or {}
    message = complete.get("message", "")
    if complete.get("status") == "True":
        return Progress(done=True, message=message, found={"safety_backup": name})
    if (found.get("status") or {}).get("completedAt"):
        raise Abandoned(
            f"Backup {name} of what would be overwritten failed: {message} To restore without one, "
            "set spec.safetyBackup to Never."
        )
    return Progress(message=f"Backup {name}: {message}")


def _why_not(context: Context, work: Work) -> str:
    """Return why no safety backup is made, empty where one is."""
    if work.spec.safety_backup is SafetyBackup.NEVER:
        return "spec.safetyBackup is Never"
    [database] = observe_roles(context.cluster, work.cloud, [mariadb.MARIADB], work.now)
    return "" if database.ready else "the database does not serve"


def _backup(work: Work, name: str) -> Object:
    return {
        "apiVersion": GROUP_VERSION,
        "kind": "Backup",
        "metadata": work.parent.metadata(name, _STEP, keep=True),
        "spec": {"policy": work.subject.source.policy_name},
    }

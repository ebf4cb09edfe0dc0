"""Which run of a backup is at work, which waits, and which ended: one at a time has its turn."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from stackroles.agents.backup.protocol import RetentionInput, RetentionRules
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_STEP
from stackroles.domains.backup.build import step_label
from stackroles.domains.backup.build_job import DATABASE_PART, REPOSITORY_PART, TABLES_PART
from stackroles.domains.backup.decide import SETS_ASKED, PolicyRun, sets_believed_in
from stackroles.domains.backup.status import is_finished
from stackroles.reconcile.context import Context
from stackroles.reconcile.repository import user_of
from stackroles.reconcile.restoring import read_record
from stackroles.workloads.marks import MARK
from stackroles.workloads.recovery_set.repository import repository_id
from stackroles.workloads.restoring import safety_backup

Object = dict[str, Any]
# More sets than any repository has.
_ALL = 1_000_000


def writer_of(context: Context, resource: Object, policy: BackupPolicySpec) -> str:
    """Return who works with a Backup's repository, as a phrase; empty when it is free."""
    namespace = resource["metadata"]["namespace"]
    return user_of(context, repository_id(namespace, resource["spec"]["policy"], policy))


async def run_before(
    context: Context, resource: Object, cloud: Cloud, policy: BackupPolicySpec
) -> str:
    """Return who comes before a Backup, as a phrase; empty when it is its turn.

    All that are not at work yet wait for a Restore, and that for the Backup which is part of it.
    """
    metadata, policy_name = resource["metadata"], resource["spec"]["policy"]
    if writer := writer_of(context, resource, policy):
        return writer
    record = await read_record(context.cluster, cloud.namespace, cloud.name)
    if record is not None and not record.ended and metadata["name"] == safety_backup(record):
        return ""
    waiting = [
        policy_run(backup).age
        for backup in context.cluster.naming("Backup", metadata["namespace"], "policy", policy_name)
        if not is_finished(backup.get("status", {}))
        and not backup["metadata"].get("deletionTimestamp")
    ]
    first = min(waiting, default=policy_run(resource).age)[1]
    return f"Backup {first}" if first != metadata["name"] else ""


async def restore_before(context: Context, cloud: Cloud, name: str) -> str:
    """Return the Restore of a cloud that ends before a Backup begins, empty where none does.

    The Backup of what a Restore overwrites is part of it.
    """
    record = await read_record(context.cluster, cloud.namespace, cloud.name)
    if record is None or record.ended or name == safety_backup(record):
        return ""
    return record.name


async def retention_input(
    context: Context, cloud: Cloud, policy_name: str, policy: BackupPolicySpec
) -> RetentionInput:
    """Return what a run's retention goes by; all sets stay while a Restore reads one of them."""
    record = await read_record(context.cluster, cloud.namespace, cloud.name)
    rules = retention_rules(policy)
    if record is not None and not record.ended:
        rules = replace(rules, last=_ALL)
    runs = runs_of_policy(context, cloud.namespace, policy_name)
    return RetentionInput(
        rules=rules,
        backups=sets_believed_in(runs),
        quarantined=quarantined_sets(context, cloud.namespace, policy_name),
    )


def quarantined_sets(context: Context, namespace: str, policy: str) -> tuple[str, ...]:
    """Return the Backups of a policy whose sets a verification found damaged, sorted."""
    backups = context.cluster.naming("Backup", namespace, "policy", policy)
    found = (b["metadata"]["name"] for b in backups if b.get("status", {}).get("quarantine"))
    return tuple(sorted(found)[:SETS_ASKED])


def retention_rules(policy: BackupPolicySpec) -> RetentionRules:
    """Return which sets a policy keeps."""
    return RetentionRules(
        last=policy.keep_last,
        hourly=policy.keep_hourly,
        daily=policy.keep_daily,
        weekly=policy.keep_weekly,
        monthly=policy.keep_monthly,
        yearly=policy.keep_yearly,
        within_days=policy.keep_within_days,
    )


def runs_of_policy(context: Context, namespace: str, policy: str) -> tuple[PolicyRun, ...]:
    """Return all runs of a policy as retention sees them."""
    return tuple(
        policy_run(backup)
        for backup in context.cluster.naming("Backup", namespace, "policy", policy)
    )


def copied_members(context: Context, namespace: str) -> dict[str, str]:
    """Return the database members that stream to a run now: name -> the Backup.

    A run is done with its member once it reports another part; before its first report it counts as
    copying.
    """
    found = {}
    for backup in context.cluster.list("Backup", namespace):
        status = backup.get("status", {})
        part = (status.get("progress") or {}).get("part") or DATABASE_PART
        copies = part in (DATABASE_PART, TABLES_PART, REPOSITORY_PART)
        if status.get("source") and copies and not is_finished(status):
            found[status["source"]] = backup["metadata"]["name"]
    return found


def policy_run(backup: Object) -> PolicyRun:
    """Return a Backup as retention sees it."""
    metadata, status = backup["metadata"], backup.get("status", {})
    return PolicyRun(
        name=metadata["name"],
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        scheduled=metadata.get("labels", {}).get(LABEL_STEP) == step_label(MARK),
        ended=is_finished(status),
        verified=bool(status.get("verified")),
        expired=frozenset(status.get("expiredBackups") or ()),
    )

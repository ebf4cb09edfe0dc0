"""The shipping of a policy's binary logs: its pod, its report, and the Backup that it lacks."""

import hashlib
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any, Final

from stackroles import naming
from stackroles.addresses import pod_address
from stackroles.agents.binlog.protocol import PORT, REPORT_PATH, ShipperReport
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec, PointInTime
from stackroles.api.v1alpha1.backup_policy_status import BackupPolicyStatus
from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_CONFIG_MAPS, GROUP_VERSION, LABEL_STEP
from stackroles.domains.backup.build import COMPONENT, step_label
from stackroles.domains.backup.build_shipper import SHIPPER, TOKEN, build_shipper, pod_labels
from stackroles.domains.backup.point_in_time import (
    Shipping,
    StoredSet,
    backup_wanted,
    judge,
)
from stackroles.domains.backup.reconcile_queue import restore_before
from stackroles.domains.backup.status import is_finished, is_verified
from stackroles.errors import NotReady
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.roles import mariadb
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.container import secret_name
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.marks import MARK
from stackroles.workloads.pod import first_finding, is_ready, time_of
from stackroles.workloads.recovery_set.pod import RunParent

Object = dict[str, Any]
_INTERVAL: Final = 10.0
_DEADLINE: Final = 5.0
# A report of before says nothing of now.
_FRESH_SECONDS: Final = 3 * (_INTERVAL + _DEADLINE)


async def reconcile_shipping(
    context: Context,
    resource: Object,
    cloud: Cloud,
    policy: BackupPolicySpec,
    status: BackupPolicyStatus,
) -> tuple[BackupPolicyStatus, Finding | None]:
    """Have binary logs shipped where the policy asks for it, and say how far they are.

    Returns:
        The policy's status, and its condition PointInTimeReady; None where nothing is shipped.

    Raises:
        ClusterError: something was refused; the next pass tries again.
        NotReady: a child of a former policy of this name is still there.
    """
    if policy.point_in_time is None:
        await _end(context, resource)
        return status.model_copy(update={"point_in_time": None, "recoverable": None}), None
    parent = RunParent.of(resource, cloud.name, COMPONENT)
    restore = await restore_before(context, cloud, "")
    status = await _apply(
        context, resource, cloud, (policy, policy.point_in_time), status, running=not restore
    )
    report, problem = None, _stopped_by(restore) if restore else ""
    if not restore:
        report, problem = _report(context, resource, parent)
    shipping = Shipping(
        report=report, problem=problem, stopped=bool(restore), former=status.point_in_time
    )
    backups = context.cluster.naming("Backup", parent.namespace, "policy", parent.name)
    sets, now = [stored_set(backup) for backup in backups], context.clock.now()
    found = judge(shipping, sets, now)
    if not policy.suspend and (name := backup_wanted(parent.name, report, sets, now)):
        await _back_up(context, resource, parent, name)
    update = {"point_in_time": found.status, "recoverable": found.window}
    return status.model_copy(update=update), found.finding


def _stopped_by(restore: str) -> str:
    return f"Restore {restore} of this cloud is under way; shipping goes on after it."


def stored_set(backup: Object) -> StoredSet:
    """Return a Backup as the shipping sees it."""
    metadata, status = backup["metadata"], backup.get("status") or {}
    ended = is_finished(status)
    created = datetime.fromisoformat(metadata["creationTimestamp"])
    return StoredSet(
        name=metadata["name"],
        created=created,
        history=str(status.get("position") or "").partition(":")[0],
        began=time_of(status.get("startedAt")),
        completed=(time_of(status.get("completedAt")) or created) if ended else None,
        verified=is_verified(status) and not metadata.get("deletionTimestamp"),
    )


async def _apply(
    context: Context,
    resource: Object,
    cloud: Cloud,
    wanted: tuple[BackupPolicySpec, PointInTime],
    status: BackupPolicyStatus,
    *,
    running: bool,
) -> BackupPolicyStatus:
    """Bring the shipper to its manifests; return the status with them among the children."""
    policy, shipping = wanted
    parent = RunParent.of(resource, cloud.name, COMPONENT)
    keys = await _digest_of_keys(context, cloud, policy)
    children = build_shipper(cloud, parent, policy, shipping, running=running, keys=keys)
    records = await context.cluster.apply_children(resource, children)
    await _remove_former(context, resource, parent, children[0])
    applied = {(record.kind, record.name): record.to_dict() for record in records}
    others = [
        child.model_dump(by_alias=True, exclude_none=True)
        for child in status.children
        if (child.kind, child.name) not in applied
    ]
    everything = sorted((*others, *applied.values()), key=lambda one: (one["kind"], one["name"]))
    return BackupPolicyStatus.model_validate(status.model_dump() | {"children": everything})


async def _digest_of_keys(context: Context, cloud: Cloud, policy: BackupPolicySpec) -> str:
    """Return a digest of the keys that the program reads at its start alone."""
    cluster, s3 = context.cluster, policy.repository.s3
    names = [secret_name(cloud.name, mariadb.NAME), *([s3.credentials_secret] if s3 else [])]
    members, *bucket = [await cluster.read_secret(cloud.namespace, name) for name in names]
    held = {TOKEN: (members or {}).get(TOKEN, b"")}
    for keys in bucket:
        held |= keys or {}
    return naming.digest({key: hashlib.sha256(value).hexdigest() for key, value in held.items()})


async def _remove_former(
    context: Context, resource: Object, parent: RunParent, program: Manifest
) -> None:
    """Remove programs of former versions once no pod of the shipper reads them."""
    read = {
        pod["metadata"].get("annotations", {}).get(ANNOTATION_CONFIG_MAPS, "")
        for pod in context.cluster.list("Pod", parent.namespace, pod_labels(parent))
    }
    for found in _children(context, resource, "ConfigMap"):
        if found["metadata"]["name"] not in read | {program["metadata"]["name"]}:
            await context.cluster.delete(found)


async def _end(context: Context, resource: Object) -> None:
    """Remove the shipper of a policy that has none any more."""
    context.poller.forget(_poll(resource))
    for kind in ("Deployment", "NetworkPolicy", "ConfigMap"):
        for found in _children(context, resource, kind):
            await context.cluster.delete(found)


def _children(context: Context, resource: Object, kind: str) -> list[Object]:
    step = step_label(SHIPPER)
    return [
        found
        for found in context.cluster.owned(resource, kind)
        if found["metadata"].get("labels", {}).get(LABEL_STEP) == step
        and not found["metadata"].get("deletionTimestamp")
    ]


def _poll(resource: Object) -> str:
    return f"{ref_of(resource)}/shipper"


def _report(
    context: Context, resource: Object, parent: RunParent
) -> tuple[ShipperReport | None, str]:
    """Return the shipper's newest report, None where there is none of now, and why."""
    pods = context.cluster.list("Pod", parent.namespace, pod_labels(parent))
    pod = next((pod for pod in pods if is_ready(pod) and pod_address(pod)), None)
    name = _poll(resource)
    if pod is None:
        context.poller.forget(name)
        problem = first_finding(pods, context.clock.now())
        return None, problem.message if problem else "The shipper's pod is not ready yet."
    ask = _ask(pod["metadata"]["name"], pod_address(pod))
    context.poller.ensure(
        name, ask, interval=_INTERVAL, deadline=_DEADLINE, notify=ref_of(resource)
    )
    seen = context.poller.latest(name)
    if seen is None:
        return None, "The shipper has not been asked yet."
    report: ShipperReport | None = seen.value
    if report is None or context.clock.monotonic() - seen.at > _FRESH_SECONDS:
        why = f": {seen.error}" if seen.error else ""
        return None, f"The shipper, pod {pod['metadata']['name']}, does not answer{why}."
    return report, ""


def _ask(pod: str, address: str) -> Callable[[], Awaitable[ShipperReport]]:
    async def ask() -> ShipperReport:
        answers = await get_messages(ShipperReport, {pod: url_of(address, PORT, REPORT_PATH)})
        report = answers[pod]
        if report is None:
            raise NotReady("no report within a second")
        return report

    return ask


async def _back_up(context: Context, resource: Object, parent: RunParent, name: str) -> None:
    """Make the Backup that the shipped transactions lack; as of the schedule, it goes by itself."""
    backup = {
        "apiVersion": GROUP_VERSION,
        "kind": "Backup",
        "metadata": parent.metadata(name, MARK, keep=True),
        "spec": {"policy": parent.name},
    }
    await context.cluster.create_once(backup, resource)

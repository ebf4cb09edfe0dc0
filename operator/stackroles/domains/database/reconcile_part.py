"""The database of a cloud, reconciled by itself: nothing else of the cloud delays its decisions."""

from typing import Any

from stackroles.domains.database.reconcile import reconcile_galera
from stackroles.domains.database.reconcile_members import PART
from stackroles.domains.database.status import DATABASE, DatabaseState, add_decision
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context

Object = dict[str, Any]


def part_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's database."""
    return PartRef(*ref_of(resource), PART)


async def reconcile_database(context: Context, resource: Object) -> None:
    """Bring a cloud's database members together, and publish how they stand.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
        ClusterError: the Kubernetes API refused or did not answer.
    """
    cloud = active_cloud(context, resource)
    if cloud is None:
        return
    workload = context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(DATABASE))
    if workload is None:
        return
    found = await reconcile_galera(context, resource, cloud)
    before = context.latest(resource, part_of(resource))
    former = before if isinstance(before, DatabaseState) else DatabaseState()
    state = DatabaseState(
        writer=found.writer,
        message="" if found.ready else found.message,
        blocked=f"{found.verdict}: {found.message}" if found.verdict.needs_person else "",
        failing=found.failing,
        note=found.note,
        lost=found.lost,
        health=found.health,
        decided=add_decision(former, found.decided, found.ready, context.clock.now()),
    )
    context.publish(resource, part_of(resource), state)

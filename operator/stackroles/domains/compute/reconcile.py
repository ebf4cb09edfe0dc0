"""ComputePool: chooses nodes, runs agents on them, and says how they stand."""

from typing import Any

import structlog

from stackroles.api.v1alpha1.common import parse_spec
from stackroles.api.v1alpha1.compute import ComputePoolSpec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import FINALIZER
from stackroles.domains.compute import reconcile_removal
from stackroles.domains.compute.reconcile_pass import PoolPass
from stackroles.domains.compute.reconcile_view import pool_of
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.apply_failures import reporting_apply_failures
from stackroles.reconcile.blocked import missing_controller, write_blocked_status
from stackroles.reconcile.context import Context
from stackroles.reconcile.teardown import namespace_ends
from stackroles.workloads.conditions import Finding

Object = dict[str, Any]
log = structlog.get_logger(__name__)
_NO_RIGHTS = (
    "The operator was installed without rights on nodes: a ComputePool cannot see or label any. "
    "Install it with nodeRights: true; what runs keeps running until then."
)


async def reconcile_compute_pool(context: Context, resource: Object) -> None:
    """Bring a pool's nodes to what the resource declares.

    Raises:
        SpecInvalid: the spec, or its CloudController's, asks for what cannot be.
        ClusterError: a child was rejected; the status says so.
        NotReady: what an action needs is not there yet.
    """
    deleting = bool(resource["metadata"].get("deletionTimestamp"))
    if deleting and FINALIZER not in (resource["metadata"].get("finalizers") or ()):
        return
    namespace, name = resource["metadata"]["namespace"], resource["spec"].get("controller", "")
    controller = context.cluster.get("CloudController", namespace, name)
    if deleting and (controller is None or await namespace_ends(context, resource)):
        log.warning("The cloud is gone or goes with its namespace: no guest is searched for")
        await reconcile_removal.abandon(context, resource)
        return
    spec = parse_spec(ComputePoolSpec, resource)
    if controller is None or (spec.suspend and not deleting):
        context.rest(ref_of(resource))
        message = "Nothing is changed while spec.suspend is true; what runs keeps running."
        suspended = Finding(Reason.SUSPENDED, message) if spec.suspend else None
        await write_blocked_status(
            context, resource, suspended or missing_controller(name, namespace)
        )
        return
    pool = pool_of(context, resource, spec, controller)
    if deleting and not reconcile_removal.present(context, pool):
        await reconcile_removal.remove_finalizer(context, resource)
        return
    if not context.settings.node_rights:
        # Nodes that cannot be seen are not gone: none may leave for that.
        await write_blocked_status(
            context, resource, Finding(Reason.NODE_RIGHTS_MISSING, _NO_RIGHTS)
        )
        return
    async with reporting_apply_failures(context, resource):
        await context.cluster.set_finalizer(resource, present=True)
    await PoolPass(context, resource, pool, controller).run()

"""A pool's agents: which of them may run, and their objects."""

from collections.abc import Iterable
from typing import Any

from stackroles.config.pool import Pool
from stackroles.kube.apply import AppliedRecord
from stackroles.kube.kinds import ObjectRef
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import config_maps_in_use, existing_config_maps, observe_roles
from stackroles.roles import registry
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.config_maps import kept_config_maps
from stackroles.workloads.manifests.children import build_roles

Object = dict[str, Any]


def startable(
    context: Context, pool: Pool, controller: Object
) -> tuple[list[RoleDefinition], set[str]]:
    """Return the roles that may run, and the controller's roles that others wait for."""
    status = controller.get("status") or {}
    ready = {role["name"] for role in status.get("roles") or () if role.get("ready")}
    roles, missing = [], set[str]()
    for role in registry.COMPUTE_ROLES:
        lacking = set(role.needs) - ready
        name = pool.workload(role.name)
        if context.cluster.get(role.workload.value, pool.namespace, name) or not lacking:
            roles.append(role)
        else:
            missing |= lacking
    return roles, missing


async def apply_agents(
    context: Context,
    resource: Object,
    pool: Pool,
    roles: Iterable[RoleDefinition],
    others: Iterable[Object],
) -> tuple[AppliedRecord, ...]:
    """Apply the roles' objects and some others, and remove what is no longer wanted.

    Returns:
        What was applied.

    Raises:
        ClusterError: something was refused; all else was applied, and nothing was removed.
        NotReady: an object still belongs to an earlier owner of this name.
    """
    manifests = [*build_roles(pool, roles), *others]
    records = await context.cluster.apply_children(resource, manifests)
    kept = _kept(context, resource, pool, manifests)
    await context.cluster.prune(resource, [*manifests, *kept])
    return records


def _kept(
    context: Context, resource: Object, pool: Pool, manifests: Iterable[Object]
) -> list[ObjectRef]:
    """Return the configuration that stays because pods still read it."""
    states = observe_roles(context.cluster, pool, registry.COMPUTE_ROLES, context.clock.now())
    names = kept_config_maps(
        existing_config_maps(context.cluster, resource),
        (m["metadata"]["name"] for m in manifests if m["kind"] == "ConfigMap"),
        config_maps_in_use(context.cluster, pool),
        {state.name for state in states if state.present and not state.complete},
    )
    return [ObjectRef("ConfigMap", pool.namespace, name) for name in names]

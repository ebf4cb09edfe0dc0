"""Rolls of a cloud's roles, a few at a time: workloads whose turn it is not keep their template."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_TEMPLATE
from stackroles.domains.cloud.reconcile_parts import GRAPH
from stackroles.domains.cloud.rolls import choose_rolls, needed_roles
from stackroles.kube.apply import manifest_hash
from stackroles.reconcile.clouds import render
from stackroles.reconcile.context import Context
from stackroles.reconcile.observe import observe_roles
from stackroles.roles import registry
from stackroles.roles.definition import RoleDefinition, Workload
from stackroles.workloads.manifests.children import build_role

Object = dict[str, Any]

_WORKLOADS: Final = frozenset(kind.value for kind in Workload)
_NEEDS: Final = needed_roles(GRAPH, (role.name for role in registry.CONTROLLER_ROLES))


def render_children(context: Context, cloud: Cloud, role: RoleDefinition) -> list[Object]:
    """Return a role's children; its workload has the digest of its pods' template.

    By that a change of the template shows: templates are not in the cache.
    """
    return render(
        context, cloud, role.name, lambda: [_mark(child) for child in build_role(cloud, role)]
    )


def is_workload(manifest: Object, cloud: Cloud, role: str) -> bool:
    """Return whether a manifest is the workload of a role."""
    name = manifest["metadata"]["name"]
    return manifest["kind"] in _WORKLOADS and bool(name == cloud.workload(role))


def find_held(
    context: Context,
    cloud: Cloud,
    serving: Collection[str],
    stuck: Collection[str],
    now: datetime,
) -> Mapping[str, frozenset[str]]:
    """Return the roles whose new template waits for its turn, with those that they wait for.

    Each service's pass finds the same: what one has begun shows in the cache from its write on.

    Args:
        context: what a pass is given.
        cloud: the cloud as declared.
        serving: the roles that have served: a bring-up is no roll.
        stuck: roles that are not applied now, and take nobody's turn.
        now: the time of the observation.
    """
    states = observe_roles(context.cluster, cloud, registry.CONTROLLER_ROLES, now)
    wanted = [
        role.name
        for role in registry.CONTROLLER_ROLES
        if role.name in serving and role.name not in stuck and _changes(context, cloud, role)
    ]
    return choose_rolls(wanted, {state.name for state in states if state.rolling}, _NEEDS)


def _changes(context: Context, cloud: Cloud, role: RoleDefinition) -> bool:
    """Return whether a role's workload is there and is to get another template."""
    try:
        children = render_children(context, cloud, role)
    # Whatever it is, the pass over that role's own service meets it too, and reports it.
    except Exception:
        return False
    for manifest in children:
        if is_workload(manifest, cloud, role.name):
            name = manifest["metadata"]["name"]
            live = context.cluster.get(manifest["kind"], cloud.namespace, name)
            return live is not None and _template_of(live) != _template_of(manifest)
    return False


def _mark(manifest: Object) -> Object:
    if manifest["kind"] not in _WORKLOADS:
        return manifest
    metadata = manifest["metadata"]
    digest = {ANNOTATION_TEMPLATE: manifest_hash(manifest["spec"]["template"])}
    annotations = {**metadata.get("annotations", {}), **digest}
    return {**manifest, "metadata": {**metadata, "annotations": annotations}}


def _template_of(workload: Object) -> str | None:
    found: str | None = workload["metadata"].get("annotations", {}).get(ANNOTATION_TEMPLATE)
    return found

"""The cloud that a resource belongs to, resolved the same way everywhere."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stackroles.addresses import is_ipv6
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.errors import SpecInvalid
from stackroles.kube.kinds import ObjectRef, ref_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.teardown import is_kept_up
from stackroles.roles import registry
from stackroles.roles.resolve import resolve_cloud
from stackroles.workloads.manifests.agents import agent_sources

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resolved:
    """A cloud as resolved from a spec, and what was rendered of it: functions of the spec alone.

    Attributes:
        uid: identity of the CloudController.
        spec: what was resolved.
        cloud: the result.
        manifests: what was rendered of it so far, by role or step.
    """

    uid: str
    spec: Mapping[str, Any]
    cloud: Cloud
    manifests: dict[str, list[Object]] = field(default_factory=dict)


def cloud_of(context: Context, controller: Mapping[str, Any]) -> Cloud:
    """Return the cloud a CloudController declares, defaults filled in.

    Raises:
        SpecInvalid: it declares what no cloud can be, or the Kubernetes cluster can hold none.
    """
    settings = context.settings
    if is_ipv6(settings.pod_ip):
        raise SpecInvalid(
            Reason.IPV4_REQUIRED,
            f"This Kubernetes cluster gives pods IPv6 addresses first (the operator's is "
            f"{settings.pod_ip}), and its Services and probes use those. The services of a cloud "
            "listen on IPv4: use a cluster with IPv4 alone, or a dual-stack one that puts IPv4 "
            "first.",
        )
    ref, uid = ref_of(dict(controller)), controller["metadata"].get("uid", "")
    known: Resolved | None = context.resolved.get(ref)
    spec = controller.get("spec") or {}
    if known is not None and (known.uid, known.spec) == (uid, spec):
        return known.cloud
    cloud = resolve_cloud(
        controller,
        registry.CONTROLLER_ROLES,
        registry.SERVICES,
        image_registry=settings.image_registry,
        image_tags=settings.image_tags,
        agents=agent_sources(),
        cluster_domain=settings.cluster_domain,
    )
    context.resolved[ref] = Resolved(uid, copy.deepcopy(dict(spec)), cloud)
    return cloud


def active_cloud(context: Context, resource: Object) -> Cloud | None:
    """Return the cloud that the parts of a CloudController work on, None while they have to rest.

    They rest while it is suspended, before its finalizer is there, and once its end has begun.

    Raises:
        SpecInvalid: as `cloud_of`; the reconciliation of the whole reports it.
    """
    if not is_kept_up(context, resource):
        return None
    cloud = cloud_of(context, resource)
    return None if cloud.spec.suspend else cloud


def render(
    context: Context, cloud: Cloud, name: str, build: Callable[[], list[Object]]
) -> list[Object]:
    """Return the manifests of one role or step of a cloud, built once for each spec.

    Args:
        context: where they are kept.
        cloud: as `cloud_of` returned it.
        name: the role or step.
        build: makes them.
    """
    ref = ObjectRef(cloud.owner_kind, cloud.namespace, cloud.name)
    known: Resolved | None = context.resolved.get(ref)
    if known is None or known.cloud is not cloud:
        return build()
    if name not in known.manifests:
        known.manifests[name] = build()
    return known.manifests[name]

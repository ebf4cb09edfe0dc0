"""The cloud that a resource belongs to, resolved the same way everywhere."""

from collections.abc import Mapping
from typing import Any

from stackroles.addresses import is_ipv6
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.errors import SpecInvalid
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.roles.resolve import resolve_cloud
from stackroles.workloads.manifests.agents import agent_sources


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
    return resolve_cloud(
        controller,
        registry.CONTROLLER_ROLES,
        registry.SERVICES,
        image_registry=settings.image_registry,
        image_tags=settings.image_tags,
        agents=agent_sources(),
        cluster_domain=settings.cluster_domain,
    )

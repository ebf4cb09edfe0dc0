"""The cloud that a resource belongs to, resolved the same way everywhere."""

from collections.abc import Mapping
from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.roles.resolve import resolve_cloud
from stackroles.workloads.manifests.agents import agent_sources


def cloud_of(context: Context, controller: Mapping[str, Any]) -> Cloud:
    """Return the cloud a CloudController declares, defaults filled in.

    Raises:
        SpecInvalid: it declares what no cloud can be.
    """
    settings = context.settings
    return resolve_cloud(
        controller,
        registry.CONTROLLER_ROLES,
        registry.SERVICES,
        image_registry=settings.image_registry,
        image_tags=settings.image_tags,
        agents=agent_sources(),
        cluster_domain=settings.cluster_domain,
    )

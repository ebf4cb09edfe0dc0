"""The cloud that a resource belongs to, resolved the same way everywhere."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.reconcile.context import Context
from stackroles.roles import registry
from stackroles.roles.resolve import resolve_cloud


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


@cache
def agent_sources() -> Mapping[str, str]:
    """Return the agent programs that are part of this package, by file name."""
    package = files("stackroles.agents")
    return {
        entry.name: entry.read_text()
        for entry in sorted(package.iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".py")
    }

"""Secrets of a cloud: read what exists, draw what is missing, derive the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackroles import naming
from stackroles.api.v1alpha1.conditions import Reason, reason_of
from stackroles.builders.secret import build_secret
from stackroles.config.cloud import Cloud
from stackroles.errors import SpecInvalid
from stackroles.plan import credentials
from stackroles.reconcile.context import Context
from stackroles.roles import rabbitmq
from stackroles.roles.definition import ServiceDefinition
from stackroles.status.conditions import Finding


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The Secrets of a cloud, and what is wrong with those a user brings.

    Attributes:
        manifests: Secrets to apply.
        values: data of each service's Secret; never logged, never in a status.
        finding: what is wrong; nothing new may start then.
    """

    manifests: tuple[dict[str, Any], ...]
    values: Mapping[str, Mapping[str, str]] = field(repr=False)
    finding: Finding | None


async def observe_credentials(
    context: Context, cloud: Cloud, services: tuple[ServiceDefinition, ...]
) -> Credentials:
    """Return a cloud's Secrets: existing values as they are, missing ones drawn or brought."""
    secrets: list[dict[str, Any]] = []
    values: dict[str, Mapping[str, str]] = {}
    finding: Finding | None = None
    random = context.random.randbytes
    for service in services:
        if not credentials.drawn_keys(service) and not service.keyrings:
            continue
        name = naming.credentials(cloud.name, service.name)
        known = await _read(context, cloud, name)
        try:
            brought = await _brought(context, cloud, service, known)
        except SpecInvalid as error:
            finding = finding or Finding(reason_of(error.reason), error.message)
            continue
        data = credentials.service_secret(cloud, service, {**brought, **known}, random)
        values[service.name] = data
        secrets.append(build_secret(cloud, name, service.name, data))
        for ring in service.keyrings:
            ring_name = naming.child(cloud.name, service.name, ring)
            keys = credentials.keyring(await _read(context, cloud, ring_name), random)
            secrets.append(build_secret(cloud, ring_name, service.name, keys))
    admin_name = naming.child(cloud.name, credentials.ADMIN)
    admin = credentials.admin_secret(cloud, await _read(context, cloud, admin_name), random)
    secrets.append(build_secret(cloud, admin_name, credentials.ADMIN, admin))
    values[credentials.ADMIN] = admin
    if finding is None and any(service.broker for service in services):
        name = naming.child(cloud.name, rabbitmq.DEFINITIONS)
        data = credentials.broker_secret(services, values)
        secrets.append(build_secret(cloud, name, "rabbitmq", data))
    return Credentials(manifests=tuple(secrets), values=values, finding=finding)


async def _brought(
    context: Context, cloud: Cloud, service: ServiceDefinition, known: Mapping[str, str]
) -> Mapping[str, str]:
    """Return what the user brings for a service; not looked at once the service has its own."""
    secret = cloud.spec.credentials.get(service.name)
    if secret is None or all(key in known for key in credentials.account_keys(service)):
        return {}
    found = await context.cluster.read_secret(cloud.namespace, secret)
    decoded = None if found is None else _decode(service, secret, found)
    return credentials.check_brought(service, secret, decoded)


def _decode(service: ServiceDefinition, secret: str, found: Mapping[str, bytes]) -> dict[str, str]:
    try:
        return {key: value.decode() for key, value in found.items()}
    except UnicodeDecodeError:
        raise SpecInvalid(
            Reason.CREDENTIALS_INVALID,
            f"spec.credentials.{service.name}: Secret {secret} holds bytes that are no text.",
        ) from None


async def _read(context: Context, cloud: Cloud, name: str) -> dict[str, str]:
    found = await context.cluster.read_secret(cloud.namespace, name)
    return {key: value.decode() for key, value in (found or {}).items()}

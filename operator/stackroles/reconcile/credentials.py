"""Secrets of a cloud: read what exists, draw what is missing, derive the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stackroles import naming
from stackroles.api.v1alpha1.conditions import Reason, reason_of
from stackroles.builders.secret import build_secret
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_MANAGED_BY, MANAGED_BY
from stackroles.errors import SpecInvalid
from stackroles.kube.apply import records_of
from stackroles.plan import credentials
from stackroles.reconcile.context import Context
from stackroles.roles import rabbitmq
from stackroles.roles.definition import ServiceDefinition
from stackroles.status.conditions import Finding

Object = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The Secrets of a cloud, and what is wrong with those a user brings.

    Attributes:
        manifests: Secrets to apply.
        values: data of each service's Secret; never logged, never in a status.
        finding: what is wrong; nothing new may start then.
    """

    manifests: tuple[Object, ...]
    values: Mapping[str, Mapping[str, str]] = field(repr=False)
    finding: Finding | None


async def observe_credentials(
    context: Context, resource: Object, cloud: Cloud, services: tuple[ServiceDefinition, ...]
) -> Credentials:
    """Return a cloud's Secrets: existing values as they are, missing ones drawn or brought.

    Args:
        context: the cluster and the source of randomness.
        resource: the CloudController as in the cache.
        cloud: the same, resolved.
        services: the services there are.
    """
    look = _Look(context, resource, cloud)
    for service in services:
        if credentials.drawn_keys(service) or service.keyrings:
            await look.service(service)
    await look.administrator()
    if look.finding is None and any(service.broker for service in services):
        data = credentials.broker_secret(services, look.values)
        look.add(naming.child(cloud.name, rabbitmq.DEFINITIONS), "rabbitmq", data)
    return Credentials(manifests=tuple(look.manifests), values=look.values, finding=look.finding)


class _Look:
    """One look at the Secrets of a cloud; the first thing that is wrong is told."""

    def __init__(self, context: Context, resource: Object, cloud: Cloud) -> None:
        self._context = context
        self._cloud = cloud
        self._random = context.random.randbytes
        self._made = {ref.name for ref in records_of(resource) if ref.kind == "Secret"}
        state = context.cluster.get("ConfigMap", cloud.namespace, naming.state(cloud.name))
        # A database without any record of Secrets is one that a resource takes up again.
        self._taken_up = state is not None and not self._made
        self.manifests: list[Object] = []
        self.values: dict[str, Mapping[str, str]] = {}
        self.finding: Finding | None = None

    async def service(self, service: ServiceDefinition) -> None:
        """Look at the Secrets of one service."""
        try:
            name = naming.credentials(self._cloud.name, service.name)
            known = await self._known(name)
            brought = await self._brought(service, known)
            data = credentials.service_secret(
                self._cloud, service, {**brought, **known}, self._random
            )
            self.add(name, service.name, data)
            self.values[service.name] = data
            for ring in service.keyrings:
                name = naming.child(self._cloud.name, service.name, ring)
                keys = credentials.keyring(await self._known(name), self._random)
                self.add(name, service.name, keys)
        except SpecInvalid as error:
            self._tell(error)

    async def administrator(self) -> None:
        """Look at the administrator's Secret."""
        name = naming.child(self._cloud.name, credentials.ADMIN)
        try:
            data = credentials.admin_secret(self._cloud, await self._known(name), self._random)
        except SpecInvalid as error:
            self._tell(error)
            return
        self.add(name, credentials.ADMIN, data)
        self.values[credentials.ADMIN] = data

    def add(self, name: str, service: str, data: Mapping[str, str]) -> None:
        """Add a Secret to apply; one without data is none."""
        if data:
            self.manifests.append(build_secret(self._cloud, name, service, data))

    def _tell(self, error: SpecInvalid) -> None:
        self.finding = self.finding or Finding(reason_of(error.reason), error.message)

    async def _known(self, name: str) -> dict[str, str]:
        """Return what a Secret of the cloud's holds, nothing before it was made.

        Raises:
            SpecInvalid: it was made and is gone; new passwords would fit no database.
        """
        found = await self._context.cluster.read_secret(self._cloud.namespace, name)
        if found is not None:
            return {key: value.decode() for key, value in found.items()}
        if name in self._made or self._taken_up:
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} was made for this cloud and is gone. What it held is not drawn "
                "anew, since the databases know the old passwords. Bring it back from a backup, "
                f"with the label {LABEL_MANAGED_BY}: {MANAGED_BY}.",
            )
        return {}

    async def _brought(
        self, service: ServiceDefinition, known: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Return what the user brings for a service; not looked at once it has its own."""
        secret = self._cloud.spec.credentials.get(service.name)
        if secret is None or all(key in known for key in credentials.account_keys(service)):
            return {}
        found = await self._context.cluster.read_secret(self._cloud.namespace, secret)
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

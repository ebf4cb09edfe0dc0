"""Secrets of a cloud: read what exists, draw what is missing, derive the rest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from stackroles import naming
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_KEYS, LABEL_MANAGED_BY, MANAGED_BY
from stackroles.domains.credentials import generate as credentials
from stackroles.domains.credentials.user_supplied import check_brought, ring_of
from stackroles.errors import SpecInvalid
from stackroles.kube.apply import records_of
from stackroles.reconcile.context import Context
from stackroles.roles import keystone, rabbitmq
from stackroles.roles.definition import ServiceDefinition
from stackroles.workloads.conditions import Finding
from stackroles.workloads.manifests.secret import build_secret

Object = dict[str, Any]
Strings = Mapping[str, str]


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
        if service.has_credentials:
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
        name = naming.credentials(self._cloud.name, service.name)
        rings = {
            ring: naming.child(self._cloud.name, service.name, ring) for ring in service.keyrings
        }
        try:
            known = await self._known(name)
            keys = {ring: await self._known(secret) for ring, secret in rings.items()}
            whole = self._is_whole(service, known) and all(keys.values())
            brought = await self._brought(service, whole, known)
            values = brought | known | _external(service, brought)
            self._check_kept(service, name, credentials.drawn_keys(service), values)
            for ring, secret in rings.items():
                keys[ring] = keys[ring] or ring_of(brought, ring)
                self._check_ring(service, secret, keys[ring])
        except SpecInvalid as error:
            self._tell(error)
            return
        data = credentials.service_secret(self._cloud, service, values, self._random)
        self.add(name, service.name, data, credentials.drawn_keys(service))
        self.values[service.name] = data
        for ring, secret in rings.items():
            made = credentials.keyring(keys[ring], self._random)
            self.add(secret, service.name, made, made)

    async def administrator(self) -> None:
        """Look at the administrator's Secret."""
        service = keystone.ADMINISTRATOR
        name = naming.child(self._cloud.name, credentials.ADMIN)
        try:
            known = await self._known(name)
            brought = await self._brought(service, self._is_whole(service, known), known)
            values = brought | known
            self._check_kept(service, name, service.secrets, values)
        except SpecInvalid as error:
            self._tell(error)
            return
        data = credentials.admin_secret(self._cloud, values, self._random)
        self.add(name, credentials.ADMIN, data, service.secrets)
        self.values[credentials.ADMIN] = data

    def add(
        self, name: str, service: str, data: Mapping[str, str], kept: Iterable[str] = ()
    ) -> None:
        """Add a Secret to apply; one without data is none."""
        if data:
            self.manifests.append(build_secret(self._cloud, name, service, data, kept))

    def _tell(self, error: SpecInvalid) -> None:
        self.finding = self.finding or Finding(error.reason, error.message)

    async def _known(self, name: str) -> dict[str, str]:
        """Return what a Secret of the cloud's holds, nothing before it was made.

        Raises:
            SpecInvalid: it was made and is gone; new passwords would fit no database.
        """
        found = await self._context.cluster.read_secret(self._cloud.namespace, name)
        if found is not None:
            return {key: value.decode() for key, value in found.items() if value}
        if name in self._made or self._taken_up:
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} was made for this cloud and is gone. What it held is not drawn "
                "anew, since the databases know the old passwords. Bring it back from a backup, "
                f"with the label {LABEL_MANAGED_BY}: {MANAGED_BY}.",
            )
        return {}

    def _recorded(self, name: str) -> frozenset[str] | None:
        """Return the names noted on a Secret; without a note, none for one that was not made."""
        seen = self._context.cluster.get("Secret", self._cloud.namespace, name)
        noted = (seen or {}).get("metadata", {}).get("annotations", {}).get(ANNOTATION_KEYS)
        if noted is not None:
            return frozenset(noted.split(","))
        return None if name in self._made or self._taken_up else frozenset()

    def _check_kept(
        self, service: ServiceDefinition, name: str, wanted: tuple[str, ...], values: Strings
    ) -> None:
        lost = credentials.lost_keys(wanted, values, self._recorded(name))
        if lost:
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} has lost {', '.join(lost)}. That is not drawn anew, since the "
                "databases and services know the old value. Put it back from a backup, or bring it "
                f"by spec.credentials.{service.name}.",
            )

    def _check_ring(self, service: ServiceDefinition, name: str, keys: Strings) -> None:
        least = credentials.RING_KEYS
        if len(keys) < len(least) and self._recorded(name) != frozenset():
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"Secret {name} has lost keys: it holds {', '.join(sorted(keys)) or 'none'}. New "
                "ones would make unreadable what was encrypted by the old ones. Put them back from "
                f"a backup; where it holds none, spec.credentials.{service.name} may bring them.",
            )

    def _is_whole(self, service: ServiceDefinition, known: Strings) -> bool:
        return all(key in known for key in credentials.drawn_keys(service))

    async def _brought(
        self, service: ServiceDefinition, whole: bool, known: Strings
    ) -> dict[str, str]:
        """Return what the user brings for a service.

        Not looked at once all was made, but for what is somebody else's and may change there.
        """
        spec = self._cloud.spec
        secret = spec.credentials.get(service.name)
        asks = service.external_for is not None and service.external_for(spec)
        required = tuple(key for key in service.external if asks and key not in known)
        if secret is None and required:
            raise SpecInvalid(
                Reason.CREDENTIALS_MISSING,
                f"spec.config.{service.name} names a store that needs keys: make a Secret with "
                f"{', '.join(required)} and name it in spec.credentials.{service.name}.",
            )
        if secret is None or (whole and not asks):
            return {}
        found = await self._context.cluster.read_secret(self._cloud.namespace, secret)
        if found is None and whole and not required:
            return {}
        decoded = None if found is None else _decode(service, secret, found)
        return check_brought(service, secret, decoded, required)


def _external(service: ServiceDefinition, brought: Strings) -> dict[str, str]:
    return {key: brought[key] for key in service.external if key in brought}


def _decode(service: ServiceDefinition, secret: str, found: Mapping[str, bytes]) -> dict[str, str]:
    try:
        return {key: value.decode() for key, value in found.items()}
    except UnicodeDecodeError:
        raise SpecInvalid(
            Reason.CREDENTIALS_INVALID,
            f"spec.credentials.{service.name}: Secret {secret} holds bytes that are no text.",
        ) from None

"""Secrets of a cloud: read what exists, generate what is missing, derive the rest."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from stackroles import naming
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.domains.credentials import generate as credentials
from stackroles.domains.credentials.changed import (
    ChangedValue,
    InUse,
    assess_changed,
    changed_keys,
)
from stackroles.domains.credentials.keyring import changed_supply, note_ring
from stackroles.domains.credentials.note import Note, digest, write_note
from stackroles.domains.credentials.reconcile_existing import ExistingSecrets, decode
from stackroles.domains.credentials.user_supplied import check_user_supplied, keyring_of
from stackroles.errors import SpecInvalid
from stackroles.kube.kinds import Key, ObjectRef
from stackroles.reconcile.context import Context
from stackroles.roles import keystone, rabbitmq
from stackroles.roles.definition import OpenStackService
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding, joined
from stackroles.workloads.manifests.secret import build_secret

Object = dict[str, Any]
Strings = Mapping[str, str]
_USER_SECRETS_SECONDS = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudSecrets:
    """The Secrets of a cloud, and what is wrong with those a user supplies.

    Attributes:
        manifests: Secrets to apply.
        values: data of each service's Secret as it is in use; never logged, never in a status.
        finding: what is wrong.
        broken: services of which it is not known what is in use: nothing that reads it may start.
        changed: which values were changed and are not applied; all goes on with those in use.
        offered: a password for the administrator that is not the one in use; empty without one.
    """

    manifests: tuple[Object, ...] = field(repr=False)
    values: Mapping[str, Mapping[str, str]] = field(repr=False)
    finding: Finding | None
    broken: frozenset[str] = frozenset()
    changed: Finding | None = None
    offered: str = field(default="", repr=False)


async def observe_credentials(
    context: Context,
    resource: Object,
    cloud: Cloud,
    services: tuple[OpenStackService, ...],
    *,
    accepted: str = "",
    generated: Mapping[str, Strings] = MappingProxyType({}),
) -> CloudSecrets:
    """Return a cloud's Secrets: existing values as they are, missing ones generated or supplied.

    Args:
        context: the cluster and the source of randomness.
        resource: the CloudController as in the cache.
        cloud: the same, resolved.
        services: the services there are.
        accepted: a password that keystone takes from the administrator, other than the one in use.
        generated: values of an earlier pass, by service: they stay while their Secret is
            refused, since the broker's definitions hold it already.
    """
    secrets = _SecretsPass(context, resource, cloud, accepted, generated)
    for service in services:
        if service.has_credentials:
            await secrets.service(service)
    await secrets.administrator()
    brokered = {service.name for service in services if service.broker}
    if brokered and not brokered & secrets.broken:
        data = credentials.broker_secret(services, secrets.values)
        secrets.add(naming.child(cloud.name, rabbitmq.DEFINITIONS), DEFAULT.broker.role, data)
    return CloudSecrets(
        manifests=tuple(secrets.manifests),
        values=secrets.values,
        finding=secrets.finding,
        broken=frozenset(secrets.broken),
        changed=assess_changed(secrets.changed),
        offered=secrets.offered,
    )


def watch_user_secrets(context: Context, ref: ObjectRef, cloud: Cloud, key: Key) -> None:
    """Have the Secrets that the user supplies read again and again: they are not watched.

    Args:
        context: the cluster and the poller.
        ref: the CloudController.
        cloud: the same, resolved.
        key: what is reconciled when one of them differs from the last.
    """
    names = sorted(set(cloud.spec.credentials.values()))
    name = f"{ref}/user-secrets"
    if not names:
        context.poller.forget(name)
        return

    async def read() -> list[Mapping[str, bytes] | None]:
        return [await context.cluster.read_secret(cloud.namespace, secret) for secret in names]

    context.poller.ensure(
        name, read, interval=_USER_SECRETS_SECONDS, deadline=_USER_SECRETS_SECONDS, notify=key
    )


class _SecretsPass:
    """One pass over the Secrets of a cloud; a finding of one service holds up no other."""

    def __init__(
        self,
        context: Context,
        resource: Object,
        cloud: Cloud,
        accepted: str,
        generated: Mapping[str, Strings],
    ) -> None:
        self._context = context
        self._accepted = accepted
        self._generated = generated
        self._cloud = cloud
        self._random = context.random.randbytes
        self._existing = ExistingSecrets(context.cluster, resource, cloud)
        self.manifests: list[Object] = []
        self.values: dict[str, Mapping[str, str]] = {}
        self.finding: Finding | None = None
        self.broken: set[str] = set()
        self.changed: list[ChangedValue] = []
        self.offered = ""

    async def service(self, service: OpenStackService) -> None:
        """Check the Secrets of one service."""
        name = naming.credentials(self._cloud.name, service.name)
        rings = {
            ring: naming.child(self._cloud.name, service.name, ring) for ring in service.keyrings
        }
        try:
            known = await self._existing.read(name)
            keys = {ring: await self._existing.read(secret) for ring, secret in rings.items()}
            whole = self._is_whole(service, known) and all(keys.values())
            supplied = await self._user_supplied(service, whole, known)
            values = supplied | known | _external(service, supplied)
            self._existing.check_kept(service, name, credentials.generated_keys(service), values)
            held = await self._hold(service, name, values)
            for ring, secret in rings.items():
                keys[ring] = keys[ring] or keyring_of(supplied, ring)
                key = held.values.get(credentials.DIGEST_KEY, "")
                self._existing.check_ring(service, ring, secret, keys[ring], key)
        except SpecInvalid as error:
            self._report(service, error)
            return
        data = credentials.service_secret(self._cloud, service, held.values, self._random)
        self._add_both(service, name, values, held, data)
        for ring, secret in rings.items():
            made = credentials.keyring(keys[ring], self._random)
            await self._add_ring(service, ring, secret, made)

    async def administrator(self) -> None:
        """Check the administrator's Secret."""
        service = keystone.ADMINISTRATOR
        name = naming.child(self._cloud.name, credentials.ADMIN)
        try:
            known = await self._existing.read(name)
            supplied = await self._user_supplied(service, self._is_whole(service, known), known)
            values = supplied | known
            self._existing.check_kept(service, name, service.secrets, values)
            held = await self._hold(service, name, values)
        except SpecInvalid as error:
            self._report(service, error)
            return
        data = credentials.admin_secret(self._cloud, held.values, self._random)
        self._add_both(service, name, values, held, data)

    async def _hold(self, service: OpenStackService, name: str, values: Strings) -> InUse:
        """Return the values to go on with; what was changed instead is noted."""
        keys, place = credentials.generated_keys(service), self._in_use(service)
        found = await self._existing.find_in_use(keys, name, place, values)
        in_use = found.values
        for secret, written in ((name, values), await self._users(service)):
            changed = changed_keys(keys, written, in_use)
            if service.name == credentials.ADMIN and changed:
                self.offered = self.offered or written[credentials.ADMIN_PASSWORD]
                if written[credentials.ADMIN_PASSWORD] == self._accepted:
                    in_use[credentials.ADMIN_PASSWORD] = self._accepted
                    continue
            self.changed += [
                ChangedValue(service.name, secret, key, place, key not in found.unproven)
                for key in changed
            ]
        generated = self._generated.get(service.name, {})
        kept = {key: generated[key] for key in (*keys, credentials.DIGEST_KEY) if key in generated}
        return replace(found, values=kept | in_use)

    async def _users(self, service: OpenStackService) -> tuple[str, Strings]:
        """Return the name of the Secret that a user names for a service, and what it holds."""
        mine = self._cloud.spec.credentials.get(service.name)
        if mine is None:
            return "", {}
        found = await self._context.cluster.read_secret(self._cloud.namespace, mine)
        return mine, decode(mine, found or {})

    async def _add_ring(
        self, service: OpenStackService, ring: str, name: str, keys: Strings
    ) -> None:
        """Add a key repository; what a user changed in vain is noted."""
        key, note = self.values[service.name][credentials.DIGEST_KEY], self._existing.note(name)
        mine, written = await self._users(service)
        supplied, noted = keyring_of(written, ring), note or Note()
        changed = changed_supply(key, ring, keys, supplied, noted)
        self.changed += [
            ChangedValue(service.name, mine, value, name, rotated=True) for value in changed
        ]
        new_note = note_ring(key, ring, keys, supplied, noted, changed=changed)
        self.add(name, service.name, keys, new_note)

    def _in_use(self, service: OpenStackService) -> str:
        return naming.credentials_in_use(self._cloud.name, service.name)

    def _add_both(
        self, service: OpenStackService, name: str, values: Strings, held: InUse, data: Strings
    ) -> None:
        """Add the Secret that people see, as they left it, and the copy that pods read."""
        keys = credentials.generated_keys(service)
        written = {key: values[key] for key in keys if key in values}
        digests = {
            key: digest(data[credentials.DIGEST_KEY], key, data[key])
            for key in keys
            if key not in held.unproven
        }
        note = write_note(keys, digests)
        self.add(name, service.name, {**data, **written}, note)
        self.add(self._in_use(service), service.name, data, note)
        self.values[service.name] = data

    def add(self, name: str, service: str, data: Strings, note: str = "") -> None:
        """Add a Secret to apply."""
        self.manifests.append(build_secret(self._cloud, name, service, data, note))

    def _report(self, service: OpenStackService, error: SpecInvalid) -> None:
        self.broken.add(service.name)
        self.finding = joined((self.finding, Finding(error.reason, error.message)))

    def _is_whole(self, service: OpenStackService, known: Strings) -> bool:
        return all(key in known for key in credentials.generated_keys(service))

    async def _user_supplied(
        self, service: OpenStackService, whole: bool, known: Strings
    ) -> dict[str, str]:
        """Return what the user supplies for a service.

        Not read once all was made, but for what is somebody else's and may change there.
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
        decoded = None if found is None else decode(secret, found)
        return check_user_supplied(service, secret, decoded, required)


def _external(service: OpenStackService, supplied: Strings) -> dict[str, str]:
    return {key: supplied[key] for key in service.external if key in supplied}

"""Passwords and keys of a cloud: what each Secret holds, from randomness that is passed in.

What exists is never changed: only missing values are generated. What follows from a password
(URLs, the broker's definitions) is made anew from it at every pass.
"""

import base64
import json
from collections.abc import Callable, Iterable, Mapping, Set

from stackroles.config.cloud import Cloud
from stackroles.domains.credentials.note import digest
from stackroles.roles import rabbitmq
from stackroles.roles.common import database_url, identity_url, transport_url
from stackroles.roles.definition import OpenStackService

Randomness = Callable[[int], bytes]
"""Returns that many bytes fit for keys, as os.urandom does."""

DATABASE_PASSWORD = "database-password"  # noqa: S105 - names of keys, here and below
BROKER_PASSWORD = "broker-password"  # noqa: S105
SERVICE_PASSWORD = "service-password"  # noqa: S105
TRANSPORT_URL = "transport-url"
# Keys the digests of the other values.
DIGEST_KEY = "digest-key"
ADMIN = "admin"
ADMIN_PASSWORD = "password"  # noqa: S105
# A key repository has at least a staged and a primary key.
RING_KEYS = ("0", "1")


def password(random: Randomness) -> str:
    """Return a new password: 128 bits as 32 hexadecimal digits."""
    return random(16).hex()


def account_keys(service: OpenStackService) -> tuple[str, ...]:
    """Return the passwords of a service's accounts: what a user may supply."""
    wanted = (
        (DATABASE_PASSWORD, bool(service.databases)),
        (BROKER_PASSWORD, service.broker),
        (SERVICE_PASSWORD, service.identity),
    )
    return tuple(key for key, needed in wanted if needed)


def generated_keys(service: OpenStackService) -> tuple[str, ...]:
    """Return every value of a service's Secret that is generated or supplied, not derived."""
    return (*account_keys(service), *service.secrets)


def missing_keys(
    wanted: Iterable[str], known: Mapping[str, str], recorded: Set[str] | None
) -> tuple[str, ...]:
    """Return the values that were there once and are gone: they must not be generated anew.

    Args:
        wanted: names of the values that exist once.
        known: values that exist.
        recorded: names that were noted when the Secret was last made, None where nothing was: then
            all that is wanted was there. A name that is not among them is new in this version.
    """
    return tuple(
        key for key in wanted if not known.get(key) and (recorded is None or key in recorded)
    )


def service_secret(
    cloud: Cloud,
    service: OpenStackService,
    known: Mapping[str, str],
    random: Randomness,
) -> dict[str, str]:
    """Return the data of a service's Secret.

    Args:
        cloud: the cloud.
        service: the service, whose name is also its account's.
        known: values that exist already, or that the user supplied.
        random: source of what is missing.
    """
    keys = (*generated_keys(service), DIGEST_KEY)
    data = {key: known.get(key) or password(random) for key in keys}
    data |= {key: known[key] for key in service.external if key in known}
    for connection in service.connections:
        data[connection.key] = database_url(
            cloud, service.name, data[DATABASE_PASSWORD], connection.database
        )
    if service.broker:
        data[TRANSPORT_URL] = transport_url(cloud, service.name, data[BROKER_PASSWORD])
    return data


def external_digest(service: OpenStackService, data: Mapping[str, str]) -> str:
    """Return a digest of the keys of somebody else's; who has no Secret of ours cannot guess them.

    Args:
        service: the service.
        data: what its Secret holds.
    """
    keys = {key: data[key] for key in service.external if key in data}
    return digest(data[DIGEST_KEY], "external", json.dumps(keys, sort_keys=True))


def keyring(known: Mapping[str, str], random: Randomness) -> dict[str, str]:
    """Return a key repository as it is, or a first one: "0" is staged, "1" is the primary key."""
    if known:
        return dict(known)
    return {name: base64.urlsafe_b64encode(random(32)).decode() for name in RING_KEYS}


def admin_secret(cloud: Cloud, known: Mapping[str, str], random: Randomness) -> dict[str, str]:
    """Return the administrator's Secret: name, password and a clouds.yaml that openstacksdk reads.

    JSON is YAML, so the file needs no YAML writer.
    """
    secret = known.get(ADMIN_PASSWORD) or password(random)
    auth = {
        "auth_url": f"{identity_url(cloud)}/v3",
        "username": "admin",
        "password": secret,
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    entry = {"auth": auth, "region_name": cloud.spec.region, "identity_api_version": "3"}
    clouds = {"clouds": {cloud.name: entry}}
    return {
        "username": "admin",
        ADMIN_PASSWORD: secret,
        DIGEST_KEY: known.get(DIGEST_KEY) or password(random),
        "clouds.yaml": json.dumps(clouds, indent=2) + "\n",
    }


def broker_secret(
    services: Iterable[OpenStackService], secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return what the brokers import at their start.

    Args:
        services: the services there are.
        secrets: data of each service's Secret, by service.
    """
    passwords = {s.name: secrets[s.name][BROKER_PASSWORD] for s in services if s.broker}
    return {rabbitmq.DEFINITIONS_KEY: rabbitmq.definitions(passwords)}

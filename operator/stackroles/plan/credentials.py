"""Passwords and keys of a cloud: what each Secret holds, from randomness that is passed in.

What exists is never changed: only values that are missing are drawn. What follows from a password
(URLs, the broker's definitions) is made anew from it at every pass.
"""

import base64
import json
import re
from collections.abc import Callable, Iterable, Mapping

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.errors import SpecInvalid
from stackroles.roles import rabbitmq
from stackroles.roles.common import database_url, identity_url, transport_url
from stackroles.roles.definition import ServiceDefinition

Randomness = Callable[[int], bytes]
"""Returns that many bytes fit for keys, as os.urandom does."""

DATABASE_PASSWORD = "database-password"  # noqa: S105 - names of keys, here and below
BROKER_PASSWORD = "broker-password"  # noqa: S105
SERVICE_PASSWORD = "service-password"  # noqa: S105
TRANSPORT_URL = "transport-url"
ADMIN = "admin"
ADMIN_PASSWORD = "password"  # noqa: S105

# Letters that need no escaping in a URL, in SQL, in oslo.config (which expands "$") or in a shell.
_PASSWORD = re.compile(r"[A-Za-z0-9._~-]{8,128}")


def password(random: Randomness) -> str:
    """Return a new password: 128 bits as 32 hexadecimal digits."""
    return random(16).hex()


def account_keys(service: ServiceDefinition) -> tuple[str, ...]:
    """Return the passwords of a service's accounts: what a user may bring."""
    wanted = (
        (DATABASE_PASSWORD, bool(service.databases)),
        (BROKER_PASSWORD, service.broker),
        (SERVICE_PASSWORD, service.identity),
    )
    return tuple(key for key, needed in wanted if needed)


def drawn_keys(service: ServiceDefinition) -> tuple[str, ...]:
    """Return every value of a service's Secret that is drawn or brought, not derived."""
    return (*account_keys(service), *service.secrets)


def check_brought(
    service: ServiceDefinition, secret: str, brought: Mapping[str, str] | None
) -> dict[str, str]:
    """Return the values of a user's Secret that a service takes.

    Args:
        service: the service.
        secret: the Secret's name, for messages.
        brought: its decoded data, None when it does not exist.

    Raises:
        SpecInvalid: the Secret or a key is missing, or a value cannot be used.
    """
    needed = account_keys(service)
    missing = [key for key in needed if key not in (brought or {})]
    if brought is None or missing:
        what = f"has no {', '.join(missing)}" if brought is not None else "does not exist"
        raise SpecInvalid(
            Reason.CREDENTIALS_MISSING,
            f"spec.credentials.{service.name}: Secret {secret} {what}. Make it with the keys "
            f"{', '.join(needed) or ', '.join(service.secrets) or 'it shall have'}.",
        )
    taken = {key: value for key, value in brought.items() if key in drawn_keys(service)}
    bad = sorted(key for key, value in taken.items() if not _PASSWORD.fullmatch(value))
    if bad:
        raise SpecInvalid(
            Reason.CREDENTIALS_INVALID,
            f"spec.credentials.{service.name}: Secret {secret} holds values that cannot be used in "
            f"{', '.join(bad)}. A password has 8 to 128 letters, digits or the signs . _ ~ - "
            "and no line end.",
        )
    return taken


def service_secret(
    cloud: Cloud,
    service: ServiceDefinition,
    known: Mapping[str, str],
    random: Randomness,
) -> dict[str, str]:
    """Return the data of a service's Secret; empty for a service that has no passwords.

    Args:
        cloud: the cloud.
        service: the service, whose name is also its account's.
        known: values that exist already, or that the user brought.
        random: source of what is missing.
    """
    data = {key: known.get(key) or password(random) for key in drawn_keys(service)}
    for connection in service.connections:
        data[connection.key] = database_url(
            cloud, service.name, data[DATABASE_PASSWORD], connection.database
        )
    if service.broker:
        data[TRANSPORT_URL] = transport_url(cloud, service.name, data[BROKER_PASSWORD])
    return data


def keyring(known: Mapping[str, str], random: Randomness) -> dict[str, str]:
    """Return a key repository as it is, or a first one: "0" is staged, "1" is the primary key."""
    if known:
        return dict(known)
    return {name: base64.urlsafe_b64encode(random(32)).decode() for name in ("0", "1")}


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
        "clouds.yaml": json.dumps(clouds, indent=2) + "\n",
    }


def broker_secret(
    services: Iterable[ServiceDefinition], secrets: Mapping[str, Mapping[str, str]]
) -> dict[str, str]:
    """Return what the brokers import at their start.

    Args:
        services: the services there are.
        secrets: data of each service's Secret, by service.
    """
    passwords = {s.name: secrets[s.name][BROKER_PASSWORD] for s in services if s.broker}
    return {rabbitmq.DEFINITIONS_KEY: rabbitmq.definitions(passwords)}

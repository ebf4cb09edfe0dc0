"""Passwords and keys of a cloud: what each Secret holds, from randomness that is passed in."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.errors import SpecInvalid
from stackroles.roles.definition import ServiceDefinition

Randomness = Callable[[int], bytes]
"""Returns that many bytes fit for keys, as os.urandom does."""

DATABASE_PASSWORD = "database-password"  # noqa: S105 - names of keys, here and below
BROKER_PASSWORD = "broker-password"  # noqa: S105
SERVICE_PASSWORD = "service-password"  # noqa: S105
TRANSPORT_URL = "transport-url"
ADMIN_PASSWORD = "admin-password"  # noqa: S105
DEFINITIONS = "definitions.json"

DATABASE_PORT = 3306
BROKER_PORT = 5672
DATABASE_ROLE = "haproxy"
BROKER_ROLE = "rabbitmq"
IDENTITY_ROLE = "keystone"
IDENTITY_PORT = 5000

# Letters that need no escaping in a URL, in SQL, in oslo.config (which expands "$") or in a shell.
_PASSWORD = re.compile(r"[A-Za-z0-9._~-]{8,128}")


def password(random: Randomness) -> str:
    """Return a new password: 128 bits as 32 hexadecimal digits."""
    return random(16).hex()


def required_keys(service: ServiceDefinition) -> tuple[str, ...]:
    """Return the passwords a service needs from whoever makes its Secret."""
    wanted = (
        (DATABASE_PASSWORD, bool(service.databases)),
        (BROKER_PASSWORD, service.broker),
        (SERVICE_PASSWORD, service.identity),
    )
    return tuple(key for key, needed in wanted if needed)


def all_keys(service: ServiceDefinition) -> tuple[str, ...]:
    """Return every key of a service's Secret; empty when it needs none."""
    derived = (TRANSPORT_URL,) if service.broker else ()
    connections = tuple(connection.key for connection in service.connections)
    definitions = (DEFINITIONS,) if service.name == BROKER_ROLE else ()
    return (*required_keys(service), *derived, *connections, *service.secrets, *definitions)


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
    needed = required_keys(service)
    missing = [key for key in needed if key not in (brought or {})]
    if brought is None or missing:
        what = f"has no {', '.join(missing)}" if brought is not None else "does not exist"
        raise SpecInvalid(
            Reason.CREDENTIALS_MISSING,
            f"spec.credentials.{service.name}: Secret {secret} {what}. "
            f"It needs the keys {', '.join(needed) or 'of your choice'}.",
        )
    taken = {k: v for k, v in brought.items() if k in needed or k in service.secrets}
    bad = sorted(key for key, value in taken.items() if not _PASSWORD.fullmatch(value))
    if bad:
        raise SpecInvalid(
            Reason.CREDENTIALS_INVALID,
            f"spec.credentials.{service.name}: Secret {secret} holds values that cannot be used in "
            f"{', '.join(bad)}. A password has 8 to 128 letters, digits or the signs . _ ~ - "
            "and no line end.",
        )
    return taken


def generate_service(
    cloud: Cloud, service: ServiceDefinition, brought: Mapping[str, str], random: Randomness
) -> dict[str, str]:
    """Return the data of a service's Secret, but for the broker's definitions.

    Args:
        cloud: the cloud.
        service: the service, whose name is also its account in the database and the broker.
        brought: values of the user's, in place of generated ones.
        random: source of randomness.
    """
    data = {
        key: brought.get(key) or password(random)
        for key in (*required_keys(service), *service.secrets)
    }
    for connection in service.connections:
        data[connection.key] = (
            f"mysql+pymysql://{service.name}:{data[DATABASE_PASSWORD]}"
            f"@{cloud.host(DATABASE_ROLE)}:{DATABASE_PORT}/{connection.database}?charset=utf8"
        )
    if service.broker:
        data[TRANSPORT_URL] = transport_url(cloud, service.name, data[BROKER_PASSWORD])
    return data


def transport_url(cloud: Cloud, user: str, secret: str) -> str:
    """Return the address of the broker for oslo.messaging: every member, and the vhost "/"."""
    members = ",".join(
        f"{user}:{secret}@{member}:{BROKER_PORT}" for member in cloud.members(BROKER_ROLE)
    )
    return f"rabbit://{members}//"


def broker_definitions(passwords: Mapping[str, str], random: Randomness) -> str:
    """Return what the broker imports at its start: one account per service, on the vhost "/".

    Args:
        passwords: password by account.
        random: source of the salts.
    """
    return json.dumps(
        {
            "vhosts": [{"name": "/"}],
            "users": [
                {
                    "name": user,
                    "password_hash": broker_hash(secret, random(4)),
                    "hashing_algorithm": "rabbit_password_hashing_sha256",
                    "tags": [],
                }
                for user, secret in sorted(passwords.items())
            ],
            "permissions": [
                {"user": user, "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
                for user in sorted(passwords)
            ],
        },
        indent=1,
    )


def broker_hash(secret: str, salt: bytes) -> str:
    """Return a password as RabbitMQ stores it: base64 of the salt and sha256(salt + password)."""
    hashed = hashlib.sha256(salt + secret.encode()).digest()
    return base64.b64encode(salt + hashed).decode()


def fernet_keys(random: Randomness) -> dict[str, str]:
    """Return a first key repository: "0" is the staged key, "1" the primary one."""
    return {name: base64.urlsafe_b64encode(random(32)).decode() for name in ("0", "1")}


def admin_credentials(cloud: Cloud, secret: str) -> dict[str, str]:
    """Return the administrator's Secret: name, password and a clouds.yaml that openstacksdk reads.

    JSON is YAML, so the file needs no YAML writer.
    """
    auth = {
        "auth_url": f"http://{cloud.host(IDENTITY_ROLE)}:{IDENTITY_PORT}/v3",
        "username": "admin",
        "password": secret,
        "project_name": "admin",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    entry = {
        "auth": auth,
        "region_name": cloud.spec.region,
        "identity_api_version": "3",
        "interface": "public",
    }
    clouds = {"clouds": {cloud.name: entry}}
    return {
        "username": "admin",
        "password": secret,
        "clouds.yaml": json.dumps(clouds, indent=2) + "\n",
    }


def broker_users(services: Iterable[ServiceDefinition]) -> tuple[ServiceDefinition, ...]:
    """Return the services with an account at the broker."""
    return tuple(service for service in services if service.broker)

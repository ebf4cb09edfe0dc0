"""keystone's content: the services' users and the catalogue."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from stackroles.config.cloud import Cloud
from stackroles.openstack.access import Credentials, accepted
from stackroles.roles.definition import OpenStackService

if TYPE_CHECKING:
    from openstack.connection import Connection
    from openstack.identity.v3._proxy import Proxy as Identity

DOMAIN = "default"
PROJECT = "service"
# "service" marks tokens that a service sends along with a user's.
ROLES = ("admin", "service")
INTERFACES = ("public", "internal", "admin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A service of the catalogue; all its interfaces have one address."""

    type: str
    name: str
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What keystone shall contain.

    Attributes:
        region: name of the region.
        entries: the catalogue.
        passwords: of each service's user, by name.
    """

    region: str
    entries: tuple[Entry, ...]
    passwords: Mapping[str, str] = field(repr=False)


def wanted(
    cloud: Cloud, services: Iterable[OpenStackService], passwords: Mapping[str, str]
) -> Wanted:
    """Return what a cloud's keystone shall contain.

    Args:
        cloud: the cloud.
        services: its services.
        passwords: `service-password` of each service with `identity`, by the service's name.
    """
    known = tuple(services)
    return Wanted(
        region=cloud.spec.region,
        entries=tuple(
            Entry(
                type=c.type,
                name=c.name,
                url=cloud.endpoint(c.role, c.port).url(c.path),
            )
            for c in (service.catalogue for service in known)
            if c
        ),
        passwords={s.name: passwords[s.name] for s in known if s.identity},
    )


def ensure_catalogue(
    connection: "Connection", wanted: Wanted, administrator: Credentials
) -> tuple[str, ...]:
    """Bring keystone's content to what is wanted; return what was changed, as text.

    Safe to repeat: everything is read first. What others added is left alone, except a second
    address of one interface, of which clients would take either.

    Args:
        connection: the administrator's.
        wanted: what keystone shall contain.
        administrator: names where users' passwords are tried.
    """
    identity = cast("Identity", connection.identity)
    changes: list[str] = []
    project = _one(identity.projects(name=PROJECT, domain_id=DOMAIN))
    if project is None:
        project = identity.create_project(name=PROJECT, domain_id=DOMAIN)
        changes.append(f"created project {PROJECT}")
    roles = {role.name: role.id for role in identity.roles()}
    for name, password in wanted.passwords.items():
        account = replace(administrator, username=name, password=password, project=PROJECT)
        changes += _ensure_user(identity, account, project.id, roles)
    services = list(identity.services())
    endpoints = list(identity.endpoints())
    for entry in wanted.entries:
        changes += _ensure_entry(identity, entry, wanted.region, services, endpoints)
    return tuple(changes)


def _ensure_user(
    identity: "Identity", account: Credentials, project: str, roles: Mapping[str, str]
) -> list[str]:
    """Return what was changed of a user: itself, its roles, its password."""
    name = account.username
    changes: list[str] = []
    user = _one(identity.users(name=name, domain_id=DOMAIN))
    fresh = user is None
    if user is None:
        user = identity.create_user(
            name=name, domain_id=DOMAIN, password=account.password, default_project_id=project
        )
        changes.append(f"created user {name}")
    elif not user.is_enabled:
        identity.update_user(user, is_enabled=True)
        changes.append(f"enabled user {name}")
    held = set() if fresh else _held(identity, user.id, project)
    for role in ROLES:
        if roles[role] not in held:
            identity.assign_project_role_to_user(project, user, roles[role])
            changes.append(f"gave user {name} the role {role}")
    if not fresh and not accepted(account):
        identity.update_user(user, password=account.password)
        changes.append(f"set the password of user {name}")
    return changes


def _held(identity: "Identity", user: str, project: str) -> set[str]:
    assignments = identity.role_assignments(user_id=user, scope_project_id=project)
    return {assignment.role["id"] for assignment in assignments}


def _ensure_entry(
    identity: "Identity", entry: Entry, region: str, services: list[Any], endpoints: list[Any]
) -> list[str]:
    """Return what was changed of a service and its addresses."""
    changes: list[str] = []
    service = _one(s for s in services if s.type == entry.type)
    if service is None:
        service = identity.create_service(type=entry.type, name=entry.name)
        changes.append(f"created service {entry.name}")
    elif service.name != entry.name or not service.is_enabled:
        identity.update_service(service, name=entry.name, is_enabled=True)
        changes.append(f"restored service {entry.name}")
    for interface in INTERFACES:
        place = {"service_id": service.id, "interface": interface, "region_id": region}
        there = [e for e in endpoints if all(getattr(e, k) == v for k, v in place.items())]
        changes += _ensure_endpoint(identity, entry, place, there)
    return changes


def _ensure_endpoint(
    identity: "Identity", entry: Entry, place: Mapping[str, str], there: list[Any]
) -> list[str]:
    """Return what was changed of the endpoints at one place: a service, interface and region."""
    interface = place["interface"]
    if not there:
        identity.create_endpoint(url=entry.url, **place)
        return [f"created the {interface} endpoint of {entry.name}"]
    changes: list[str] = []
    # One that is right already is kept, of others the first is put right.
    keep = next((e for e in there if e.url == entry.url and e.is_enabled), there[0])
    if keep.url != entry.url or not keep.is_enabled:
        identity.update_endpoint(keep, url=entry.url, is_enabled=True)
        changes.append(f"restored the {interface} endpoint of {entry.name}")
    for surplus in there:
        if surplus is not keep:
            identity.delete_endpoint(surplus)
            changes.append(f"removed a second {interface} endpoint of {entry.name}")
    return changes


def _one(found: Iterable[Any]) -> Any:
    return next(iter(found), None)

"""What the cloud's own APIs say of compute hosts."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackroles.openstack.servers import Guest, count_migrations, list_guests
from stackroles.openstack.services import (
    COMPUTE,
    Capacity,
    delete_service,
    list_hypervisors,
    list_services,
    read_capacity,
    read_claims,
    set_enabled,
)

if TYPE_CHECKING:
    from openstack.connection import Connection


_NAMED = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """One compute host as the cloud sees it.

    Attributes:
        name: the host, which is the Kubernetes node.
        service: UUID of its nova-compute.
        up: whether it reported lately.
        enabled: whether the scheduler may choose it.
        reason: why it is disabled.
        vcpus: virtual CPUs, 0 while it is not known to placement.
        memory_mib: memory.
        guests: guests on it, of all projects.
        zone: its availability zone; nova's default for one that is in none.
        servers: the guests, sorted by id.
    """

    name: str
    service: str
    up: bool
    enabled: bool
    reason: str = ""
    vcpus: int = 0
    memory_mib: int = 0
    guests: int = 0
    zone: str = ""
    servers: tuple[Guest, ...] = ()


def read_hosts(connection: "Connection", names: Collection[str], reason: str) -> tuple[Host, ...]:
    """Return those of the named hosts that have a nova-compute service, sorted by name.

    Args:
        connection: the administrator's.
        names: hosts to look at.
        reason: hosts that were closed for it are looked at as well: nova's own record of them
            outlives everything else that named them.
    """
    services = [
        service
        for service in list_services(connection, COMPUTE)
        if service.host in names or (not service.enabled and service.reason == reason)
    ]
    if not services:
        return ()
    hypervisors = {h.host: h.id for h in list_hypervisors(connection)}
    guests: dict[str, list[Guest]] = {}
    for guest in list_guests(connection):
        guests.setdefault(guest.host, []).append(guest)
    hosts = []
    for service in sorted(services, key=lambda s: s.host):
        hypervisor = hypervisors.get(service.host)
        capacity = read_capacity(connection, hypervisor) if hypervisor else Capacity()
        hosts.append(
            Host(
                name=service.host,
                service=service.id,
                up=service.up,
                enabled=service.enabled,
                reason=service.reason,
                vcpus=capacity.vcpus,
                memory_mib=capacity.memory_mib,
                guests=len(guests.get(service.host, ())),
                zone=service.zone,
                servers=tuple(sorted(guests.get(service.host, ()), key=lambda found: found.id)),
            )
        )
    return tuple(hosts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Occupancy:
    """What still needs a host.

    Attributes:
        guests: servers on it, in any state.
        migrations: moves from or to it that have not ended.
        claims: who else has resources of it in placement, such as servers about to be built there.
    """

    guests: int = 0
    migrations: int = 0
    claims: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether nothing needs the host."""
        return self == Occupancy()

    @property
    def words(self) -> str:
        """What is there, as people say it."""
        said = (
            (self.guests, "guest", "guests"),
            (self.migrations, "unfinished migration", "unfinished migrations"),
            (len(self.claims), "claim in placement", "claims in placement"),
        )
        words = ", ".join(f"{n} {one if n == 1 else more}" for n, one, more in said if n)
        return f"{words}, of {', '.join(self.claims[:_NAMED])}" if self.claims else words


def close_hosts(
    connection: "Connection", names: Collection[str], reason: str
) -> dict[str, Occupancy]:
    """Keep new guests from hosts that shall leave; return what needs each of them afterwards.

    Only our own word is taken back by `open_hosts`: a host that a person disabled stays as it is.
    """
    services = [s for s in list_services(connection, COMPUTE) if s.host in names]
    for service in services:
        if service.enabled:
            set_enabled(connection, service.id, False, reason)
    # What a dead host's guests claimed stays in placement after they were evacuated.
    up = {service.host for service in services if service.up}
    hypervisors = {h.host: h.id for h in list_hypervisors(connection) if h.host in up}
    guests: dict[str, set[str]] = {}
    for guest in list_guests(connection):
        guests.setdefault(guest.host, set()).add(guest.id)
    found = {}
    for name in sorted(names):
        mine, provider = guests.get(name, set()), hypervisors.get(name)
        claims = read_claims(connection, provider) if provider else frozenset()
        found[name] = Occupancy(
            guests=len(mine),
            migrations=count_migrations(connection, name),
            claims=tuple(sorted(claims - mine)),
        )
    return found


def disable_hosts(connection: "Connection", reasons: Mapping[str, str]) -> tuple[str, ...]:
    """Keep new guests from enabled hosts; return which were disabled.

    Args:
        connection: the administrator's.
        reasons: why, by host; what nova's record of the service says.
    """
    disabled = []
    for service in list_services(connection, COMPUTE):
        if service.host in reasons and service.enabled:
            set_enabled(connection, service.id, False, reasons[service.host])
            disabled.append(service.host)
    return tuple(disabled)


def open_hosts(connection: "Connection", names: Collection[str], word: str) -> tuple[str, ...]:
    """Let the scheduler choose hosts again that were closed for what begins so; return which."""
    opened = []
    for service in list_services(connection, COMPUTE):
        if service.host in names and not service.enabled and service.reason.startswith(word):
            set_enabled(connection, service.id, True)
            opened.append(service.host)
    return tuple(opened)


def remove_hosts(connection: "Connection", names: Collection[str]) -> tuple[str, ...]:
    """Remove hosts whose agents have stopped from nova and neutron; return what was removed.

    Deleting the service also removes the host's mapping, aggregates and resource provider; deleting
    neutron's agents also removes OVN's chassis.
    """
    removed = []
    for service in list_services(connection, COMPUTE):
        if service.host in names:
            delete_service(connection, service.id)
            removed.append(f"service of {service.host}")
    for agent in connection.network.agents():
        if agent.host in names:
            connection.network.delete_agent(agent.id, ignore_missing=True)
            removed.append(f"{agent.agent_type} of {agent.host}")
    return tuple(removed)

"""What the cloud's own APIs say of compute hosts."""

from collections.abc import Collection, Iterable, Mapping
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
# Of each read of a cloud's hosts: at one every ten seconds 1000 hosts are read anew in a quarter of
# an hour, and a small cloud's every time.
_CAPACITIES_READ = 10


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


class HostReader:
    """Reads the compute hosts of one cloud, for all of its pools.

    Placement has no answer with the inventories of many providers, so that each host costs a
    request. What a host has changes with its hardware or its configuration: a known one is asked
    for again when its turn comes.
    """

    def __init__(self) -> None:
        self._capacities: dict[str, Capacity] = {}

    def read(self, connection: "Connection") -> tuple[Host, ...]:
        """Return all hosts that have a nova-compute service, sorted by name.

        Args:
            connection: the administrator's.
        """
        services = list_services(connection, COMPUTE)
        if not services:
            return ()
        hypervisors = {h.host: h.id for h in list_hypervisors(connection)}
        self._read_capacities(connection, [*hypervisors.values()])
        guests: dict[str, list[Guest]] = {}
        for guest in list_guests(connection):
            guests.setdefault(guest.host, []).append(guest)
        hosts = []
        for service in sorted(services, key=lambda found: found.host):
            capacity = self._capacities.get(hypervisors.get(service.host, ""), Capacity())
            servers = guests.get(service.host, [])
            hosts.append(
                Host(
                    name=service.host,
                    service=service.id,
                    up=service.up,
                    enabled=service.enabled,
                    reason=service.reason,
                    vcpus=capacity.vcpus,
                    memory_mib=capacity.memory_mib,
                    guests=len(servers),
                    zone=service.zone,
                    servers=tuple(sorted(servers, key=lambda found: found.id)),
                )
            )
        return tuple(hosts)

    def _read_capacities(self, connection: "Connection", hypervisors: Collection[str]) -> None:
        """Read what hypervisors have: of those not known yet, and of a few whose turn it is."""
        known = {name: held for name, held in self._capacities.items() if name in hypervisors}
        unknown = [name for name in hypervisors if not known.get(name, Capacity()).vcpus]
        longest_ago = [name for name in known if name not in unknown][:_CAPACITIES_READ]
        for name in (*unknown, *longest_ago):
            known.pop(name, None)  # the order is that in which they were read
            known[name] = read_capacity(connection, name)
        self._capacities = known


def select_hosts(hosts: Iterable[Host], names: Collection[str], reason: str) -> tuple[Host, ...]:
    """Return the named hosts, and those that are disabled for a reason.

    Nova's own record of a host that was closed for leaving outlives everything else that named it.

    Args:
        hosts: all hosts of a cloud.
        names: hosts to return.
        reason: the reason.
    """
    return tuple(
        host for host in hosts if host.name in names or (not host.enabled and host.reason == reason)
    )


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
    def description(self) -> str:
        """What is there, in a sentence."""
        counts = (
            (self.guests, "guest", "guests"),
            (self.migrations, "unfinished migration", "unfinished migrations"),
            (len(self.claims), "claim in placement", "claims in placement"),
        )
        description = ", ".join(f"{n} {one if n == 1 else more}" for n, one, more in counts if n)
        return (
            f"{description}, of {', '.join(self.claims[:_NAMED])}" if self.claims else description
        )


def disable_leaving_hosts(
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


def enable_hosts(connection: "Connection", names: Collection[str], word: str) -> tuple[str, ...]:
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

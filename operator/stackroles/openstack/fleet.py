"""What the cloud's own APIs say of compute hosts."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stackroles.openstack.servers import list_guests
from stackroles.openstack.services import (
    COMPUTE,
    Capacity,
    delete_service,
    list_hypervisors,
    list_services,
    read_capacity,
    set_enabled,
)

if TYPE_CHECKING:
    from openstack.connection import Connection


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
    """

    name: str
    service: str
    up: bool
    enabled: bool
    reason: str = ""
    vcpus: int = 0
    memory_mib: int = 0
    guests: int = 0


def read_hosts(connection: "Connection", names: Collection[str]) -> tuple[Host, ...]:
    """Return those of the named hosts that have a nova-compute service, sorted by name.

    Args:
        connection: the administrator's.
        names: hosts to look at.
    """
    wanted = set(names)
    services = [s for s in list_services(connection, COMPUTE) if s.host in wanted]
    if not services:
        return ()
    hypervisors = {h.host: h.id for h in list_hypervisors(connection)}
    guests = Counter(guest.host for guest in list_guests(connection))
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
                guests=guests[service.host],
            )
        )
    return tuple(hosts)


def close_hosts(connection: "Connection", names: Collection[str], reason: str) -> dict[str, int]:
    """Keep new guests from hosts that shall leave; return how many are on each afterwards.

    Only our own word is taken back by `open_hosts`: a host that a person disabled stays as it is.
    """
    for service in list_services(connection, COMPUTE):
        if service.host in names and service.enabled:
            set_enabled(connection, service.id, False, reason)
    return {
        host: count
        for host, count in Counter(guest.host for guest in list_guests(connection)).items()
        if host in names
    }


def open_hosts(connection: "Connection", names: Collection[str], reason: str) -> tuple[str, ...]:
    """Let the scheduler choose hosts again that were closed for `reason`; return which."""
    opened = []
    for service in list_services(connection, COMPUTE):
        if service.host in names and not service.enabled and service.reason == reason:
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

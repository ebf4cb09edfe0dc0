"""Availability zones, which in nova are host aggregates."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from stackroles.errors import CloudError

if TYPE_CHECKING:
    from openstack.connection import Connection

ZONE = "availability_zone"


def ensure_zone(connection: "Connection", zone: str, hosts: Collection[str]) -> tuple[str, ...]:
    """Bring hosts into an availability zone; return what was changed, in words.

    The zone's aggregate has the zone's name. Hosts that it has besides are left alone: they belong
    to another pool, or to a person.

    Args:
        connection: the administrator's.
        zone: the availability zone.
        hosts: nova's names of the hosts.

    Raises:
        CloudError: a host has guests in another zone, or the aggregate belongs to another zone.
    """
    compute = connection.compute
    changes: list[str] = []
    aggregate = next((a for a in compute.aggregates() if a.name == zone), None)
    if aggregate is None:
        if not hosts:
            return ()
        aggregate = compute.create_aggregate(name=zone, availability_zone=zone)
        changes.append(f"created aggregate {zone}")
    there = (aggregate.metadata or {}).get(ZONE) or aggregate.availability_zone
    if there != zone:
        raise CloudError(
            f"the aggregate {zone} belongs to the availability zone {there or '(none)'}: rename "
            f"it, or set its metadata {ZONE}={zone}"
        )
    for host in sorted(set(hosts) - set(aggregate.hosts or ())):
        compute.add_host_to_aggregate(aggregate, host)
        changes.append(f"added host {host} to zone {zone}")
    return tuple(changes)


def leave_zones(connection: "Connection", host: str) -> tuple[str, ...]:
    """Take a host out of every availability zone; return what was changed, in words.

    Raises:
        CloudError: it still has guests.
    """
    changes: list[str] = []
    for aggregate in connection.compute.aggregates():
        zone = (aggregate.metadata or {}).get(ZONE) or aggregate.availability_zone
        if zone and host in (aggregate.hosts or ()):
            connection.compute.remove_host_from_aggregate(aggregate, host)
            changes.append(f"removed host {host} from zone {zone}")
    return tuple(changes)

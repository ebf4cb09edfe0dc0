"""Availability zones, which in nova are host aggregates."""

from collections.abc import Collection
from typing import TYPE_CHECKING

from stackroles.errors import CloudError
from stackroles.openstack.servers import list_guests

if TYPE_CHECKING:
    from openstack.compute.v2.aggregate import Aggregate
    from openstack.connection import Connection

ZONE = "availability_zone"
_CONFLICT = 409


def keep_zone(
    connection: "Connection", zone: str | None, hosts: Collection[str]
) -> tuple[str, ...]:
    """Bring hosts into an availability zone and out of all others; return what was changed.

    The zone's aggregate has the zone's name. Hosts that it has besides are left alone: they belong
    to another pool, or to a person. What one host refuses holds up no other.

    Args:
        connection: the administrator's.
        zone: the availability zone, None for no zone of their own.
        hosts: nova's names of the hosts.

    Raises:
        CloudError: a host has guests in another zone, or the aggregate belongs to another zone.
    """
    aggregates = list(connection.compute.aggregates())
    changes: list[str] = []
    target = _aggregate(connection, zone, aggregates, changes) if zone and hosts else None
    refused: list[str] = []
    for host in sorted(hosts):
        try:
            if stays := _leave_others(connection, zone, host, aggregates, changes):
                refused.append(stays)
            elif target is not None and host not in (target.hosts or ()):
                connection.compute.add_host_to_aggregate(target, host)
                changes.append(f"added host {host} to zone {zone}")
        except Exception as error:
            if getattr(error, "status_code", None) != _CONFLICT:
                raise
            refused.append(f"{host}: {getattr(error, 'details', None) or error}")
    if refused:
        raise CloudError("; ".join(refused))
    return tuple(changes)


def _aggregate(
    connection: "Connection", zone: str, aggregates: list["Aggregate"], changes: list[str]
) -> "Aggregate":
    """Return the zone's aggregate, made where there is none."""
    found = next((a for a in aggregates if a.name == zone), None)
    if found is None:
        changes.append(f"created aggregate {zone}")
        made: Aggregate = connection.compute.create_aggregate(name=zone, availability_zone=zone)
        return made
    there = _zone_of(found)
    if there != zone:
        raise CloudError(
            f"the aggregate {zone} belongs to the availability zone {there or '(none)'}: rename "
            f"it, or set its metadata {ZONE}={zone}"
        )
    return found


def _leave_others(
    connection: "Connection",
    zone: str | None,
    host: str,
    aggregates: list["Aggregate"],
    changes: list[str],
) -> str:
    """Take a host out of every availability zone but one; return why it stays, empty if not."""
    others = [a for a in aggregates if _zone_of(a) not in ("", zone) and host in (a.hosts or ())]
    if not others:
        return ""
    guests = len(list_guests(connection, host))
    if guests:
        there = _zone_of(others[0])
        return f"{host} stays in zone {there} while it has guests ({guests}): move or delete them"
    for other in others:
        connection.compute.remove_host_from_aggregate(other, host)
        changes.append(f"removed host {host} from zone {_zone_of(other)}")
    return ""


def _zone_of(aggregate: "Aggregate") -> str:
    return (aggregate.metadata or {}).get(ZONE) or aggregate.availability_zone or ""

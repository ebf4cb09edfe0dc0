"""Guests, as nova knows them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openstack.connection import Connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One server.

    Attributes:
        id: UUID.
        name: its name.
        project: UUID of its owner.
        status: ACTIVE, SHUTOFF, ERROR ...
        task: what is being done to it, empty for nothing.
        instance: libvirt's name of its domain.
        host: where it is.
    """

    id: str
    name: str
    project: str
    status: str
    task: str
    instance: str
    host: str


def list_guests(connection: "Connection", host: str | None = None) -> tuple[Guest, ...]:
    """Return the guests of all projects, or those on one host."""
    query = {"compute_host": host} if host else {}
    return tuple(
        Guest(
            id=str(found.id),
            name=found.name,
            project=found.project_id or "",
            status=found.status,
            task=found.task_state or "",
            instance=found.instance_name or "",
            host=found.compute_host or "",
        )
        for found in connection.compute.servers(details=True, all_projects=True, **query)
    )

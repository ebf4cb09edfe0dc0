"""Guests and their moves, as nova knows them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openstack.connection import Connection

# A migration in any other state still needs the hosts it names; a resize that nobody confirmed too.
_ENDED = frozenset({"confirmed", "reverted", "error", "failed", "completed", "cancelled", "done"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """One server.

    Attributes:
        id: UUID.
        name: its name.
        project: UUID of its owner.
        status: ACTIVE, SHUTOFF, ERROR ...
        task: what is being done to it, empty for nothing.
        host: where it is.
        updated: when its record last changed, in RFC 3339; empty where nova does not say.
    """

    id: str
    name: str
    project: str
    status: str
    task: str
    host: str
    updated: str = ""


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
            host=found.compute_host or "",
            updated=found.updated_at or "",
        )
        for found in connection.compute.servers(details=True, all_projects=True, **query)
    )


def count_migrations(connection: "Connection", host: str) -> int:
    """Return how many moves from or to a host have not ended."""
    found = connection.compute.migrations(host=host)
    return sum(1 for migration in found if migration.status not in _ENDED)

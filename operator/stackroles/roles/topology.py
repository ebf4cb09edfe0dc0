"""Which instances of roles serve a cloud: the one place where the default ones are named.

A role runs once for a cloud, or once for each of its cells. Whoever needs a database or a broker
asks here for its address and never names it, so that a cell can have its own.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, order=True)
class RoleInstance:
    """The address of a role that runs.

    Attributes:
        role: the role.
        cell: the cell it serves, "" for the whole cloud.
    """

    role: str
    cell: str = ""

    @property
    def name(self) -> str:
        """What it is called among a cloud's workloads, and in its spec and status."""
        return f"{self.role}-{self.cell}" if self.cell else self.role


@dataclass(frozen=True, slots=True, kw_only=True)
class Topology:
    """The instances that a part of a cloud uses.

    Attributes:
        database: where its databases are.
        proxy: through which it reaches them.
        broker: where its queues are.
        cache: where it caches.
        cell: nova's name of the cell.
    """

    database: RoleInstance
    proxy: RoleInstance
    broker: RoleInstance
    cache: RoleInstance
    cell: str


DEFAULT: Final = Topology(
    database=RoleInstance("mariadb"),
    proxy=RoleInstance("haproxy"),
    broker=RoleInstance("rabbitmq"),
    cache=RoleInstance("memcached"),
    cell="cell1",
)
"""The instances of a cloud, and of its first cell."""

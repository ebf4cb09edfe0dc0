"""What the operator gives the agent of an OVN database: its OvsdbSettings as a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbSettings:
    """What the operator configures; addresses without scheme, members by ordinal."""

    database: str
    schema: str
    path: str
    control: str
    socket: str
    port: int
    raft_port: int
    members: tuple[str, ...]
    election_timer_ms: int
    inactivity_probe_ms: int

    def raft(self, ordinal: int) -> str:
        """Return a member's raft address."""
        return f"tcp:{self.members[ordinal]}:{self.raft_port}"

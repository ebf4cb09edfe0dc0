"""How the database cluster stands, as far as it shows in a cloud's status."""

from dataclasses import dataclass

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding

DATABASE = DEFAULT.database.name


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """What the database cluster's own reconcile found.

    Attributes:
        writer: the member that clients write to.
        message: how the cluster stands, empty when all members are synced.
        blocked: why it waits for a person, empty when it does not.
        failing: the errors of members whose servers did not start again and again.
        note: what is under way, where there are to be fewer; empty when nothing is.
        lost: the member that is gone with its volume, and what to do; None without any.
    """

    writer: str | None = None
    message: str = ""
    blocked: str = ""
    failing: str = ""
    note: str = ""
    lost: Finding | None = None

    @property
    def problem(self) -> Finding | None:
        """What holds the database up and does not go away by itself."""
        if self.blocked:
            return Finding(Reason.DATABASE_BLOCKED, self.blocked)
        if self.lost:
            return Finding(self.lost.reason, f"Role {DATABASE}: {self.lost.message}")
        if not self.failing:
            return None
        return Finding(
            Reason.CRASHING,
            f"Role {DATABASE}: members do not start. {self.failing.strip()} Correct what it names, "
            f"such as an option in spec.config.{DATABASE}: members get it by themselves. More is "
            "in the log of the member's pod.",
        )

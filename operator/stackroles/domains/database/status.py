"""How the database cluster stands, as far as it shows in a cloud's status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stackroles.agents.galera.protocol import Connections, MemberPhase, Report
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.database.model import Member
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding
from stackroles.workloads.course import Course, Decided

DATABASE = DEFAULT.database.name
# A server whose volume is full stops; what is left is time to enlarge it.
FILLING_PERCENT: Final = 80
# Of half a minute, flow control paused replication for so much: every write waits for a member.
PAUSED_PERCENT: Final = 50
_DECISIONS_KEPT: Final = 8
_UNKNOWN: Final = Finding(Reason.DATABASE_UNKNOWN, "No database member has answered yet.")


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseState:
    """What the database cluster's own reconcile found.

    Attributes:
        writer: the member that clients write to.
        message: how the cluster stands, empty when all members are synced.
        blocked: why it waits for a person, empty when it does not.
        failing: the errors of members whose servers did not start again and again.
        note: what is under way: members that leave, or serve without being synced; empty without.
        lost: the member that is gone with its volume, and what to do; None without any.
        health: whether members lack something while they serve.
        decided: what was decided since members were last all synced, the last of it kept.
    """

    writer: str | None = None
    message: str = ""
    blocked: str = ""
    failing: str = ""
    note: str = ""
    lost: Finding | None = None
    health: Finding = _UNKNOWN
    decided: Sequence[Decided] = ()

    @property
    def course(self) -> Course:
        """How it comes back from a loss."""
        return Course(self.decided, unsettled=bool(self.message))

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


def add_decision(
    former: DatabaseState, decided: str, ready: bool, now: datetime
) -> Sequence[Decided]:
    """Return what was decided since the members were last all synced, with what was just now.

    What ended an incident stays until the next one begins, for who has not read it yet.

    Args:
        former: how the database stood before.
        decided: what was decided now, empty for nothing.
        ready: whether all members are synced.
        now: the time of it.
    """
    begins = not ready and not former.message
    kept = () if begins else tuple(former.decided)
    if not decided or any(known.text == decided for known in kept):
        return kept
    return (*kept, Decided(now, decided))[-_DECISIONS_KEPT:]


@dataclass(frozen=True, slots=True)
class VolumeClaim:
    """A member's volume claim.

    Attributes:
        name: the claim.
        size: what it has, as Kubernetes writes quantities; empty when not known.
    """

    name: str
    size: str = ""


def assess_health(members: Sequence[Member], claims: Mapping[str, VolumeClaim]) -> Finding:
    """Return what members lack while they serve, worst first.

    Args:
        members: all members.
        claims: the volume claim of each that has one, by pod name.
    """
    known = [(m.name, m.known) for m in members if m.known]
    if not known:
        return Finding(Reason.DATABASE_UNKNOWN, "No database member answers.")
    crowded = [_crowded(name, r.connections) for name, r in known if r.connections]
    filling = [
        _filling(name, r, claims.get(name))
        for name, r in known
        if r.disk_percent >= FILLING_PERCENT or r.full
    ]
    found = (
        *(Finding(Reason.CONNECTIONS_USED_UP, text) for text in crowded),
        *(Finding(Reason.DATABASE_VOLUME_FILLING, text) for text in filling),
        *(Finding(Reason.REPLICATION_PAUSED, text) for text in _paused(known)),
    )
    if not found:
        return Finding(Reason.DATABASE_SOUND, "Volumes have room; connections are left.")
    return Finding(found[0].reason, " ".join(finding.message for finding in found))


def explain_desync(members: Sequence[Member]) -> str:
    """Return which members are desynced while they serve, as a sentence; empty without any.

    A donor of a transfer is, and so is a member that streams a backup.
    """
    found = [m.name for m in members if m.known and m.known.view and m.known.view.donor]
    if not found:
        return ""
    return f"{', '.join(found)}: desynced while it gives a copy of its data; it catches up after."


def _crowded(name: str, found: Connections) -> str:
    return (
        f"{found.used} of {found.limit} connections of {name} are used, {found.count} of them by "
        f"the account {found.account}: nobody can connect once all are. Look for what that service "
        "waits for in its log, have it use fewer (max_pool_size and max_overflow in its section "
        f"[database]), or raise max_connections in spec.config.{DATABASE}."
    )


def _paused(known: Sequence[tuple[str, Report]]) -> list[str]:
    percent = max(report.paused_percent for _, report in known)
    if percent < PAUSED_PERCENT:
        return []
    slow = ", ".join(name for name, report in known if report.pauses) or "a member"
    message = (
        f"Flow control paused replication for {percent} % of the last half minute, since {slow} "
        "does not keep up, and every write waits for it. Compare the disk and the processor of its "
        "node with the others'; a backup or another load there may be the reason."
    )
    return [message]


def _filling(name: str, report: Report, claim: VolumeClaim | None) -> str:
    where = f"claim {claim.name}" if claim else "its volume"
    size = f" ({claim.size})" if claim and claim.size else ""
    what = "a server without room stops"
    if report.full and report.phase is MemberPhase.WAITING:
        what = f"{name} has left the cluster before that, and joins again once there is room"
    return (
        f"{report.disk_percent} % of the file system of {name} on {where}{size} are used; {what}. "
        f"Set a larger spec.roles.{DATABASE}.storage.size where its storage class can "
        "expand volumes, or make room in it: old rows that services keep (nova-manage db "
        "archive_deleted_rows, then purge), or a shorter binlog_expire_logs_seconds in "
        f"spec.config.{DATABASE}."
    )

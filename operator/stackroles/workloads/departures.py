"""Which member of a role that decides by majority leaves next, where there are to be fewer; pure.

Members that are merely stopped keep their votes: RabbitMQ's quorum queues and OVN's raft lose their
majority, and nobody is left who could vote them out (seen with RabbitMQ 4.0, 3 to 1). So the
StatefulSet keeps its size until the member with the highest number has left the cluster by its own
agent, is then one smaller, and so on. Everything is observed anew at each step: an operator that
was killed goes on where it was, and a number that is set back ends it.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberView:
    """What is known of one member.

    Attributes:
        healthy: whether it is in contact with a majority.
        left: whether it is out of the cluster for good, by its own account and the others'.
        kept_because: why it cannot leave now, which passes by itself; empty when it can.
    """

    healthy: bool = False
    left: bool = False
    kept_because: str = ""


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask this member to leave."""

    ordinal: int


@dataclass(frozen=True, slots=True)
class Remove:
    """This member has left: its volume is not needed any more, nor its pod."""

    ordinal: int


@dataclass(frozen=True, slots=True)
class Wait:
    """No member can leave yet."""

    because: str


Departure = Ask | Remove | Wait


def next_departure(
    *, wanted: int, present: int, settled: bool, members: Mapping[int, MemberView]
) -> Departure | None:
    """Return what is to be done so that a role has fewer members, None when nothing is.

    Args:
        wanted: how many members there are to be.
        present: how many the StatefulSet has.
        settled: whether all pods have the newest configuration.
        members: what is known of each, by ordinal; who did not answer is left out.
    """
    if present <= wanted:
        return None
    leaver = present - 1
    leaving = members.get(leaver)
    if leaving is not None and leaving.left:
        return Remove(leaver)
    because = _held_back(leaver, settled=settled, members=members)
    return Wait(because) if because else Ask(leaver)


def _held_back(leaver: int, *, settled: bool, members: Mapping[int, MemberView]) -> str:
    """Return why a member cannot be asked to leave yet, empty when it can."""
    if not settled:
        return "the members get their new configuration first"
    away = [n for n in range(leaver) if not members.get(n, MemberView()).healthy]
    if away:
        return f"members {', '.join(map(str, away))}, which stay, are not healthy"
    leaving = members.get(leaver)
    if leaving is None:
        return f"member {leaver} does not answer, and leaves by itself only"
    if leaving.kept_because:
        return f"member {leaver} stays for now, since {leaving.kept_because}"
    return ""


def size_for(wanted: int, present: int | None, going: int | None) -> int:
    """Return how many members a StatefulSet is to have now.

    Args:
        wanted: how many there are to be.
        present: how many it has, None where it does not exist.
        going: the member that has left and may go, None where none has or it is not known.
    """
    if present is None or present <= wanted:
        return wanted
    return present - 1 if going == present - 1 else present

"""What the parts of the decision about a Galera cluster ask of its members; pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from stackroles.agents.galera.protocol import MemberPhase, View
from stackroles.domains.database.model import Member, PersistedState

# Phases in which a server runs, or may.
ALIVE: Final = frozenset({MemberPhase.STARTING, MemberPhase.RUNNING, MemberPhase.STOPPING})
# Starts in a row that come to nothing once are met in any outage; again, and somebody must know.
STARTS_THAT_TELL: Final = 2


def find(members: Sequence[Member], name: str) -> Member | None:
    """Return the member of a name."""
    return next((member for member in members if member.name == name), None)


def names(members: Iterable[str]) -> str:
    """Return names as they are listed in a sentence."""
    return ", ".join(sorted(members))


def failures(members: Sequence[Member], least: int = 1) -> str:
    """Return the errors of members whose last starts failed, to be added to a sentence.

    Args:
        members: all members.
        least: how many starts in a row make one count.
    """
    found = [
        f" {m.name}, start {m.known.failed_starts}: {m.known.failure}"
        for m in members
        if m.known and m.known.failed_starts >= least and m.known.failure
    ]
    return "".join(found)


def unfit(member: Member, views: Mapping[str, View], persisted: PersistedState) -> str | None:
    """Return why a waiting member must not join, or None when it may.

    Args:
        member: the member.
        views: what those that serve see, by name; there is one at least.
        persisted: what is recorded.
    """
    position = member.position
    if position is None or position.uuid is None:
        return None
    if position.uuid != persisted.uuid:
        return (
            f"{member.name} holds another history ({position.uuid}); empty its volume to let it "
            "join with a full transfer."
        )
    committed = max(view.committed for view in views.values())
    if position.seqno > committed:
        return (
            f"{member.name} holds transactions up to {position.seqno}, the cluster only up to "
            f"{committed}: joining would drop them. Save its data, then empty its volume."
        )
    return None

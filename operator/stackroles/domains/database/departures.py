"""Which members of a Galera cluster are whole, and which have left it for good; pure."""

from collections.abc import Mapping, Sequence

from stackroles.agents.galera.protocol import View
from stackroles.domains.database.members import unfit
from stackroles.domains.database.model import Member, PersistedState
from stackroles.workloads.departures import MemberView


def has_left(member: Member, views: Mapping[str, View], persisted: PersistedState) -> bool:
    """Return whether a member has left for good, with nothing that those who serve lack.

    Args:
        member: the member.
        views: what those that serve see, by name; there is one at least.
        persisted: what is recorded.
    """
    report = member.known
    if report is None or not member.leaving or member.position is None:
        return False
    counted = any(report.address in view.addresses for view in views.values())
    return not counted and unfit(member, views, persisted) is None


def view_members(
    members: Sequence[Member], persisted: PersistedState, writers: Mapping[str, int | None]
) -> Mapping[int, MemberView]:
    """Return what is known of each member, by ordinal; who did not answer is left out.

    A member has left once its volume is on record no more: until then a start of the cluster would
    wait for what it holds.

    Args:
        members: all members.
        persisted: what is recorded.
        writers: number of the member that each proxy sends clients to, as `pull_writers` has it.
    """
    serving = any(member.view for member in members)
    return {
        member.ordinal: MemberView(
            healthy=member.view is not None and member.view.synced,
            left=(
                serving
                and member.leaving
                and member.position is not None
                and member.name not in persisted.volumes
            ),
            kept_because=_kept_because(member, writers),
        )
        for member in members
        if member.known
    }


def _kept_because(member: Member, writers: Mapping[str, int | None]) -> str:
    """Return why the proxies do not let a member go yet, empty when they do."""
    if writers and not any(number is not None for number in writers.values()):
        return "no proxy answers which member is the writer"
    naming = sorted(pod for pod, number in writers.items() if number == member.ordinal + 1)
    return f"it is the writer of {', '.join(naming)}" if naming else ""

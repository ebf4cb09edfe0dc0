"""Which database member to restart next, so that a new template reaches all of them; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from stackroles.agents.galera.protocol import MemberPhase, Mode
from stackroles.domains.database.model import Member


@dataclass(frozen=True, slots=True, kw_only=True)
class RollMember:
    """One member with what its pod says.

    Attributes:
        member: the member as observed.
        outdated: its pod was made from an older template.
        leaving: its pod is being deleted.
        running: the kubelet says that its container runs.
    """

    member: Member
    outdated: bool
    leaving: bool = False
    running: bool = True


def next_to_restart(members: Sequence[RollMember], writer: str | None) -> str | None:
    """Return the pod to delete now, or None.

    One at a time, and nobody while a state is sent or received. Among whole members the writer
    comes last. What does not serve is restarted first, since it is what stopped the roll: a member
    whose container does not run (no node, no image) or whose server cannot be started has nothing
    to disturb, so it gets the new template whatever the others do. One that merely lacks waits for
    the others to be whole: it may come back by itself.

    Args:
        members: all members; one that has left its cluster is not restarted, nor waited for.
        writer: pod of the present writer, None when not known.
    """
    members = [m for m in members if not (m.member.leaving and m.member.position)]
    outdated = [m for m in members if m.outdated]
    if not outdated or any(m.leaving or m.member.pod_uid is None for m in members):
        return None
    idle = [m for m in outdated if not m.running and m.member.known is None]
    if idle:
        return idle[-1].member.name
    if any(_transfers(m.member) for m in members):
        return None
    failing = [m for m in outdated if _stopped(m.member) and _failing(m.member)]
    return failing[0].member.name if failing else _next_sound(members, writer)


def _next_sound(members: Sequence[RollMember], writer: str | None) -> str | None:
    """Return whom to restart of members that can start; none is sending or receiving a state."""
    views = [m.member.view for m in members]
    lacking = [m for m, view in zip(members, views, strict=True) if not (view and view.synced)]
    if lacking:
        alone = len(lacking) == 1 < len(members) and lacking[0].outdated
        return lacking[0].member.name if alone and _stopped(lacking[0].member) else None
    if any(view and view.size != len(members) for view in views):
        return None
    order = sorted(members, key=lambda m: (m.member.name == writer, -m.member.ordinal))
    return next((m.member.name for m in order if m.outdated), None)


def _transfers(member: Member) -> bool:
    """Return whether a member sends or receives a state, or may be about to."""
    report = member.known
    if report is None:
        return False
    sends = report.view is not None and report.view.donor
    return sends or report.joining or report.phase is MemberPhase.STARTING


def _stopped(member: Member) -> bool:
    """Return whether no server runs, and none may be starting by a published decision."""
    report, published = member.known, member.published
    if report is None or report.phase not in (MemberPhase.WAITING, MemberPhase.RECOVERING):
        return False
    return (
        published is None or published.mode is Mode.RECOVER or published.attempt != report.attempt
    )


def _failing(member: Member) -> bool:
    """Return whether a member has shown that its server cannot be started as it is."""
    report = member.known
    if report is None:
        return False
    return report.failed_starts > 0 or bool(report.position and report.position.error)

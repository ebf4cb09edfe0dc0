"""Which database member to restart next, so that a new template reaches all of them; pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from stackroles.plan.galera_model import Member, Phase


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

    One at a time, and only while every other member is whole and none sends or receives a state.
    Among whole members the writer comes last. One that does not come up on its older template is
    restarted first: it is what stopped the roll. One whose container does not run (no node, no
    image) has nothing to disturb, so it is made anew whatever the others do.

    Args:
        members: all members that should exist.
        writer: pod of the present writer, None when not known.
    """
    outdated = [m for m in members if m.outdated]
    if not outdated or any(m.leaving or m.member.pod_uid is None for m in members):
        return None
    idle = [m for m in outdated if not m.running and m.member.known is None]
    if idle:
        return idle[-1].member.name
    views = [m.member.view for m in members]
    whole = [m for m, view in zip(members, views, strict=True) if view and view.synced]
    if any(view and view.donor for view in views):
        return None
    broken = [m for m in members if m not in whole]
    if broken:
        return _broken(broken, len(members))
    if any(view and view.size != len(members) for view in views):
        return None
    order = sorted(outdated, key=lambda m: (m.member.name == writer, -m.member.ordinal))
    return order[0].member.name


def _broken(broken: Sequence[RollMember], count: int) -> str | None:
    """Return the one member that lacks, if a restart disturbs nothing."""
    if len(broken) > 1 or count == 1:
        return None
    lacking = broken[0]
    report = lacking.member.known
    stopped = report.phase in (Phase.WAITING, Phase.RECOVERING) if report else not lacking.running
    return lacking.member.name if lacking.outdated and stopped else None

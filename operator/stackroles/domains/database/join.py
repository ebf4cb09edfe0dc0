"""Decide for the members of a Galera cluster while a primary component is there; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from stackroles.agents.galera.protocol import Decision, MemberPhase, Mode, Transfer, View
from stackroles.domains.database.departures import has_left
from stackroles.domains.database.members import ALIVE, find, names, unfit
from stackroles.domains.database.model import Member, Outcome, PersistedState, Verdict

# A joiner that failed so often by its own position gets the data as a whole.
STARTS_BEFORE_FULL: Final = 3


def join(members: Sequence[Member], persisted: PersistedState, epoch: int) -> Outcome:
    """Return what to publish to the members; `galera.decide` says what the arguments are."""
    views = {member.name: member.view for member in members if member.view}
    histories = {view.uuid for view in views.values()} | (
        {persisted.uuid} if persisted.uuid else set()
    )
    if len(histories) > 1:
        message = (
            f"Members serve different histories ({', '.join(sorted(histories))}). Nothing is "
            "started; compare their data, and empty the volume of those to discard."
        )
        return Outcome(verdict=Verdict.HISTORIES_DIFFER, message=message, persisted=persisted)
    persisted = _noted(members, views, persisted)
    staying = [member for member in members if not member.leaving]
    missing = [member.name for member in staying if member.name not in views]
    if not missing:
        return Outcome(
            verdict=Verdict.SYNCED,
            message=f"All {len(staying)} members are synced.",
            persisted=persisted,
        )
    busy = _busy(members, epoch)
    if busy is not None:
        return Outcome(verdict=Verdict.JOINING, message=busy, persisted=persisted)
    waiting = [member for member in staying if member.position is not None]
    unjoinable = {m.name: why for m in waiting if (why := unfit(m, views, persisted))}
    fit = [member for member in waiting if member.name not in unjoinable and _is_able(member)]
    if fit:
        return _joins(fit[0], views, persisted, epoch)
    if unjoinable:
        message = " ".join(unjoinable.values())
        return Outcome(verdict=Verdict.MEMBER_AHEAD, message=message, persisted=persisted)
    message = f"{', '.join(missing)}: not yet synced; {names(views)} serve."
    if full := [member.name for member in waiting if member.known and member.known.full]:
        message += f" {names(full)}: waits for room on its volume."
    return Outcome(verdict=Verdict.JOINING, message=message, persisted=persisted)


def _is_able(member: Member) -> bool:
    """Return whether a waiting member has room, and has not just failed."""
    report = member.known
    return report is not None and not report.full and not report.backing_off


def _joins(
    joiner: Member, views: Mapping[str, View], persisted: PersistedState, epoch: int
) -> Outcome:
    persisted = _may_hold(joiner, persisted)
    return Outcome(
        verdict=Verdict.JOINING,
        message=f"{joiner.name} joins {names(views)}.",
        persisted=persisted,
        decisions={joiner.name: _joining(joiner, persisted, epoch)},
    )


def _noted(
    members: Sequence[Member], views: Mapping[str, View], persisted: PersistedState
) -> PersistedState:
    """Return the state with what a primary component adds to them."""
    synced = {
        member.name: member.known.volume_id
        for member in members
        if member.known and member.name in views
    }
    leaving = {member.name for member in members if member.leaving}
    left = {member.name for member in members if has_left(member, views, persisted)}
    complete = synced.keys() | leaving == {member.name for member in members}
    noted = {
        name: volume
        for name, volume in persisted.volumes.items()
        if name not in left and (name in leaving or not complete)
    }
    record = persisted.bootstrap
    if record is not None:
        addressee = find(members, record.member)
        report = addressee.known if addressee else None
        if report and (report.attempt != record.decision.attempt or addressee.view):  # type: ignore[union-attr]
            # Applied, or out of date: it cannot form a second component any more. Its position
            # stays as the floor below which nothing may be bootstrapped.
            record = replace(record, decision=replace(record.decision, attempt=""))
    return replace(
        persisted,
        uuid=next(iter(views.values())).uuid,
        volumes={**noted, **synced},
        complete=persisted.complete or complete,
        bootstrap=record,
    )


def _may_hold(joiner: Member, persisted: PersistedState) -> PersistedState:
    """Return the state with a joiner's volume: it may be synced and written to before it is seen.

    A volume on record stays there until its successor was seen synced: what it held may not have
    reached the disks of others.
    """
    report = joiner.known
    assert report is not None  # noqa: S101 - a waiting member
    return replace(persisted, volumes={joiner.name: report.volume_id, **persisted.volumes})


def _busy(members: Sequence[Member], epoch: int) -> str | None:
    """Return why nobody may be started now, or None."""
    if any(_stale_member_in_view(member, members) for member in members):
        # A member that comes back while the others still try to reach its former self makes them
        # lose the component: seen with a join 0.3 s after a kill, 23 s without a writer.
        return "The component still counts a member that has ended."
    for member in members:
        report = member.known
        if report is None:
            continue
        if report.phase in ALIVE and (report.joining or report.phase is MemberPhase.STARTING):
            return f"{member.name} is joining."
        if report.view and report.view.donor:
            return f"{member.name} is sending its state to a member that joins."
        published = member.published
        if (
            member.position is not None
            and published is not None
            and (published.attempt, published.mode, published.epoch)
            == (report.attempt, Mode.JOIN, epoch)
        ):
            return f"{member.name} has a decision to join."
    return None


def _stale_member_in_view(member: Member, members: Sequence[Member]) -> bool:
    """Return whether the component counts the former self of a member whose server has ended."""
    report = member.known
    if report is None or report.phase in ALIVE:
        return False
    alive = [m for m in members if m.known is None or m.known.phase in ALIVE]
    views = [m.view for m in members if m.view]
    return any(report.address in view.addresses or view.size > len(alive) for view in views)


def _joining(member: Member, persisted: PersistedState, epoch: int) -> Decision:
    report, position = member.known, member.position
    assert report is not None and position is not None  # noqa: S101, PT018 - a waiting member
    return Decision(
        attempt=report.attempt,
        epoch=epoch,
        mode=Mode.JOIN,
        uuid=position.uuid,
        seqno=position.seqno,
        # rsync stops writes on the donor, but of a new and small database it is done in a second or
        # two. mariabackup blocks nobody; its script sleeps ten seconds, without an option.
        transfer=Transfer.MARIABACKUP if persisted.complete else Transfer.RSYNC,
        full=bool(position.error) or report.failed_starts >= STARTS_BEFORE_FULL,
    )

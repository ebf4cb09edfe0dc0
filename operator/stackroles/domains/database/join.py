"""What to tell the members of a Galera cluster while a primary component is there; pure."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from stackroles.domains.database.members import ALIVE, find, names
from stackroles.domains.database.model import (
    Decision,
    Facts,
    Member,
    Mode,
    Outcome,
    Phase,
    Verdict,
    View,
)

# A joiner that failed so often by its own position gets the data as a whole.
STARTS_BEFORE_FULL: Final = 3


def join(members: Sequence[Member], facts: Facts, epoch: int) -> Outcome:
    """Return what to tell the members; `galera.decide` says what the arguments are."""
    views = {member.name: member.view for member in members if member.view}
    histories = {view.uuid for view in views.values()} | ({facts.uuid} if facts.uuid else set())
    if len(histories) > 1:
        message = (
            f"Members serve different histories ({', '.join(sorted(histories))}). Nothing is "
            "started; compare their data, and empty the volume of those to discard."
        )
        return Outcome(verdict=Verdict.HISTORIES_DIFFER, message=message, facts=facts)
    facts = _noted(members, views, facts)
    if len(views) == len(members):
        return Outcome(
            verdict=Verdict.SYNCED, message=f"All {len(members)} members are synced.", facts=facts
        )
    waiting = [member for member in members if member.position is not None]
    refused = [words for member in waiting if (words := _unfit(member, views, facts))]
    rested = [member for member in waiting if not (member.known and member.known.resting)]
    fit = [member for member in rested if not _unfit(member, views, facts)]
    busy = _busy(members, epoch)
    if fit and busy is None:
        joiner = fit[0]
        words = f"{joiner.name} joins {names(views)}."
        facts = _may_hold(joiner, facts)
        decisions = {joiner.name: _joining(joiner, facts, epoch)}
        return Outcome(verdict=Verdict.JOINING, message=words, facts=facts, decisions=decisions)
    if refused and busy is None:
        return Outcome(verdict=Verdict.MEMBER_AHEAD, message=" ".join(refused), facts=facts)
    missing = [member.name for member in members if member.name not in views]
    words = busy or f"{', '.join(missing)}: not yet synced; {names(views)} serve."
    return Outcome(verdict=Verdict.JOINING, message=words, facts=facts)


def _noted(members: Sequence[Member], views: Mapping[str, View], facts: Facts) -> Facts:
    """Return the facts with what a primary component adds to them."""
    synced = {
        member.name: member.known.volume_id
        for member in members
        if member.known and member.name in views
    }
    complete = len(synced) == len(members)
    record = facts.bootstrap
    if record is not None:
        addressee = find(members, record.member)
        report = addressee.known if addressee else None
        if report and (report.attempt != record.decision.attempt or addressee.view):  # type: ignore[union-attr]
            # Obeyed, or out of date: it cannot form a second component any more. Its position
            # stays as the floor below which nothing may be bootstrapped.
            record = replace(record, decision=replace(record.decision, attempt=""))
    return replace(
        facts,
        uuid=next(iter(views.values())).uuid,
        volumes=synced if complete else {**facts.volumes, **synced},
        complete=facts.complete or complete,
        bootstrap=record,
    )


def _may_hold(joiner: Member, facts: Facts) -> Facts:
    """Return the facts with a joiner's volume: it may be synced and written to before it is seen.

    A volume on record stays there until its successor was seen synced: what it held may not have
    reached the disks of others.
    """
    report = joiner.known
    assert report is not None  # noqa: S101 - a waiting member
    return replace(facts, volumes={joiner.name: report.volume_id, **facts.volumes})


def _unfit(member: Member, views: Mapping[str, View], facts: Facts) -> str | None:
    """Return why a waiting member must not join, or None when it may."""
    position = member.position
    if position is None or position.uuid is None:
        return None
    if position.uuid != facts.uuid:
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


def _busy(members: Sequence[Member], epoch: int) -> str | None:
    """Return why nobody may be started now, or None."""
    if any(_haunted(member, members) for member in members):
        # A member that comes back while the others still try to reach its former self makes them
        # lose the component: seen with a join 0.3 s after a kill, 23 s without a writer.
        return "The component still counts a member that has ended."
    for member in members:
        report = member.known
        if report is None:
            continue
        if report.phase in ALIVE and (report.joining or report.phase is Phase.STARTING):
            return f"{member.name} is joining."
        if report.view and report.view.donor:
            return f"{member.name} is sending its state to a member that joins."
        told = member.published
        if (
            member.position is not None
            and told is not None
            and (told.attempt, told.mode, told.epoch) == (report.attempt, Mode.JOIN, epoch)
        ):
            return f"{member.name} was told to join."
    return None


def _haunted(member: Member, members: Sequence[Member]) -> bool:
    """Return whether the component counts the former self of a member whose server has ended."""
    report = member.known
    if report is None or report.phase in ALIVE:
        return False
    alive = [m for m in members if m.known is None or m.known.phase in ALIVE]
    views = [m.view for m in members if m.view]
    return any(report.address in view.addresses or view.size > len(alive) for view in views)


def _joining(member: Member, facts: Facts, epoch: int) -> Decision:
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
        transfer="mariabackup" if facts.complete else "rsync",
        full=bool(position.error) or report.failed_starts >= STARTS_BEFORE_FULL,
    )

"""What to tell the members of a Galera cluster, from what they report; pure.

The rules, in the order in which they hold:

1. A member that is synced in a primary component is the truth: the others join it, one at a time.
   A member with another history, or ahead of the component, is left alone: a person must look.
2. Nobody primary: wait for every member's report of its recovered position. No answer means
   unknown, never down. A report exists only while no server runs, so all that are compared are
   true at once.
3. All empty and never formed: the lowest ordinal creates the database. A formed cluster whose
   volumes are empty is lost, never new.
4. Otherwise the highest position of the one history bootstraps; never below a position that an
   earlier bootstrap was made on.
5. A recorded bootstrap stands until its addressee reports a newer attempt: it may have been obeyed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from stackroles.plan.galera_model import (
    Bootstrap,
    Decision,
    Facts,
    Member,
    Mode,
    Outcome,
    Phase,
    Verdict,
    View,
)

# Galera merges partitions by itself within seconds when most of the last component meet again.
MERGE_SECONDS: Final = 10
_ALIVE: Final = frozenset({"Starting", "Running", "Stopping"})
# A joiner that failed so often by its own position gets the data as a whole.
STARTS_BEFORE_FULL: Final = 3


def decide(members: Sequence[Member], facts: Facts, epoch: int) -> Outcome:
    """Return what to record and to tell the members.

    Args:
        members: every member that should exist, and every further one whose pod still does, by
            ordinal.
        facts: what is recorded.
        epoch: the deciding operator's term.
    """
    if any(member.view for member in members):
        return _join(members, facts, epoch)
    return _form(members, facts, epoch)


# -- a primary component is there ----------------------------------------------------------------


def _join(members: Sequence[Member], facts: Facts, epoch: int) -> Outcome:
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
    failures = _failures(members)
    if fit and busy is None:
        joiner = fit[0]
        words = f"{joiner.name} joins {_names(views)}.{failures}"
        decisions = {joiner.name: _joining(joiner, facts, epoch)}
        return Outcome(verdict=Verdict.JOINING, message=words, facts=facts, decisions=decisions)
    if refused and busy is None:
        return Outcome(verdict=Verdict.MEMBER_AHEAD, message=" ".join(refused), facts=facts)
    missing = [member.name for member in members if member.name not in views]
    words = busy or f"{', '.join(missing)}: not yet synced; {_names(views)} serve."
    return Outcome(verdict=Verdict.JOINING, message=words + failures, facts=facts)


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
        addressee = _find(members, record.member)
        report = addressee.known if addressee else None
        if report and (report.attempt != record.decision.attempt or addressee.view):  # type: ignore[union-attr]
            # Obeyed, or out of date: it cannot form a second component any more. Its position
            # stays as the floor below which nothing may be bootstrapped.
            record = replace(record, decision=replace(record.decision, attempt=""))
    return Facts(
        uuid=next(iter(views.values())).uuid,
        volumes=synced if complete else {**facts.volumes, **synced},
        complete=facts.complete or complete,
        bootstrap=record,
    )


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
        if report.phase in _ALIVE and (report.joining or report.phase is Phase.STARTING):
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


def _failures(members: Sequence[Member]) -> str:
    """Return the words of members whose joins came to nothing, to be added to a sentence."""
    found = [
        f" {m.name}, start {m.known.failed_starts}: {m.known.failure}"
        for m in members
        if m.known and m.known.failed_starts and m.known.failure
    ]
    return "".join(found)


def _haunted(member: Member, members: Sequence[Member]) -> bool:
    """Return whether the component counts the former self of a member whose server has ended."""
    report = member.known
    if report is None or report.phase in _ALIVE:
        return False
    alive = [m for m in members if m.known is None or m.known.phase in _ALIVE]
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


# -- nobody is primary ---------------------------------------------------------------------------


def _form(members: Sequence[Member], facts: Facts, epoch: int) -> Outcome:
    names = {member.name for member in members}
    absent = sorted(set(facts.volumes) - names)
    unknown = [member.name for member in members if member.known is None] + absent
    if unknown:
        words = f"No report from {', '.join(unknown)}; the newest data may be there."
        return Outcome(verdict=Verdict.WAITING, message=words, facts=facts)
    if any(member.position is None for member in members):
        return _settle(members, facts, epoch)
    blocked = _unsure(members, facts)
    if blocked is not None:
        return blocked
    return _bootstrap(members, facts, epoch)


def _settle(members: Sequence[Member], facts: Facts, epoch: int) -> Outcome:
    """Some members are neither primary nor stopped: wait, or ask them for their position."""
    running = [member for member in members if member.position is None]
    stuck: list[Member] = []
    for member in running:
        report = member.known
        assert report is not None  # noqa: S101 - unknown members were handled before
        lost = report.view is not None and not report.view.primary
        vain = report.mode == Mode.JOIN and report.phase is Phase.STARTING
        patience = MERGE_SECONDS if len(running) > 1 else 1
        if not (vain or (lost and report.non_primary_seconds >= patience)):
            state = f"{member.name} is {report.phase.lower()}"
            return Outcome(
                verdict=Verdict.STARTING, message=f"Nobody is primary; {state}.", facts=facts
            )
        stuck.append(member)
    decisions = {m.name: _recover(m, epoch) for m in stuck}
    words = f"Nobody is primary; {', '.join(decisions)} must stop to report what they hold."
    return Outcome(verdict=Verdict.WAITING, message=words, facts=facts, decisions=decisions)


def _recover(member: Member, epoch: int) -> Decision:
    report = member.known
    assert report is not None  # noqa: S101 - only known members are told anything
    return Decision(attempt=report.attempt, epoch=epoch, mode=Mode.RECOVER)


def _unsure(members: Sequence[Member], facts: Facts) -> Outcome | None:
    """Return the verdict when the reports do not allow a choice."""

    def verdict(kind: Verdict, words: str) -> Outcome:
        return Outcome(verdict=kind, message=words, facts=facts)

    failed = [m for m in members if m.position and m.position.error]
    if failed:
        why = "; ".join(f"{m.name}: {m.position.error}" for m in failed if m.position)
        return verdict(Verdict.UNUSABLE, f"The position is not known. {why}")
    histories = {m.position.uuid for m in members if m.position and m.position.uuid}
    if len(histories | ({facts.uuid} if facts.uuid else set())) > 1:
        found = ", ".join(sorted(histories))
        words = f"Members hold different histories ({found}; on record: {facts.uuid or 'none'})."
        return verdict(Verdict.HISTORIES_DIFFER, f"{words} Nothing is started.")
    lost = [
        name
        for name, volume in facts.volumes.items()
        if (m := _find(members, name)) and m.position and m.position.empty
        and m.known and m.known.volume_id != volume
    ]  # fmt: skip
    record = facts.bootstrap
    founded = record is not None and record.decision.mode is Mode.CREATE
    if founded and not histories and record is not None:
        founder = _find(members, record.member)
        if not (founder and founder.known and founder.known.volume_id == record.volume_id):
            lost.append(record.member)
    if lost or (facts.uuid and not histories):
        whom = ", ".join(lost) or "all members"
        return verdict(
            Verdict.VOLUME_LOST,
            f"The volume of {whom} was part of this cluster and is empty now; what only it held "
            "is lost. Nothing is started: bring the volume back, or restore a backup.",
        )
    return None


def _bootstrap(members: Sequence[Member], facts: Facts, epoch: int) -> Outcome:
    chosen, decision = _choose(members, epoch)
    record = facts.bootstrap
    if record is not None:
        addressee = _find(members, record.member)
        pending = addressee and addressee.known and (
            addressee.known.attempt == record.decision.attempt
        )  # fmt: skip
        if addressee is not None and pending and addressee.name != chosen.name:
            words = f"{addressee.name} was told to start; it must report anew first."
            decisions = {addressee.name: _recover(addressee, epoch)}
            return Outcome(verdict=Verdict.WAITING, message=words, facts=facts, decisions=decisions)
        if record.decision.uuid == decision.uuid and decision.seqno < record.decision.seqno:
            words = (
                f"The highest position is {decision.seqno}, but {record.member} was started from "
                f"{record.decision.seqno} before: transactions are missing. Nothing is started."
            )
            return Outcome(verdict=Verdict.BEHIND, message=words, facts=facts)
    report = chosen.known
    assert report is not None  # noqa: S101 - it reported
    noted = Bootstrap(
        member=chosen.name,
        pod_uid=report.pod_uid,
        volume_id=report.volume_id,
        decision=decision,
    )
    verb = "makes the database" if decision.mode is Mode.CREATE else f"starts at {decision.seqno}"
    return Outcome(
        verdict=Verdict.STARTING,
        message=f"{chosen.name} {verb}; the others join it.",
        facts=replace(facts, uuid=facts.uuid or decision.uuid, bootstrap=noted),
        decisions={chosen.name: decision},
    )


def _choose(members: Sequence[Member], epoch: int) -> tuple[Member, Decision]:
    """Return who forms the component: the highest position, or the first of all-empty ones."""

    def rank(member: Member) -> tuple[int, bool, int]:
        position = member.position
        assert position is not None  # noqa: S101 - all have reported
        held = position.seqno if position.uuid else -2
        return held, position.safe, -member.ordinal

    chosen = max(members, key=rank)
    report, position = chosen.known, chosen.position
    assert report is not None and position is not None  # noqa: S101, PT018 - all have reported
    mode = Mode.BOOTSTRAP if position.uuid else Mode.CREATE
    if mode is Mode.CREATE:
        chosen = next(member for member in members if member.position and member.position.empty)
        report = chosen.known
        assert report is not None  # noqa: S101 - all have reported
    return chosen, Decision(
        attempt=report.attempt,
        epoch=epoch,
        mode=mode,
        uuid=position.uuid,
        seqno=position.seqno if position.uuid else -1,
    )


def _find(members: Sequence[Member], name: str) -> Member | None:
    return next((member for member in members if member.name == name), None)


def _names(views: Mapping[str, View]) -> str:
    return ", ".join(sorted(views))

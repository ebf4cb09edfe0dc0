"""Decide for the members of a Galera cluster while nobody is primary; pure."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from stackroles.agents.galera.protocol import Decision, MemberPhase, Mode
from stackroles.domains.database.consent import Consent, Loss, assess_loss, give_up
from stackroles.domains.database.members import STARTS_THAT_TELL, find
from stackroles.domains.database.model import Bootstrap, Member, Outcome, PersistedState, Verdict

# Galera merges partitions by itself within seconds when most of the last component meet again.
MERGE_SECONDS: Final = 10
_CORRECT: Final = (
    "Where an option is at fault, correct it in spec.config.mariadb: members get it by themselves."
)
_AWAY: Final = (
    "Nothing is started before each has reported what it holds. Only if its node is gone for good, "
    "delete its claim and its pod, so that it comes back elsewhere without data, and do what is "
    "shown here then."
)
_CHOOSE_HISTORY: Final = (
    "Nothing is started, since which of them counts only a person knows: keep copies of the "
    "volumes, then delete claim and pod of each member of the other, which joins anew."
)


def form(
    members: Sequence[Member], persisted: PersistedState, epoch: int, consent: Consent
) -> Outcome:
    """Return what to publish to the members; `galera.decide` says what the arguments are."""
    names = {member.name for member in members}
    absent = sorted(set(persisted.volumes) - names)
    unknown = [member.name for member in members if member.known is None] + absent
    if unknown:
        message = f"No report from {', '.join(unknown)}; the newest data may be there. {_AWAY}"
        return Outcome(verdict=Verdict.WAITING, message=message, persisted=persisted)
    if any(member.position is None for member in members):
        return _settle(members, persisted, epoch)
    blocked = _ambiguous(members, persisted)
    if blocked is not None:
        return blocked
    lost = _lost(members, persisted)
    if not lost:
        return _bootstrap(members, persisted, epoch, consent)
    loss = assess_loss(members, lost, _choose(members, epoch)[0], persisted, consent)
    if loss.consented:
        outcome = _bootstrap(members, give_up(loss, persisted), epoch, consent)
        return replace(outcome, message=f"{outcome.message} {loss.given}")
    message = (
        f"The volume of {', '.join(lost)} was part of this cluster and is empty now; what only it "
        f"held is lost. Nothing is started: bring the volume back, or restore a backup. {loss.how}"
    )
    return Outcome(verdict=Verdict.VOLUME_LOST, message=message, persisted=persisted)


def _settle(members: Sequence[Member], persisted: PersistedState, epoch: int) -> Outcome:
    """Some members are neither primary nor stopped: wait, or ask them for their position."""
    running = [member for member in members if member.position is None]
    stuck: list[Member] = []
    for member in running:
        report = member.known
        assert report is not None  # noqa: S101 - unknown members were handled before
        lost = report.view is not None and not report.view.primary
        stalled = report.mode == Mode.JOIN and report.phase is MemberPhase.STARTING
        patience = MERGE_SECONDS if len(running) > 1 else 1
        if not (stalled or (lost and report.non_primary_seconds >= patience)):
            state = f"{member.name} is {report.phase.lower()}"
            return Outcome(
                verdict=Verdict.STARTING,
                message=f"Nobody is primary; {state}.",
                persisted=persisted,
            )
        stuck.append(member)
    decisions = {m.name: _recover(m, epoch) for m in stuck}
    message = f"Nobody is primary; {', '.join(decisions)} must stop to report what they hold."
    return Outcome(
        verdict=Verdict.WAITING, message=message, persisted=persisted, decisions=decisions
    )


def _recover(member: Member, epoch: int) -> Decision:
    report = member.known
    assert report is not None  # noqa: S101 - decisions are for known members only
    return Decision(attempt=report.attempt, epoch=epoch, mode=Mode.RECOVER)


def _ambiguous(members: Sequence[Member], persisted: PersistedState) -> Outcome | None:
    """Return the verdict when the reports do not allow a choice."""

    def verdict(kind: Verdict, message: str) -> Outcome:
        return Outcome(verdict=kind, message=message, persisted=persisted)

    failed = [m for m in members if m.position and m.position.error]
    if failed:
        why = "; ".join(f"{m.name}: {m.position.error}" for m in failed if m.position)
        return verdict(Verdict.UNUSABLE, f"The position is not known. {why} {_CORRECT}")
    histories = {m.position.uuid for m in members if m.position and m.position.uuid}
    if len(histories | ({persisted.uuid} if persisted.uuid else set())) > 1:
        found = ", ".join(sorted(histories))
        message = (
            f"Members hold different histories ({found}; on record: {persisted.uuid or 'none'})."
        )
        return verdict(Verdict.HISTORIES_DIFFER, f"{message} {_CHOOSE_HISTORY}")
    # Whoever holds something without a history was part of a cluster, whatever is on record.
    formed = persisted.uuid or not all(m.position and m.position.empty for m in members)
    if formed and not histories:
        message = (
            "The volumes of all members were part of this cluster and hold no whole database now; "
            "what they held is lost. Nothing is started: bring one back, or restore a backup."
        )
        return verdict(Verdict.VOLUME_LOST, message)
    record = persisted.bootstrap
    if record is None or record.decision.mode is not Mode.CREATE or histories:
        return None
    founder = find(members, record.member)
    if founder and founder.known and founder.known.volume_id == record.volume_id:
        return None
    message = (
        f"The volume of {record.member}, on which the database was made, is empty now. Nothing is "
        "started: bring it back, or restore a backup."
    )
    return verdict(Verdict.VOLUME_LOST, message)


def _lost(members: Sequence[Member], persisted: PersistedState) -> list[str]:
    """Return the members whose volume was part of the cluster and is empty and another now."""
    return [
        name
        for name, volume in persisted.volumes.items()
        if (m := find(members, name)) and m.position and m.position.empty
        and m.known and m.known.volume_id != volume
    ]  # fmt: skip


def _bootstrap(
    members: Sequence[Member], persisted: PersistedState, epoch: int, consent: Consent
) -> Outcome:
    chosen, decision = _choose(members, epoch)
    record, given = persisted.bootstrap, ""
    if record is not None:
        addressee = find(members, record.member)
        pending = addressee and addressee.known and (
            addressee.known.attempt == record.decision.attempt
        )  # fmt: skip
        if addressee is not None and pending and addressee.name != chosen.name:
            message = f"{addressee.name} has a decision to start; it must report anew first."
            decisions = {addressee.name: _recover(addressee, epoch)}
            return Outcome(
                verdict=Verdict.WAITING, message=message, persisted=persisted, decisions=decisions
            )
        if record.decision.uuid == decision.uuid and decision.seqno < record.decision.seqno:
            loss = assess_loss(members, (), chosen, persisted, consent)
            if not loss.consented:
                return _behind(record, decision, persisted, loss)
            persisted, given = give_up(loss, persisted), f" {loss.given}"
    report = chosen.known
    assert report is not None  # noqa: S101 - it reported
    if report.backing_off and report.failed_starts >= STARTS_THAT_TELL:
        message = f"{chosen.name} backs off before its next start."
        return Outcome(verdict=Verdict.STARTING, message=message, persisted=persisted)
    noted = Bootstrap(
        member=chosen.name,
        pod_uid=report.pod_uid,
        volume_id=report.volume_id,
        decision=decision,
    )
    verb = "makes the database" if decision.mode is Mode.CREATE else f"starts at {decision.seqno}"
    return Outcome(
        verdict=Verdict.STARTING,
        message=f"{chosen.name} {verb}; the others join it.{given}",
        persisted=replace(persisted, uuid=persisted.uuid or decision.uuid, bootstrap=noted),
        decisions={chosen.name: decision},
    )


def _behind(
    record: Bootstrap, decision: Decision, persisted: PersistedState, loss: Loss
) -> Outcome:
    message = (
        f"The highest position is {decision.seqno}, but {record.member} was started from "
        f"{record.decision.seqno} before: transactions are missing. Nothing is started: bring "
        f"back the volume that {record.member} had then, or restore a backup. {loss.how}"
    )
    return Outcome(verdict=Verdict.BEHIND, message=message, persisted=persisted)


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
    return chosen, Decision(
        attempt=report.attempt,
        epoch=epoch,
        mode=Mode.BOOTSTRAP if position.uuid else Mode.CREATE,
        uuid=position.uuid,
        seqno=position.seqno,
    )

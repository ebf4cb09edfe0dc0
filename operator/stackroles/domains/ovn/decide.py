"""What is done about members of OVN's databases that do not come together by themselves; pure.

Most is decided by the members' agents (agents/ovsdb/membership.py). What may lose changes, or all
that was in a database, takes a user's consent. Whether a database without data is new only the
record says: a northbound database that is made empty a second time takes every network away.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stackroles.agents.ovsdb.protocol import Mode, OvsdbDecision, State
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.ovn.model import DatabaseMember, DatabaseMembers, Recorded
from stackroles.workloads.conditions import Finding


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from an observation.

    Attributes:
        recorded: what is to be recorded before anything is done.
        problem: what needs a person, None where nothing does.
        decisions: what to publish, by pod.
    """

    recorded: Recorded
    problem: Finding | None = None
    decisions: Mapping[str, OvsdbDecision] = field(default_factory=dict)


def decide(observed: DatabaseMembers, recorded: Recorded, lacks: str) -> Outcome:
    """Return what is done, and what a person has to do.

    Args:
        observed: all members.
        recorded: what is recorded of the database.
        lacks: what is lost when one member goes on without the others.
    """
    members = observed.members
    if any(member.serves for member in members):
        served = replace(recorded, formed=True, former=recorded.incident)
        return Outcome(served, decisions=_left_behind(observed, recorded))
    without = all(member.lacks for member in members)
    if not recorded.formed and without:
        # It is noted once it serves: an operator that ends in between decides it again.
        return Outcome(recorded, decisions=_decision(members[0], Mode.CREATE, ""))
    if recorded.formed and without:
        return _lost_all(observed, recorded)
    holding = [member for member in members if member.holds]
    # Others may still come back with the data, unless all are there and it did not help.
    answering = all(member.report for member in members)
    if recorded.formed and holding and (answering or len(holding) <= len(members) // 2):
        return _lost_majority(observed, recorded, holding, lacks)
    return Outcome(recorded)


def _left_behind(observed: DatabaseMembers, recorded: Recorded) -> dict[str, OvsdbDecision]:
    """Return the decisions for members with data of the cluster that was given up by consent."""
    survivor = observed.survivor(observed.members, recorded.incident)
    if survivor is None or not survivor.serves:
        return {}
    decisions: dict[str, OvsdbDecision] = {}
    for member in observed.members:
        if member.holds and not member.serves and member.cluster not in ("", survivor.cluster):
            decisions |= _decision(member, Mode.YIELD, recorded.incident)
    return decisions


def _lost_majority(
    observed: DatabaseMembers, recorded: Recorded, holding: Sequence[DatabaseMember], lacks: str
) -> Outcome:
    """Return what is done when those that have the data do not get a majority together."""
    number = observed.incident(observed.lost, recorded.former)
    if not all(member.report.stuck for member in holding if member.report):
        return Outcome(recorded)
    chosen = observed.survivor(holding, number)
    if chosen:
        decisions = _decision(chosen, Mode.CONTINUE, number)
        return Outcome(replace(recorded, incident=number), decisions=decisions)
    newest = max(holding, key=lambda member: member.entries)
    others = _why(observed) or "all members have data, and too few of them vote in one cluster"
    text = (
        f"{observed.role} has lost its majority: {others}. {_pods(holding)} cannot know what only "
        "the lost members hold, and waits for them. Instances keep their network meanwhile, and "
        "nothing can be changed. Only if they are gone for good, set "
        f"spec.roles.{observed.role}.recovery to {{from: {newest.pod}, incident: {number}}}: it "
        f"then continues without them, and all others join it anew. Lost are then {lacks}."
    )
    return Outcome(recorded, Finding(Reason.OVN_BLOCKED, text + observed.explain_consent(number)))


def _lost_all(observed: DatabaseMembers, recorded: Recorded) -> Outcome:
    """Return what is done when no member has data that it can use."""
    number = observed.incident(observed.lost, recorded.former)
    chosen = observed.survivor(observed.members, number)
    if chosen:
        decisions = _decision(chosen, Mode.CREATE, number)
        return Outcome(replace(recorded, incident=number), decisions=decisions)
    text = (
        f"{observed.role} has lost its data on all members: {_why(observed)}. Bring the volumes "
        "back if there are any. Only if they are gone for good, set "
        f"spec.roles.{observed.role}.recovery to {{from: {observed.members[0].pod}, "
        f"incident: {number}}}: the database is then made anew without data."
    )
    return Outcome(recorded, Finding(Reason.OVN_BLOCKED, text + observed.explain_consent(number)))


def _decision(member: DatabaseMember, mode: Mode, number: str) -> dict[str, OvsdbDecision]:
    if member.report is None or not member.report.attempt:
        return {}
    decision = OvsdbDecision(attempt=member.report.attempt, mode=mode, incident=number)
    return {member.pod: decision}


def _why(observed: DatabaseMembers) -> str:
    return "; ".join(
        f"{m.pod} "
        + (
            "does not answer"
            if m.report is None
            else f"cannot use its file ({m.report.fault})"
            if m.report.fault
            else "has joined no cluster yet"
            if m.report.state is State.JOINING
            else "has an empty volume"
        )
        for m in observed.lost
    )


def _pods(members: Sequence[DatabaseMember]) -> str:
    return ", ".join(member.pod for member in members)

"""Decide for the members of a Galera cluster, from what they report; pure.

The rules, in the order in which they hold:

1. A member that is synced in a primary component is the truth: the others join it, one at a time.
   A member with another history, or ahead of the component, is left alone: a person must decide.
2. Nobody primary: wait for every member's report of its recovered position. No answer means
   unknown, never down. A report exists only while no server runs, so all that are compared are
   true at once.
3. All empty and never formed: the lowest ordinal creates the database. A formed cluster whose
   volumes are empty is lost, never new.
4. Otherwise the highest position of the one history bootstraps; never below a position that an
   earlier bootstrap was made on.
5. A recorded bootstrap stands until its addressee reports a newer attempt: it may be applied.
6. A leader decides in a term of its own, above all that were recorded or applied: a member rejects
   what comes late from a former one. The term outlives the operator and its Lease.
7. A member that is asked to leave and has stopped joins no more. It is forgotten once those who
   serve have all that it holds; while nobody serves it counts like any other.
8. What only lost volumes held is given up by the user's consent alone, which names the loss.
"""

from collections.abc import Sequence
from dataclasses import replace

from stackroles.domains.database.bootstrap import form
from stackroles.domains.database.consent import Consent
from stackroles.domains.database.join import join
from stackroles.domains.database.members import failures
from stackroles.domains.database.model import Member, Outcome, PersistedState, Verdict


def decide(
    members: Sequence[Member],
    persisted: PersistedState,
    leader: str,
    consent: Consent = Consent(),  # noqa: B008 - frozen
) -> Outcome:
    """Return what to record and to publish to the members.

    Args:
        members: every member that should exist, and every further one whose pod still does, by
            ordinal.
        persisted: what is recorded.
        leader: who decides; no two leaderships have the same name.
        consent: what the user consents to lose.
    """
    claimed = _claimed(members, persisted, leader)
    serving = any(member.view for member in members)
    if serving:
        outcome = join(members, claimed, claimed.epoch)
    else:
        outcome = form(members, claimed, claimed.epoch, consent)
    if not outcome.decisions:
        # No decision is published: a new leader has nothing to record.
        unclaimed = replace(outcome.persisted, epoch=persisted.epoch, leader=persisted.leader)
        outcome = replace(outcome, persisted=unclaimed)
    if outcome.verdict is Verdict.SYNCED:
        return outcome
    decided = outcome.message if outcome.decisions else ""
    return replace(outcome, message=outcome.message + failures(members), decided=decided)


def _claimed(members: Sequence[Member], persisted: PersistedState, leader: str) -> PersistedState:
    """Return the state with the leader's own term."""
    applied_epoch = max(
        (member.known.applied_epoch for member in members if member.known), default=0
    )
    if persisted.leader == leader and persisted.epoch >= applied_epoch:
        return persisted
    return replace(persisted, leader=leader, epoch=max(persisted.epoch, applied_epoch) + 1)

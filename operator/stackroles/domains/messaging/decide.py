"""What is done about brokers that do not come together by themselves; pure.

Most is decided by the brokers' agents, which know all that it takes (agents/broker/membership.py).
What may lose messages that were confirmed takes a user's consent, and only then something is
decided here.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from stackroles.agents.broker.protocol import BrokerDecision, BrokerMode, State
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.messaging.model import Broker, Brokers
from stackroles.domains.messaging.status import pod_of
from stackroles.workloads.conditions import Finding

# A restart of all brokers takes less; who is away longer is reported.
LOST_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """What follows from an observation.

    Attributes:
        problem: what keeps brokers from coming together that needs a person, None without any.
        decisions: what to publish, by pod.
        settled: whether nothing changes by the mere course of time.
    """

    problem: Finding | None = None
    decisions: Mapping[str, BrokerDecision] = field(default_factory=dict)
    settled: bool = True


def decide(observed: Brokers, lacks: str) -> Outcome:
    """Return what is done, and what a person has to do.

    Args:
        observed: all brokers.
        lacks: what is lost when one broker goes on without the others.
    """
    reported = [f"{b.report.message}." for b in observed.members if b.report and b.report.message]
    if observed.of(State.RUNNING):
        return _second_clusters(observed, reported)
    return _lost_majority(observed, reported, lacks)


def _second_clusters(observed: Brokers, reported: Sequence[str]) -> Outcome:
    """Return what is done about brokers whose own cluster was stopped beside a larger one."""
    apart = observed.of(State.SPLIT)
    if not apart:
        return Outcome(Finding(Reason.MESSAGING_BLOCKED, " ".join(reported)) if reported else None)
    # To give way leaves all claims as they are.
    former = " ".join(broker.report.yielded for broker in apart if broker.report)
    number = observed.incident(apart, former)
    remaining = observed.of(State.RUNNING)
    if observed.survivor(remaining, number):
        return Outcome(decisions=_decisions(apart, BrokerMode.YIELD, number))
    who = ", ".join(broker.pod for broker in apart)
    text = (
        f"To have {who} join the others without the messages that only their own queues hold, "
        f"set spec.roles.{observed.role}.recovery to "
        f"{{from: {remaining[0].pod}, incident: {number}}}."
    )
    return Outcome(Finding(Reason.MESSAGING_BLOCKED, " ".join([*reported, text])))


def _lost_majority(observed: Brokers, reported: Sequence[str], lacks: str) -> Outcome:
    """Return what is done when nobody serves; a majority with data comes together by itself."""
    waiting = observed.of(State.STOPPED)
    lost = observed.of(None, State.EMPTY, State.SPLIT)
    majority = 2 * len(waiting) > len(observed.members)
    if not waiting or not lost or majority or observed.of(State.FORMING):
        return Outcome(Finding(Reason.MESSAGING_BLOCKED, " ".join(reported)) if reported else None)
    number = observed.incident(lost)
    if chosen := observed.survivor(waiting, number):
        return Outcome(decisions=_decisions([chosen], BrokerMode.CONTINUE, number))
    if any(b.report.seconds < LOST_SECONDS for b in waiting if b.report):
        return Outcome(settled=False)
    latest = _latest(waiting)
    text = (
        f"A majority of the brokers is lost: {', '.join(_lost(b) for b in lost)}. "
        f"{', '.join(b.pod for b in waiting)} cannot know what only the others hold and waits for "
        f"them. Only if they are gone for good, set spec.roles.{observed.role}.recovery to "
        f"{{from: {latest.pod}, incident: {number}}}: it then continues with what it has, and all "
        f"others join it anew. Lost are then {lacks}.{observed.explain_consent(number)}"
    )
    return Outcome(Finding(Reason.MESSAGING_BLOCKED, text))


def _latest(waiting: Sequence[Broker]) -> Broker:
    """Return the first broker that each of those that wait ran with last, else the first of all."""
    seen = [
        {pod_of(node) for node in broker.report.last_seen}
        for broker in waiting
        if broker.report and broker.report.last_seen
    ]
    found = (b for b in waiting if all(b.pod in pods for pods in seen))
    return next(found, waiting[0])


def _decisions(
    brokers: Sequence[Broker], mode: BrokerMode, number: str
) -> dict[str, BrokerDecision]:
    return {
        broker.pod: BrokerDecision(attempt=broker.report.attempt, mode=mode, incident=number)
        for broker in brokers
        if broker.report and broker.report.attempt
    }


def _lost(broker: Broker) -> str:
    if broker.state is State.EMPTY:
        return f"{broker.pod} (its volume is empty)"
    return f"{broker.pod} (it does not answer)" if broker.state is None else broker.pod

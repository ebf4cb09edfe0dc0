"""What is observed of a cloud's brokers; data only."""

from collections.abc import Sequence
from dataclasses import dataclass

from stackroles.agents.broker.protocol import BrokerStatus, State
from stackroles.api.v1alpha1.cloud_controller import Recovery
from stackroles.workloads.incident import incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """One broker as observed.

    Attributes:
        pod: the pod's name.
        claim: uid of its volume claim; empty where there is none.
        report: its agent's; None when none came: unknown, never down.
    """

    pod: str
    claim: str = ""
    report: BrokerStatus | None = None

    @property
    def state(self) -> State | None:
        """What it says that it is; None when it says nothing."""
        return self.report.state if self.report else None

    @property
    def data(self) -> str:
        """What its data is: another after it has continued by a consent."""
        return f"{self.claim} {self.report.recovered}" if self.report else self.claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers:
    """All brokers of a cloud, and what its user consents to.

    Attributes:
        owner_uid: identity of the CloudController.
        role: the role.
        brokers: every broker that should exist, by ordinal.
        consent: `spec.roles.<role>.recovery`.
    """

    owner_uid: str
    role: str
    brokers: Sequence[Broker]
    consent: Recovery | None = None

    def of(self, *states: State | None) -> list[Broker]:
        """Return those in one of some states, None for those that say nothing."""
        return [broker for broker in self.brokers if broker.state in states]

    def incident(self, lost: Sequence[Broker]) -> str:
        """Return the incident that some of them are lost."""
        names = {broker.pod for broker in lost}
        remaining = {b.pod: b.data for b in self.brokers if b.pod not in names}
        return incident(self.owner_uid, self.role, {b.pod: b.claim for b in lost}, remaining)

    def consents(self, number: str) -> bool:
        """Return whether the user consents to an incident."""
        return self.consent is not None and self.consent.incident == number

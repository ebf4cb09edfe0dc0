"""What is observed of a cloud's brokers; data only."""

from dataclasses import dataclass

from typing_extensions import override

from stackroles.agents.broker.protocol import BrokerStatus, State
from stackroles.workloads.members import Member, Members


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker(Member[BrokerStatus]):
    """One broker as observed."""

    @property
    def state(self) -> State | None:
        """The state it reports; None without a report."""
        return self.report.state if self.report else None

    @property
    @override
    def data(self) -> str:
        """What its data is: another after it has continued by a consent."""
        return f"{self.claim} {self.report.recovered}" if self.report else self.claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Brokers(Members[Broker]):
    """All brokers of a cloud, and what its user consents to."""

    def of(self, *states: State | None) -> list[Broker]:
        """Return those in one of some states, None for those without a report."""
        return [broker for broker in self.members if broker.state in states]

"""What is observed of a database of OVN, and what is recorded of it; data only."""

from collections.abc import Sequence
from dataclasses import dataclass

from stackroles.agents.ovsdb.protocol import OvsdbStatus, State
from stackroles.api.v1alpha1.cloud_controller import Recovery
from stackroles.workloads.incident import incident

# A member that has joined no cluster yet has nothing of it.
_WITHOUT_DATA = (State.EMPTY, State.UNUSABLE, State.JOINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member as observed.

    Attributes:
        pod: the pod's name.
        claim: uid of its volume claim; empty where there is none.
        report: its agent's; None when none came: unknown, never down.
    """

    pod: str
    claim: str = ""
    report: OvsdbStatus | None = None

    @property
    def serves(self) -> bool:
        """Whether it is in contact with a majority."""
        return bool(self.report and self.report.state is State.MEMBER and self.report.connected)

    @property
    def holds(self) -> bool:
        """Whether it has data that it can use."""
        return bool(self.report and self.report.state in (State.STARTING, State.MEMBER))

    @property
    def lacks(self) -> bool:
        """Whether it says that it has no data that it can use."""
        return bool(self.report and self.report.state in _WITHOUT_DATA)

    @property
    def cluster(self) -> str:
        """Identity of its cluster, empty where that is not known."""
        return self.report.view.cluster_id if self.report and self.report.view else ""

    @property
    def entries(self) -> int:
        """How far its log goes."""
        return self.report.view.entries if self.report and self.report.view else 0

    @property
    def data(self) -> str:
        """What its data is: of another cluster after it has continued by a consent."""
        return f"{self.claim} {self.cluster}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Members:
    """All members of a database, and what its user consents to.

    Attributes:
        owner_uid: identity of the CloudController.
        role: the role.
        members: every member that there is to be, by ordinal.
        consent: `spec.roles.<role>.recovery`.
    """

    owner_uid: str
    role: str
    members: Sequence[Member]
    consent: Recovery | None = None

    def incident(self) -> str:
        """Return the incident that all members without data are lost."""
        lost = {m.pod: m.claim for m in self.members if not m.holds}
        remaining = {m.pod: m.data for m in self.members if m.holds}
        return incident(self.owner_uid, self.role, lost, remaining)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is recorded of a database, in the cloud's state.

    Attributes:
        formed: whether it was ever made: without data it is lost then, never new.
        incident: the last loss after which it went on by consent.
    """

    formed: bool = False
    incident: str = ""

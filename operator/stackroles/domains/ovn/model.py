"""What is observed of a database of OVN, and what is recorded of it; data only."""

from dataclasses import dataclass, field

from typing_extensions import override

from stackroles.agents.ovsdb.protocol import OvsdbStatus, State
from stackroles.agents.wire import OPTIONAL
from stackroles.workloads.members import Member, Members

# A member that has joined no cluster yet has nothing of it.
_WITHOUT_DATA = (State.EMPTY, State.UNUSABLE, State.JOINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseMember(Member[OvsdbStatus]):
    """One member of a database as observed."""

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
        """Whether it reports that it has no data that it can use."""
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
    @override
    def data(self) -> str:
        """What its data is: of another cluster after it has continued by a consent."""
        return f"{self.claim} {self.cluster}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DatabaseMembers(Members[DatabaseMember]):
    """All members of a database, and what its user consents to."""

    @property
    def lost(self) -> list[DatabaseMember]:
        """Those without data that they can use."""
        return [member for member in self.members if not member.holds]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """What is recorded of a database, in the cloud's state.

    Attributes:
        formed: whether it was ever made: without data it is lost then, never new.
        incident: the last loss after which it went on by consent.
        former: the same once it has served since: what is lost from then on is another loss.
    """

    formed: bool = False
    incident: str = ""
    former: str = field(default="", metadata=OPTIONAL)

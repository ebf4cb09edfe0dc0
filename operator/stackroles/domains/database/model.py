"""What is observed, recorded and decided of a Galera cluster; data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stackroles.agents.galera.protocol import Decision, MemberPhase, Position, Report, View
from stackroles.agents.wire import OPTIONAL


class Verdict(StrEnum):
    """How the cluster stands; a condition's reason."""

    SYNCED = "GaleraSynced"
    JOINING = "GaleraMembersJoining"
    STARTING = "GaleraStarting"
    WAITING = "GaleraWaitingForReports"
    HISTORIES_DIFFER = "GaleraHistoriesDiffer"
    MEMBER_AHEAD = "GaleraMemberAhead"
    VOLUME_LOST = "GaleraVolumeLost"
    BEHIND = "GaleraBehindRecord"
    UNUSABLE = "GaleraPositionUnknown"
    STATE_UNREADABLE = "GaleraStateUnreadable"

    @property
    def needs_person(self) -> bool:
        """Whether only a person can say how to go on."""
        return self in _FOR_A_PERSON

    @property
    def may_restart(self) -> bool:
        """Whether a member may get a new template meanwhile.

        A position that cannot be recovered may be an option's fault: its correction must arrive.
        """
        return not self.needs_person or self is Verdict.UNUSABLE


_FOR_A_PERSON: Final = frozenset(
    {
        Verdict.HISTORIES_DIFFER,
        Verdict.MEMBER_AHEAD,
        Verdict.VOLUME_LOST,
        Verdict.BEHIND,
        Verdict.UNUSABLE,
        Verdict.STATE_UNREADABLE,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member as observed.

    Attributes:
        name: the pod's name.
        ordinal: its number.
        pod_uid: its pod's identity; None while there is no pod.
        report: its agent's report; None when none came: unknown.
        published: the decision in its pod's annotation.
    """

    name: str
    ordinal: int
    pod_uid: str | None = None
    report: Report | None = None
    published: Decision | None = None

    @property
    def known(self) -> Report | None:
        """The report, when it is the present pod's own."""
        if self.report is None or self.report.pod_uid != self.pod_uid:
            return None
        return self.report

    @property
    def position(self) -> Position | None:
        """The recovered position; only while no server runs."""
        report = self.known
        return report.position if report and report.phase is MemberPhase.WAITING else None

    @property
    def leaving(self) -> bool:
        """Whether it is asked to leave the cluster for good."""
        return bool(self.known and self.known.leaving)

    @property
    def view(self) -> View | None:
        """The view of a member that is synced, or a donor, in the primary component."""
        report = self.known
        if report is None or report.view is None or report.creating:
            return None
        view = report.view
        return view if view.primary and (view.synced or view.donor) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bootstrap:
    """A recorded decision to form a primary component."""

    member: str
    pod_uid: str
    volume_id: str
    decision: Decision


@dataclass(frozen=True, slots=True, kw_only=True)
class PersistedState:
    """What must never be forgotten of a cluster; kept in the cloud's state.

    Attributes:
        uuid: the history, once a member was seen serving it.
        volumes: volume id of every member that was ever synced or decided to join, by member.
        complete: all members were synced at once; from then on clients may write.
        bootstrap: the last decision to form a primary component.
        epoch: the term of the last decisions.
        leader: whose term that is.
        consented: the last loss of members that the user consented to.
        restored: uid of the Restore whose data the cluster goes on with; "" before the first.
    """

    uuid: str | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    bootstrap: Bootstrap | None = None
    epoch: int = field(default=0, metadata=OPTIONAL)
    leader: str = field(default="", metadata=OPTIONAL)
    consented: str = field(default="", metadata=OPTIONAL)
    restored: str = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What follows from an observation.

    Attributes:
        verdict: how the cluster stands.
        message: the same as a sentence, with what to do when a person is needed.
        persisted: the state to record; recorded before any decision is published.
        decisions: what to publish, by member.
        decided: what was decided, as a sentence; empty where there are no decisions.
    """

    verdict: Verdict
    message: str
    persisted: PersistedState
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    decided: str = ""

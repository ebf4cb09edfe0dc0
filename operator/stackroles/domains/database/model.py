"""What is observed, recorded and decided of a Galera cluster; data only."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """What a member is to do."""

    CREATE = "create"
    BOOTSTRAP = "bootstrap"
    JOIN = "join"
    RECOVER = "recover"


class MemberPhase(StrEnum):
    """Where a member's agent is in its loop."""

    RECOVERING = "Recovering"
    WAITING = "Waiting"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"


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
class Position:
    """Where a stopped member's data stands, as its agent recovered it."""

    empty: bool = False
    uuid: str | None = None
    seqno: int = -1
    safe: bool = False
    prepared: bool = False
    transfer: bool = False
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """What a running member sees of the cluster.

    Attributes:
        primary: it belongs to the primary component.
        synced: it is a whole member of it.
        uuid: the history of the component.
        committed: the last committed transaction.
        size: members of the component; one that has ended counts until the others drop it.
        donor: it sends its state to a joiner.
        addresses: where the members of the component are.
    """

    primary: bool
    synced: bool
    uuid: str
    # Grows with every transaction: no difference that anything must be reconciled for.
    committed: int = field(compare=False)
    size: int = 1
    donor: bool = False
    addresses: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one member reports.

    Attributes:
        pod_uid: its pod.
        volume_id: its volume.
        attempt: made anew before every start of its server.
        phase: where its agent is.
        mode: how its server was started.
        position: where its data stands; only while no server runs.
        view: what its server sees; only while one answers.
        joining: its server is started and not synced yet.
        creating: its database is being made and has never served.
        failed_starts: starts in a row that came to nothing.
        non_primary_seconds: for how long its server has been without a component.
        address: where it is.
        failure: why its last start came to nothing; empty once it is synced.
        backing_off: it has just failed and is not to join yet.
        applied_epoch: the term of the last decision it applied; it rejects those of earlier ones.
    """

    pod_uid: str
    volume_id: str
    attempt: str
    phase: MemberPhase
    mode: str | None = None
    position: Position | None = None
    view: View | None = None
    joining: bool = False
    creating: bool = False
    failed_starts: int = 0
    non_primary_seconds: int = field(default=0, compare=False)
    address: str = ""
    failure: str = ""
    backing_off: bool = False
    applied_epoch: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is decided for one member, for exactly one attempt."""

    attempt: str
    epoch: int
    mode: Mode
    uuid: str | None = None
    seqno: int = -1
    transfer: str = "mariabackup"
    full: bool = False


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
    """

    uuid: str | None = None
    volumes: Mapping[str, str] = field(default_factory=dict)
    complete: bool = False
    bootstrap: Bootstrap | None = None
    epoch: int = 0
    leader: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What follows from an observation.

    Attributes:
        verdict: how the cluster stands.
        message: the same as a sentence, with what to do when a person is needed.
        persisted: the state to record; recorded before any decision is published.
        decisions: what to publish, by member.
    """

    verdict: Verdict
    message: str
    persisted: PersistedState
    decisions: Mapping[str, Decision] = field(default_factory=dict)

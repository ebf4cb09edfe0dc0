"""What a database member's agent, the other members and the operator exchange.

The agent answers a Report; the operator publishes a Decision as the annotation of the member's pod.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from stackroles.agents.wire import OPTIONAL, key

PORT = 9300
# What the agent answers by GET; a copy is asked for by POST.
REPORT_PATH = "/report"
WSREP_PATH = "/wsrep"
METRICS_PATH = "/metrics"
BACKUP_PATH = "/backup"
# The annotation of a member's pod that holds a Decision.
DECISION_ANNOTATION = "stackroles.io/galera-decision"

# Values of wsrep_local_state.
SYNCED = 4
DONOR = 2


class Mode(StrEnum):
    """What a member is to do: start its server, or stop it and report anew."""

    CREATE = "create"
    BOOTSTRAP = "bootstrap"
    JOIN = "join"
    RECOVER = "recover"


class Transfer(StrEnum):
    """How a joiner gets the whole state (a wsrep_sst_method)."""

    MARIABACKUP = "mariabackup"
    RSYNC = "rsync"


class MemberPhase(StrEnum):
    """Where a member's agent is in its loop."""

    RECOVERING = "Recovering"
    WAITING = "Waiting"
    STARTING = "Starting"
    RUNNING = "Running"
    STOPPING = "Stopping"


class Activity(StrEnum):
    """What a member's server is busy with."""

    TRANSFER = "SST"
    JOINING = "Joining"
    DONOR = "Donor"


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a stopped member's data stands, as its agent recovered it.

    Attributes:
        empty: the volume holds no database.
        uuid: the history the data belongs to, or None when the data cannot be trusted.
        seqno: the last committed transaction of that history, -1 when unknown.
        safe: Galera's own mark of the member that stopped last.
        prepared: recovery met prepared transactions it could not settle.
        transfer: a state transfer was cut off, or the member was found inconsistent; only
            another transfer makes it whole, and others hold all that it held.
        error: why the position is not known, in a sentence.
    """

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
        state: its wsrep_local_state.
        addresses: where the members of the component are.
    """

    primary: bool
    synced: bool
    uuid: str
    # Grows with every transaction: no difference that anything must be reconciled for.
    committed: int = field(compare=False)
    size: int = 1
    state: int = SYNCED
    addresses: frozenset[str] = field(default=frozenset(), metadata=OPTIONAL)

    @property
    def donor(self) -> bool:
        """Whether it sends its state to a joiner."""
        return self.state == DONOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Connections:
    """Who uses a server's connections, once few are left.

    Attributes:
        account: the account with the most.
        count: how many it has.
        used: how many there are in all.
        limit: max_connections.
    """

    account: str
    # They change all the time: no difference that anything must be reconciled for.
    count: int = field(compare=False)
    used: int = field(compare=False)
    limit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a member's agent reports of it.

    Attributes:
        member: its name.
        pod_uid: its pod.
        volume_id: its volume.
        attempt: drawn anew before every start of its server.
        phase: where its agent is.
        mode: how its server was started.
        position: where its data stands; only while no server runs.
        view: what its server sees; only while one answers.
        activity: what its server is busy with; None once it is synced.
        creating: its database is being made and has never served.
        failed_starts: starts in a row that came to nothing.
        non_primary_seconds: for how long its server has been without a component.
        address: where it is.
        failure: why its last start came to nothing; empty once it is synced.
        backing_off: it has just failed and is not to join yet.
        applied_epoch: the term of the last decision it applied; it rejects those of earlier ones.
        leaving: it is asked to leave the cluster for good: once stopped it joins no more by itself.
        disk_percent: how much of its volume's file system is used; -1 when not known.
        full: so little room is left on its volume that it leaves while the others serve.
        connections: who uses its server's connections, once few are left.
        paused_percent: how much of the last half minute flow control paused replication, in tens.
        pauses: it is among those that asked for that, since it does not keep up.
    """

    member: str = field(default="", metadata=OPTIONAL)
    pod_uid: str = field(metadata=key("podUid"))
    volume_id: str = field(metadata=key("volumeId"))
    attempt: str
    phase: MemberPhase
    mode: Mode | None = field(default=None, metadata=OPTIONAL)
    position: Position | None = field(default=None, metadata=OPTIONAL)
    view: View | None = field(default=None, metadata=key("wsrep", optional=True))
    activity: Activity | None = field(default=None, metadata=OPTIONAL)
    creating: bool = field(default=False, metadata=OPTIONAL)
    failed_starts: int = field(default=0, metadata=key("failedStarts", optional=True))
    non_primary_seconds: int = field(
        default=0, compare=False, metadata=key("nonPrimarySeconds", optional=True)
    )
    address: str = field(default="", metadata=OPTIONAL)
    failure: str = field(default="", metadata=OPTIONAL)
    backing_off: bool = field(default=False, metadata=key("backingOff", optional=True))
    applied_epoch: int = field(default=0, metadata=key("appliedEpoch", optional=True))
    leaving: bool = field(default=False, metadata=OPTIONAL)
    disk_percent: int = field(default=-1, metadata=key("diskPercent", optional=True))
    full: bool = field(default=False, metadata=OPTIONAL)
    connections: Connections | None = field(default=None, metadata=OPTIONAL)
    paused_percent: int = field(default=0, metadata=key("pausedPercent", optional=True))
    pauses: bool = field(default=False, metadata=OPTIONAL)

    @property
    def joining(self) -> bool:
        """Whether its server is started and not synced yet."""
        return self.activity in (Activity.TRANSFER, Activity.JOINING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is decided for one member, for exactly one attempt.

    Attributes:
        attempt: the attempt it is for.
        epoch: the deciding operator's term; terms only grow.
        mode: what to do.
        uuid, seqno: the position it was made on.
        transfer: how a full transfer is done.
        full: discard the own position, so that the join is a full transfer.
    """

    attempt: str
    epoch: int
    mode: Mode
    uuid: str | None = field(default=None, metadata=OPTIONAL)
    seqno: int = field(default=-1, metadata=OPTIONAL)
    transfer: Transfer = field(default=Transfer.MARIABACKUP, metadata=OPTIONAL)
    full: bool = field(default=False, metadata=OPTIONAL)

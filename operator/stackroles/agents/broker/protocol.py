"""What a RabbitMQ member's agent, the other members and the operator say to each other.

The operator gives the BrokerSettings as a file; the agent answers a BrokerStatus; what takes a
user's consent the operator publishes as a BrokerDecision, an annotation of the member's pod.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from stackroles.agents.wire import OPTIONAL, key

PORT = 15691
# The annotation of a member's pod that holds a BrokerDecision.
DECISION_ANNOTATION = "stackroles.io/broker-decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """What the operator gives: hosts of the members, ports, and where data is."""

    members: tuple[str, ...]
    port: int
    amqp_port: int
    home: str
    cookie: str

    def host(self, pod: str) -> str:
        """Return the host of a pod of this StatefulSet."""
        return f"{pod}.{self.members[0].partition('.')[2]}"


class State(StrEnum):
    """What a member is."""

    EMPTY = "empty"
    FORMING = "forming"
    STOPPED = "stopped"
    RUNNING = "running"
    SPLIT = "split"
    LEFT = "left"


class BrokerMode(StrEnum):
    """What is decided for a member, by a user's consent.

    CONTINUE: be the cluster, without the other members and what only they held.
    YIELD: put its own data aside, and join the cluster of the others.
    """

    CONTINUE = "continue"
    YIELD = "yield"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerDecision:
    """What is decided for one member, for exactly one attempt.

    Attributes:
        attempt: the attempt it is for.
        mode: what to do.
        incident: the loss that the user consented to; a member applies it once.
    """

    attempt: str
    mode: BrokerMode
    incident: str


@dataclass(frozen=True, slots=True, kw_only=True)
class VhostQueues:
    """The quorum queues and streams of a virtual host, of which a broker's account has one each.

    Attributes:
        total: how many there are.
        small: how many have fewer members than there are brokers in the cluster.
        small_names: some of them.
        silent: how many have no majority of their members, or no leader.
        silent_names: some of them.
    """

    total: int = field(compare=False)
    small: int = 0
    small_names: tuple[str, ...] = field(default=(), metadata=key("smallNames"))
    silent: int = 0
    silent_names: tuple[str, ...] = field(default=(), metadata=key("silentNames"))


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """What a member answers.

    Attributes:
        state: what it is; without data it is EMPTY, or FORMING once it may start; LEFT once the
            others have forgotten it since the operator asked it to leave.
        members: nodes of the cluster that its broker is in; empty while that does not run.
        message: what a person should know; empty when there is nothing.
        attempt: drawn anew before every start of its broker.
        seconds: for how long it has been in this state.
        last_seen: nodes that ran when its broker last did, as its data says; itself included.
        first: whether it starts without waiting for the others; they wait for it.
        recovered: the incident by which its data last continued alone; empty where it never did.
        yielded: the incident by which it last put its data aside; empty where it never did.
        running: nodes of the cluster that it is connected to, itself included.
        partitions: nodes that it is parted from.
        alarms: what its broker lacks, such as memory or disk: publishers are blocked meanwhile.
        disk_free, disk_limit: bytes free on its volume, and at how many the alarm comes; -1 where
            that is not known.
        queues: its quorum queues and streams by virtual host; hosts that are well may be left out.
        messages: in queues whose leader is here.
        largest: which of these queues has most, as `name in vhost: number`.
        actions: what its agent did by itself about a loss, by time (RFC 3339); the newest few.
    """

    state: State
    members: frozenset[str] = frozenset()
    message: str = ""
    attempt: str = field(default="", metadata=OPTIONAL)
    seconds: int = field(default=0, compare=False, metadata=OPTIONAL)
    last_seen: frozenset[str] = field(default=frozenset(), metadata=key("lastSeen", optional=True))
    first: bool = field(default=False, metadata=OPTIONAL)
    recovered: str = field(default="", metadata=OPTIONAL)
    yielded: str = field(default="", metadata=OPTIONAL)
    running: frozenset[str] = field(default=frozenset(), metadata=OPTIONAL)
    partitions: frozenset[str] = field(default=frozenset(), metadata=OPTIONAL)
    alarms: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    disk_free: int = field(default=-1, compare=False, metadata=key("diskFree", optional=True))
    disk_limit: int = field(default=-1, compare=False, metadata=key("diskLimit", optional=True))
    queues: Mapping[str, VhostQueues] = field(default_factory=dict, metadata=OPTIONAL)
    messages: int = field(default=0, compare=False, metadata=OPTIONAL)
    largest: str = field(default="", compare=False, metadata=OPTIONAL)
    actions: Mapping[str, str] = field(default_factory=dict, metadata=OPTIONAL)

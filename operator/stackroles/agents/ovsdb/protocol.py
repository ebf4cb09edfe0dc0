"""What an OVN database's agent and the operator exchange.

The operator gives the OvsdbSettings as a file, and an OvsdbDecision as the annotation of the
member's pod; the agent answers an OvsdbStatus over HTTP.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from stackroles.agents.wire import OPTIONAL

PORT: Final = 6640
# The annotation of a member's pod that holds an OvsdbDecision.
DECISION_ANNOTATION: Final = "stackroles.io/ovsdb-decision"


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbSettings:
    """What the operator configures; addresses without scheme, members by ordinal.

    Attributes:
        database: name of the database, as in its schema.
        schema: path of the schema.
        path: path of the member's file.
        control: path of the server's control socket.
        socket: path of the server's socket for local clients.
        port: where clients connect.
        raft_port: where members talk to each other.
        agent_port: where this agent answers.
        members: hosts of the members that the cluster is to have.
        election_timer_ms: see ovsdb-tool(1), create-cluster.
        inactivity_probe_ms: of the connections of clients.
        annotations: the pod's annotations, as the downward API writes them.
    """

    database: str
    schema: str
    path: str
    control: str
    socket: str
    port: int
    raft_port: int
    members: tuple[str, ...]
    election_timer_ms: int
    inactivity_probe_ms: int
    agent_port: int = field(default=PORT, metadata=OPTIONAL)
    annotations: str = field(default="/etc/podinfo/annotations", metadata=OPTIONAL)

    def host(self, ordinal: int) -> str:
        """Return the host of a pod of this StatefulSet, also of one that is to leave."""
        if ordinal < len(self.members):
            return self.members[ordinal]
        first, _, domain = self.members[0].partition(".")
        return f"{first.rpartition('-')[0]}-{ordinal}.{domain}"

    def raft(self, ordinal: int) -> str:
        """Return a member's raft address."""
        return f"tcp:{self.host(ordinal)}:{self.raft_port}"


class State(StrEnum):
    """What a member is.

    EMPTY has no file and waits, UNUSABLE has one that it cannot use and waits, STARTING has a
    server that does not answer yet, JOINING has one that has joined no cluster yet, MEMBER is in
    the cluster, LEAVING is on its way out, LEFT is out for good.
    """

    EMPTY = "empty"
    UNUSABLE = "unusable"
    STARTING = "starting"
    JOINING = "joining"
    MEMBER = "member"
    LEAVING = "leaving"
    LEFT = "left"


class Mode(StrEnum):
    """What is decided for a member.

    CREATE makes the cluster, without data; CONTINUE makes a cluster of its own data, without the
    other members; YIELD gives its data up and joins that cluster anew.
    """

    CREATE = "create"
    CONTINUE = "continue"
    YIELD = "yield"


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbDecision:
    """What is decided for one member, for exactly one attempt.

    Attributes:
        attempt: the attempt it is for.
        mode: what to do.
        incident: the loss that the user consented to, empty for a database that was never made.
    """

    attempt: str
    mode: Mode
    incident: str = ""


class RaftRole(StrEnum):
    """What a server is in its cluster, as `cluster/status` has it."""

    LEADER = "leader"
    FOLLOWER = "follower"
    CANDIDATE = "candidate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """One server of the cluster, in a member's view.

    Attributes:
        sid: first four digits of its identity.
        address: where it listens for others.
    """

    sid: str
    address: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterView:
    """What `cluster/status` says, by ovs-appctl or over the control socket (ovsdb-server(1)).

    Attributes:
        cluster_id: identity of the cluster, empty before it was joined.
        server_id: identity of this server.
        status: such as "cluster member".
        role: what it is, None where it is nothing yet.
        leader: first digits of the leader's identity, "self", or "unknown".
        term: raft's term.
        servers: all servers of the cluster, this one too.
        entries: how far its log goes.
    """

    cluster_id: str
    server_id: str
    status: str
    role: RaftRole | None
    leader: str
    term: int
    servers: tuple[Server, ...]
    entries: int = field(default=0, metadata=OPTIONAL)

    @property
    def is_member(self) -> bool:
        """Whether this server is in the cluster and knows its leader."""
        return self.status == "cluster member" and self.leader != "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class OvsdbStatus:
    """What a member answers.

    Attributes:
        state: what it is.
        attempt: names what it does now; a decision for another one is not for it.
        stuck: whether it has been without a majority for a minute.
        connected: whether its server is in contact with a majority (`connected` of _Server).
        view: what its server says of the cluster, None while none runs or answers; of its log only
            while it has no majority, since it changes with every write.
        waits_for: what a member that cannot go on waits for.
        fault: why its file could not be used; stays until it is a member again.
        aside: files that were put aside and are kept, newest first.
        actions: what its agent did by itself about a loss, by time (RFC 3339); the newest few.
    """

    state: State
    attempt: str = ""
    stuck: bool = False
    connected: bool = False
    view: ClusterView | None = None
    waits_for: str = ""
    fault: str = ""
    aside: tuple[str, ...] = ()
    actions: Mapping[str, str] = field(default_factory=dict, metadata=OPTIONAL)

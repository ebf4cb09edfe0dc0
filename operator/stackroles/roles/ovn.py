"""OVN: its two databases, each a raft cluster of three, and the daemon that joins them."""

from collections.abc import Mapping
from dataclasses import dataclass

from stackroles.agents import wire
from stackroles.agents.ovsdb.protocol import PORT, OvsdbSettings
from stackroles.agents.status_protocol import READY_PATH, STATUS_PATH
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.config.cloud import Cloud
from stackroles.config.endpoint import OVSDB, Endpoint
from stackroles.roles import resolvers
from stackroles.roles.common import scratch, tcp_established
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    AgentMount,
    Container,
    DataMount,
    FieldEnv,
    FileMount,
    PodInfoMount,
    Port,
    Probe,
    ResourceDefaults,
    Security,
)
from stackroles.roles.definition import (
    ClusteringChoice,
    DataVolume,
    Files,
    OpenStackService,
    RoleDefinition,
    Workload,
)

USER = 42424
HOME = "/var/lib/ovn"
RUN = "/run/ovn"
_SETTINGS = "/etc/ovn/ovsdb.json"
_NORTHD = "/etc/ovn/northd.sh"
INCIDENTS = "/etc/stackroles/ovn-incidents"

# Heartbeats of raft: a leader that is silent this long is replaced. The default of one second is
# too short for cores that are shared with everything else.
ELECTION_TIMER_MS = 5000
INACTIVITY_PROBE_MS = 60000


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    """One of OVN's databases.

    Attributes:
        role: the role that runs it.
        name: as in its schema.
        file: base name of its file, sockets and schema.
        port: where clients connect.
        raft_port: where members talk to each other.
        open_because: who reaches it from outside the cloud's pods.
    """

    role: str
    name: str
    file: str
    port: int
    raft_port: int
    open_because: str = ""

    @property
    def control(self) -> str:
        """Path of the server's control socket."""
        return f"{RUN}/{self.file}_db.ctl"

    def remotes(self, cloud: Cloud) -> str:
        """Return where clients find it: every member, comma-separated.

        The names have the cluster's domain: OVN's resolver knows no search path.
        """
        return ",".join(
            Endpoint(OVSDB, host, self.port).remote for host in cloud.qualified_members(self.role)
        )

    def settings(self, cloud: Cloud) -> str:
        """Return the settings of agents/ovsdb/."""
        settings = OvsdbSettings(
            database=self.name,
            schema=f"/usr/share/ovn/{self.file.replace('ovn', 'ovn-')}.ovsschema",
            path=f"{HOME}/{self.file}_db.db",
            control=self.control,
            socket=f"{RUN}/{self.file}_db.sock",
            port=self.port,
            raft_port=self.raft_port,
            members=tuple(cloud.qualified_members(self.role)),
            election_timer_ms=ELECTION_TIMER_MS,
            inactivity_probe_ms=INACTIVITY_PROBE_MS,
        )
        return wire.dumps(settings, indent=1, sort_keys=True)


NORTH = Database(role="ovn-nb", name="OVN_Northbound", file="ovnnb", port=6641, raft_port=6643)
SOUTH = Database(
    role="ovn-sb",
    name="OVN_Southbound",
    file="ovnsb",
    port=6642,
    raft_port=6644,
    open_because="ovn-controller and the metadata agent, which run in the nodes' own network",
)


def north(cloud: Cloud) -> str:
    """Return the remotes of the northbound database."""
    return NORTH.remotes(cloud)


def south(cloud: Cloud) -> str:
    """Return the remotes of the southbound database."""
    return SOUTH.remotes(cloud)


def client_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the files of a role that connects to the databases and does not come back by itself.

    A client takes a database that continues by consent, or that was made anew, for stale as long as
    it lives. With the incidents among its files it is replaced when there is a new one.
    """
    declared = {role: cloud.spec.roles.get(role) for role in (NORTH.role, SOUTH.role)}
    incidents = [
        f"{role} {spec.recovery.incident}\n"
        for role, spec in declared.items()
        if spec and spec.recovery
    ]
    files = {INCIDENTS: "".join(incidents)} if incidents else {}
    return {**resolvers.OVS_FILES, **files}


def _files(database: Database) -> Files[Cloud]:
    def files(cloud: Cloud) -> Mapping[str, str]:
        return {_SETTINGS: database.settings(cloud), **resolvers.OVS_FILES}

    return files


def northd_files(cloud: Cloud) -> Mapping[str, str]:
    """Return ovn-northd's start script: it takes its databases as arguments only."""
    return {
        **client_files(cloud),
        _NORTHD: " \\\n  ".join(
            (
                "exec ovn-northd",
                f"--ovnnb-db={north(cloud)}",
                f"--ovnsb-db={south(cloud)}",
                f"--unixctl={RUN}/ovn-northd.ctl",
                "-vconsole:info -vsyslog:off -vfile:off\n",
            )
        ),
    }


def _database_role(database: Database) -> RoleDefinition[Cloud]:
    return RoleDefinition(
        name=database.role,
        service="ovn",
        open_because=database.open_because,
        image="ovn",
        workload=Workload.STATEFUL_SET,
        headless=True,
        replicas=3,
        quorum=True,
        survivor_lacks="changes that only the lost members held",
        clustering=ClusteringChoice(
            models=(ClusteringModel.ACTIVE_ACTIVE,),
            because="raft keeps the database by a majority of the members, one of which leads",
        ),
        minimum_ready=2,
        files=_files(database),
        volume=DataVolume(size="1Gi"),
        fs_group=USER,
        grace_period=30,
        containers=(
            Container(
                name=database.role,
                command=(*AGENT_COMMAND, "stackroles.agents.ovsdb.agent", _SETTINGS),
                security=Security(user=USER),
                ports=(
                    Port("ovsdb", database.port),
                    Port("agent", PORT),
                    Port("raft", database.raft_port, published=False),
                ),
                # The agent asks its server. A member may wait for the others for as long as they
                # are away.
                startup=Probe(port=PORT, http_path=STATUS_PATH, period=1, failures=60),
                readiness=Probe(port=PORT, http_path=READY_PATH, period=5),
                no_liveness_because=(
                    "a member without a majority waits for the others; restarting it helps none"
                ),
                env=(
                    AGENT_PATH,
                    resolvers.OVS,
                    FieldEnv("POD_NAME", "metadata.name"),
                    FieldEnv("POD_UID", "metadata.uid"),
                ),
                mounts=(FileMount(), AgentMount(), PodInfoMount(), DataMount(HOME), *scratch(RUN)),
                resources=ResourceDefaults(cpu="20m", memory="32Mi", memory_limit="512Mi"),
            ),
        ),
        backup=f"{database.name}, as a snapshot",
    )


OVN_NB = _database_role(NORTH)
OVN_SB = _database_role(SOUTH)

OVN_NORTHD: RoleDefinition[Cloud] = RoleDefinition(
    name="ovn-northd",
    service="ovn",
    image="ovn",
    workload=Workload.DEPLOYMENT,
    clustering=ClusteringChoice(
        models=(ClusteringModel.ACTIVE_PASSIVE,),
        because="all members run, and the one that holds the southbound database's lock works",
        exclusion="a lock in the southbound database",
    ),
    files=northd_files,
    fs_group=USER,
    grace_period=15,
    needs=("ovn-nb", "ovn-sb"),
    containers=(
        Container(
            name="ovn-northd",
            command=("sh", "-eu", _NORTHD),
            security=Security(user=USER),
            startup=tcp_established(SOUTH.port, period=1, failures=120),
            readiness=tcp_established(SOUTH.port, period=10, failures=3),
            no_liveness_because="it reconnects by itself, and a lock elects the one that works",
            # Left to SIGTERM it sometimes ends by a segmentation fault (25.03.0).
            pre_stop=("ovs-appctl", "-t", f"{RUN}/ovn-northd.ctl", "exit"),
            env=(resolvers.OVS,),
            mounts=(FileMount(), *scratch(RUN)),
            resources=ResourceDefaults(cpu="20m", memory="24Mi", memory_limit="512Mi"),
        ),
    ),
)

SERVICE = OpenStackService(name="ovn")

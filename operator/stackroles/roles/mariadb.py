"""MariaDB with Galera: three members, each run by an agent that reports and applies decisions."""

from collections.abc import Iterable, Mapping
from functools import partial

from stackroles import naming
from stackroles.agents import wire
from stackroles.agents.galera.accounts_protocol import Account, Accounts, Server
from stackroles.agents.galera.protocol import PORT as AGENT_PORT
from stackroles.agents.galera.protocol import REPORT_PATH, WSREP_PATH
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.config import layers, oslo
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Key
from stackroles.roles.allowed_sections import AllowedSections
from stackroles.roles.common import DATABASE_PORT, scratch
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    AgentMount,
    Container,
    DataMount,
    Env,
    FieldEnv,
    FileMount,
    PodInfoMount,
    Port,
    Probe,
    ResourceDefaults,
    SecretEnv,
    Security,
)
from stackroles.roles.definition import (
    ClusteringChoice,
    DataVolume,
    OpenStackService,
    RoleDefinition,
    Step,
    Task,
    Workload,
)
from stackroles.roles.topology import DEFAULT

NAME = DEFAULT.database.role
USER = 42434
DATA = "/var/lib/mysql"
OPTIONS = "/etc/stackroles/my.cnf"
ACCOUNTS = "/etc/stackroles/accounts.json"
OPERATOR_USER = "stackroles"
# Galera sends it in a field of this size; a member with a longer one is never let in.
_CLUSTER_NAME = 32
_PROVIDER = "wsrep_provider_options"
_RESOURCES = ResourceDefaults(cpu="100m", memory="384Mi", memory_limit="2Gi")
# Groups of an options file that the server reads, those with a version in their name left out.
_GROUPS = ("mysqld", "mariadbd", "mariadb", "server", "galera")
# Set on the server's command line (agents/galera/settings.py), which wins over its files.
_MEMBERS_OWN = ("wsrep_node_name", "wsrep_node_address", "gtid_domain_id")
_SWITCHES = ("skip_", "disable_", "enable_")
# Other names of what is among our defaults.
_ALIASES: Mapping[str, str] = {"expire_logs_days": "binlog_expire_logs_seconds"}


def provider_options(own: str) -> str:
    """Return Galera's provider options: the defaults, overlaid by the user's, option by option.

    A member that is gone is dropped after about 3.5 s instead of 6: `suspect_timeout` is what a
    writer waits for when a member dies. Half a second between keepalives gives a live but starved
    member five chances within it.
    """
    options = {
        "gmcast.listen_addr": "tcp://0.0.0.0:4567",
        "evs.keepalive_period": "PT0.5S",
        "evs.inactive_check_period": "PT0.5S",
        "evs.suspect_timeout": "PT2.5S",
        "evs.inactive_timeout": "PT7.5S",
        # Who forms a cluster is decided by comparing positions, never by a remembered view.
        "pc.recovery": "FALSE",
        # A joiner that finds nobody primary gives up soon: its position is needed for the choice.
        "pc.wait_prim_timeout": "PT15S",
        # Kept across crashes, so that members rejoin by the transactions they missed.
        "gcache.recover": "yes",
        "gcache.size": "128M",
    }
    for option in own.split(";"):
        name, _, value = option.partition("=")
        if name.strip():
            options[name.strip()] = value.strip()
    return ";".join(f"{name}={value}" for name, value in sorted(options.items()))


def spelling(section: str, name: str) -> Key:
    """Return the key of an option of the server (MariaDB 11.8, mysys/my_getopt.c).

    It reads the groups of `_GROUPS` as one, takes "-" and "_" for one, and has prefixes: `loose`
    for an option that may be unknown, the others for switches.
    """
    if section not in _GROUPS:
        return layers.dashes(section, name)
    key = name.replace("-", "_").removeprefix("loose_")
    while key.startswith(_SWITCHES):
        key = key.partition("_")[2]
    return "mysqld", _ALIASES.get(key, key)


def buffer_pool_mebibytes(limit: int) -> int:
    """Return the size of InnoDB's buffer pool for a memory limit, both in MiB.

    Half of what is beyond the 1792 MiB that a thousand connections, a backup and a state transfer
    may take; at least a sixteenth, with which a small cloud does well.
    """
    return max(limit // 16, (limit - 1792) // 2)


def files(cloud: Cloud) -> Mapping[str, str]:
    """Return the server's options; what differs between members is added by the agent.

    The user's come last, in the groups in which they are written: of options that it takes for one
    the server follows the last.
    """
    user = cloud.options(NAME, NAME)
    defaults = _defaults(cloud)
    provider = user.find(("mysqld", _PROVIDER), spelling)
    if provider:
        section, name = provider
        defaults[_PROVIDER] = provider_options(str(user[section][name]))
        user = user.without(provider)
    merged = layers.merge({"mysqld": defaults}, user, same=spelling)
    parts = (merged.of(layers.DEFAULTS), merged.of(f"spec.config.{NAME}"))
    return {OPTIONS: "\n".join(oslo.render(part) for part in parts if part)}


def _defaults(cloud: Cloud) -> dict[str, str | int]:
    memory = _RESOURCES.memory_mebibytes(cloud.settings(NAME).resources)
    addresses = ",".join(cloud.members(NAME))
    return {
        "bind_address": "0.0.0.0",  # noqa: S104 - the pod's own network
        "port": DATABASE_PORT,
        "skip_name_resolve": 1,
        "max_connections": 1000,
        "datadir": f"{DATA}/data",
        "socket": "/run/mysqld/mysqld.sock",
        "pid_file": "/run/mysqld/mysqld.pid",
        "tmpdir": "/tmp",  # noqa: S108 - an emptyDir
        # The default, ON since 11.6.2, fails concurrent updates with error 1020; nova bug 2116186.
        "innodb_snapshot_isolation": "OFF",
        "character_set_server": "utf8mb3",
        "collation_server": "utf8mb3_general_ci",
        "default_storage_engine": "InnoDB",
        "innodb_buffer_pool_size": f"{buffer_pool_mebibytes(memory)}M",
        "innodb_log_file_size": "64M",
        # Acknowledged is on disk: a crash of all members must lose nothing.
        "innodb_flush_log_at_trx_commit": 1,
        "sync_binlog": 1,
        # InnoDB forgets when a table was last written once it has more tables than this in its
        # memory, and a verification compares only what is known not to have been written.
        "table_definition_cache": 4000,
        # Required by Galera.
        "innodb_autoinc_lock_mode": 2,
        "binlog_format": "ROW",
        # One sequence of transactions in every member's log, so that a log continues a backup
        # taken from any of them.
        "log_bin": "binlog",
        "log_slave_updates": "ON",
        "server_id": 1,
        "wsrep_gtid_mode": "ON",
        "wsrep_gtid_domain_id": 1,
        "binlog_expire_logs_seconds": 259200,
        "max_binlog_size": "128M",
        # keystone and glance make triggers during upgrades.
        "log_bin_trust_function_creators": 1,
        "wsrep_on": "ON",
        "wsrep_provider": "/usr/lib/galera/libgalera_smm.so",
        _PROVIDER: provider_options(""),
        "wsrep_cluster_name": naming.child(cloud.name, limit=_CLUSTER_NAME),
        "wsrep_cluster_address": f"gcomm://{addresses}",
        "wsrep_slave_threads": 2,
        "wsrep_sst_method": "mariabackup",
        # The socket vouches for the system user: transfers need no password.
        "wsrep_sst_auth": "mysql:",
    }


def accounts(cloud: Cloud, services: Iterable[OpenStackService]) -> Mapping[str, str]:
    """Return which databases belong to whom; passwords come through the environment."""
    wanted = Accounts(
        server=Server(host=cloud.host(DEFAULT.proxy.name), port=DATABASE_PORT, user=OPERATOR_USER),
        accounts=tuple(
            Account(
                user=service.name,
                databases=service.databases,
                password=password_variable(service.name),
            )
            for service in services
        ),
    )
    return {ACCOUNTS: wire.dumps(wanted, indent=1)}


def password_variable(service: str) -> str:
    """Return the name of the variable with a service's database password."""
    return f"DATABASE_PASSWORD_{service.upper().replace('-', '_')}"


def accounts_step(services: Iterable[OpenStackService]) -> Step[Cloud]:
    """Return the step that makes every service's databases and account.

    Args:
        services: all services; those with databases get an account of their own name.
    """
    owners = tuple(service for service in services if service.databases)
    return Step(
        name="accounts",
        image=NAME,
        security=Security(user=USER),
        needs=(NAME, DEFAULT.proxy.name),
        files=partial(accounts, services=owners),
        tasks=(
            Task(
                name="accounts",
                command=(*AGENT_COMMAND, "stackroles.agents.galera.accounts"),
                env=(
                    AGENT_PATH,
                    Env("ACCOUNTS_FILE", ACCOUNTS),
                    SecretEnv("OPERATOR_PASSWORD", NAME, "operator-password"),
                    *(
                        SecretEnv(password_variable(o.name), o.name, "database-password")
                        for o in owners
                    ),
                ),
                mounts=(FileMount(), AgentMount()),
            ),
        ),
        advice=(
            "The database's writer must answer through the haproxy role, and the operator's "
            "account must have the password of the Secret <cloud>-mariadb-credentials-in-use."
        ),
    )


MARIADB: RoleDefinition[Cloud] = RoleDefinition(
    name=NAME,
    service=NAME,
    image=NAME,
    workload=Workload.STATEFUL_SET,
    replicas=3,
    quorum=True,
    survivor_lacks="transactions that it does not hold",
    clustering=ClusteringChoice(
        models=(ClusteringModel.ACTIVE_ACTIVE,),
        because="Galera replicates to all members; the proxies send clients to one writer",
    ),
    # The first member serves: what needs the database need not wait for transfers to the others.
    minimum_ready=1,
    parallel=True,
    headless=True,
    # The operator restarts members one at a time, the writer last, and none while a member is in a
    # state transfer: a rolling update knows nothing of transfers.
    update_strategy="OnDelete",
    grace_period=300,
    keep_unready_because=(
        "one that receives a state is not ready yet: to cut it off while too few members serve "
        "leaves the only whole copy of the data alone for longer"
    ),
    volume=DataVolume(size="10Gi"),
    fs_group=USER,
    files=files,
    options=AllowedSections((*_GROUPS, "mariadb-backup", "sst")),
    spelling=spelling,
    reserved={
        ("mysqld", name): "remove it, since each member has its own, set by its agent"
        for name in _MEMBERS_OWN
    },
    containers=(
        Container(
            name=NAME,
            command=(*AGENT_COMMAND, "stackroles.agents.galera.agent"),
            security=Security(user=USER),
            ports=(
                Port("mysql", DATABASE_PORT),
                Port("agent", AGENT_PORT),
                Port("group", 4567, published=False),
                Port("ist", 4568, published=False),
                Port("sst", 4444, published=False),
            ),
            startup=Probe(http_path=REPORT_PATH, port=AGENT_PORT, period=1, failures=120),
            readiness=Probe(http_path=WSREP_PATH, port=AGENT_PORT, period=2, failures=2),
            no_liveness_because=(
                "the agent restarts the server by itself, and a restart by the kubelet would cut "
                "off state transfers, which may take hours"
            ),
            resources=_RESOURCES,
            env=(
                AGENT_PATH,
                FieldEnv("POD_NAME", "metadata.name"),
                FieldEnv("POD_UID", "metadata.uid"),
                FieldEnv("POD_IP", "status.podIP"),
                Env("GALERA_PORT", str(AGENT_PORT)),
                Env("GALERA_DEFAULTS", OPTIONS),
                Env("GALERA_OPERATOR_USER", OPERATOR_USER),
                SecretEnv("GALERA_OPERATOR_PASSWORD", NAME, "operator-password"),
                SecretEnv("GALERA_BACKUP_TOKEN", NAME, "backup-token"),
            ),
            mounts=(
                FileMount(),
                AgentMount(),
                PodInfoMount(),
                DataMount(DATA),
                *scratch("/run/mysqld"),
            ),
        ),
    ),
    backup="the databases: a physical copy with its position, of a member that is not the writer",
)


def service(others: Iterable[OpenStackService]) -> OpenStackService:
    """Return the database's service, whose step makes the accounts of the others."""
    return OpenStackService(
        name=NAME, secrets=("operator-password", "backup-token"), steps=(accounts_step(others),)
    )

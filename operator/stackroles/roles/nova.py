"""nova: the compute API and what schedules and conducts guests, with cell0 and cell1."""

from collections.abc import Mapping
from dataclasses import replace

from stackroles.agents.rpc import protocol as rpc
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.api.v1alpha1.common import ClusteringModel
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections, merge
from stackroles.roles import common, nova_rows, resolvers
from stackroles.roles.api_service import ApiService
from stackroles.roles.container import (
    AGENT_COMMAND,
    START_SECONDS,
    AgentMount,
    Port,
    Probe,
    ResourceDefaults,
    SecretEnv,
    Variable,
)
from stackroles.roles.definition import (
    Catalogue,
    ClusteringChoice,
    DatabaseUrl,
    RoleDefinition,
    Workload,
)
from stackroles.roles.housekeeping import housekeeping_steps
from stackroles.roles.topology import DEFAULT

USER = 42436
API_PORT = 8774
METADATA_PORT = 8775
CONSOLE_PORT = 6080
HOME = "/var/lib/nova"
# Shared with the metadata agents of the compute nodes.
METADATA_SECRET = SecretEnv("OS_NEUTRON__METADATA_PROXY_SHARED_SECRET", "nova", "metadata-secret")

# Of the servers that the RPC monitor calls; each has the name of its host besides.
RPC_TOPICS: Mapping[str, str] = {
    "nova-conductor": "conductor",
    "nova-scheduler": "scheduler",
    "nova-compute": "compute",
}
# Set by nova itself (nova/config.py, rpc.set_defaults), in no file.
_EXCHANGE = "nova"
_MONITOR = "nova-rpc-monitor"
ANSWERS_CALLS: Sections = {"DEFAULT": {"rpc_ping_enabled": True}}

_CONFIG = "/etc/nova/nova.conf"
_CELLS = "/etc/nova/cells.sh"
_APIS = ("nova-api", "nova-metadata")
_CELL_DATABASES = ("nova", "nova_cell0")
_BACKUP = "the databases nova_api, nova and nova_cell0"
_BROKER = SecretEnv("OS_DEFAULT__TRANSPORT_URL", "nova", "transport-url")
_CLIENTS = common.passwords("nova", "placement", "neutron", "service_user")

_ACCOUNT = "{scheme}://{username}:{password}@{hostname}:{port}"
# The form of cell1's URLs, filled by each process from its own (nova/objects/cell_mapping.py). nova
# splits a URL at its first colon and its last "@", so that with several brokers the password is all
# that lies between, the other brokers included: the whole URL comes back whatever their number.
# nova's numbered variables would fail every process that knows of fewer brokers than the table.
CELL_URL = f"{_ACCOUNT}/{{path}}"
_API_ENV: tuple[Variable, ...] = (
    _BROKER,
    *_CLIENTS,
    *common.passwords("nova", "keystone_authtoken"),
    common.token_cache_key("nova"),
    METADATA_SECRET,
)


def base_options(cloud: Cloud) -> Sections:
    """Return the options that controllers and compute nodes share."""
    return merge(
        common.logging(),
        {
            "DEFAULT": {"state_path": HOME},
            "oslo_concurrency": {"lock_path": f"{HOME}/lock"},
            "glance": {"valid_interfaces": "internal", "region_name": cloud.spec.region},
            "placement": common.client(cloud, "nova"),
            "neutron": common.client(cloud, "nova"),
            "service_user": {**common.account(cloud, "nova"), "send_service_user_token": True},
            "upgrade_levels": {"compute": "auto"},
        },
    )


def controller_options(cloud: Cloud, role: str) -> Sections:
    """Return the options of a controller role, without the user's."""
    return merge(
        base_options(cloud),
        common.database(),
        common.database("api_database"),
        common.messaging(role),
        common.cache(cloud),
        common.authtoken(cloud, "nova", "compute"),
        {
            "neutron": {"service_metadata_proxy": True},
            # One process is enough for a pod; more pods give more.
            "conductor": {"workers": 1},
            # Hosts are mapped by the operator, which knows when they join.
            "scheduler": {"workers": 1, "discover_hosts_in_cells_interval": -1},
        },
    )


def _options(cloud: Cloud, role: str) -> Sections:
    # The service records of all members are one: names of a Deployment's pods would pile up.
    host: Sections = {"DEFAULT": {"host": cloud.workload(role)}} if role in _APIS else {}
    answers = ANSWERS_CALLS if role in (*RPC_TOPICS, _MONITOR) else {}
    return merge(controller_options(cloud, role), host, answers)


_SERVICE = ApiService(
    name="nova",
    user=USER,
    config=_CONFIG,
    options=_options,
    connections={
        "database": DatabaseUrl(key="database-url", database="nova"),
        "api_database": DatabaseUrl(key="api-database-url", database="nova_api"),
    },
    broker=True,
    scratch=(HOME,),
)


def setup_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the files of the set-up step.

    The table of cells gets templates, so that it holds no password and a changed one needs no
    update of it.
    """
    cell = " \\\n  ".join(
        (
            f"--name {DEFAULT.cell}",
            f"--database_connection '{CELL_URL}'",
            f"--transport-url '{CELL_URL}'",
        )
    )
    # create_cell does not notice a cell1 that is there when it holds templates: it makes a second.
    script = f"""\
nova-manage cell_v2 map_cell0 --database_connection '{_ACCOUNT}/nova_cell0'
cells=$(nova-manage cell_v2 list_cells)
uuid=$(echo "$cells" | awk '$2 == "{DEFAULT.cell}" {{ print $4 }}')
if [ -z "$uuid" ]; then
  exec nova-manage cell_v2 create_cell --verbose {cell}
fi
exec nova-manage cell_v2 update_cell --cell_uuid "$uuid" {cell}
"""
    return {**_SERVICE.setup_files(cloud), _CELLS: script}


def _api_role(name: str, module: str, port: int, memory: str) -> RoleDefinition[Cloud]:
    return _SERVICE.api(
        _SERVICE.api_files(name, module, port),
        port=port,
        role=name,
        health="/",
        env=_API_ENV,
        # It registers itself in cell1's database when it loads.
        needs=("nova/setup", DEFAULT.broker.name),
        resources=ResourceDefaults(memory=memory, memory_limit="1Gi"),
        backup=_BACKUP,
    )


def _worker_role(name: str) -> RoleDefinition[Cloud]:
    role = _SERVICE.process(
        name,
        name,
        startup=common.tcp_established(common.BROKER_PORT, period=1, failures=START_SECONDS),
        readiness=common.tcp_established(common.BROKER_PORT, period=10, failures=3),
        env=(_BROKER, *_CLIENTS),
        resources=ResourceDefaults(memory="144Mi", memory_limit="768Mi"),
    )
    # They look for placement in the catalogue when they start, and end without it.
    needs = ("nova/setup", DEFAULT.broker.name, "keystone/catalogue")
    # A StatefulSet: its queues and its service record carry the pod's name.
    return replace(
        role,
        workload=Workload.STATEFUL_SET,
        clustering=common.WORKERS,
        needs=needs,
        backup=_BACKUP,
    )


NOVA_API = _api_role("nova-api", "nova.wsgi.osapi_compute:application", API_PORT, "176Mi")
NOVA_METADATA = _api_role("nova-metadata", "nova.wsgi.metadata:application", METADATA_PORT, "144Mi")
NOVA_CONDUCTOR = _worker_role("nova-conductor")
NOVA_SCHEDULER = _worker_role("nova-scheduler")

_CONSOLE: Sections = {
    "DEFAULT": {"web": "/usr/share/novnc"},
    "vnc": {"novncproxy_host": "0.0.0.0", "novncproxy_port": CONSOLE_PORT},  # noqa: S104 - a pod
}
# It asks the database when a console is opened, so it needs nothing to start.
NOVA_NOVNCPROXY = replace(
    _SERVICE.process(
        "nova-novncproxy",
        "nova-novncproxy",
        no_liveness_because="a restart would cut the consoles that are open",
        ports=(Port("console", CONSOLE_PORT),),
        env=(_BROKER, *_CLIENTS),
        resources=ResourceDefaults(memory="112Mi", memory_limit="512Mi"),
        extra=_CONSOLE,
    ),
    clustering=common.STATELESS,
    endpoint=True,
    health="/vnc_lite.html",
    grace_period=30,
)


def _monitor_role() -> RoleDefinition[Cloud]:
    role = _SERVICE.process(
        _MONITOR,
        *(*AGENT_COMMAND, "stackroles.agents.rpc.agent", _EXCHANGE),
        startup=Probe(port=rpc.PORT, http_path=STATUS_PATH, period=1, failures=60),
        readiness=Probe(port=rpc.PORT, http_path=STATUS_PATH, period=10),
        no_liveness_because="it makes its connection anew when that carries nothing",
        ports=(Port("agent", rpc.PORT),),
        resources=ResourceDefaults(memory="64Mi", memory_limit="256Mi"),
    )
    main = role.containers[0]
    # Of nova's accounts it has the broker's alone.
    own = replace(
        main,
        env=(*resolvers.PYTHON, _BROKER),
        mounts=(AgentMount(), *main.mounts),
    )
    return replace(
        role,
        containers=(own,),
        replicas=1,
        single_because="while it is away nobody calls, and deaf processes are found later",
        clustering=ClusteringChoice(
            models=(ClusteringModel.ACTIVE_ACTIVE,), because="one calls all the others"
        ),
        needs=(DEFAULT.broker.name,),
        grace_period=10,
    )


NOVA_RPC_MONITOR = _monitor_role()

_HOUSEKEEPING = housekeeping_steps(
    _SERVICE,
    rows=nova_rows.deleted_rows(*_CELL_DATABASES),
    removals=nova_rows.REMOVALS,
    env=(_BROKER,),
)

SERVICE = replace(
    _SERVICE.definition(
        Catalogue(
            type="compute",
            name="nova",
            role="nova-api",
            port=API_PORT,
            path="/v2.1",
            listing="/servers?limit=1",
        ),
        _SERVICE.setup(
            _SERVICE.migration(
                "api-db-sync",
                *("nova-manage", "api_db", "sync"),
                section="api_database",
                env=(_BROKER,),
            ),
            _SERVICE.task("cells", "sh", "-eu", _CELLS, env=(_BROKER,)),
            # cell1's database and, as it is mapped by now, cell0's.
            _SERVICE.migration(
                "db-sync",
                *("nova-manage", "db", "sync"),
                databases=_CELL_DATABASES,
                env=(_BROKER,),
            ),
            files=setup_files,
        ),
    ),
    databases=("nova_api", *_CELL_DATABASES),
    secrets=("token-cache-key", "metadata-secret"),
    housekeeping=_HOUSEKEEPING,
)

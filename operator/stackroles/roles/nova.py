"""nova: the compute API and what schedules and conducts guests, with cell0 and cell1."""

from collections.abc import Mapping

from stackroles.config import oslo
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections, merge
from stackroles.roles import common, resolvers, wsgi
from stackroles.roles.allowed_sections import ANY, NO_WSGI
from stackroles.roles.container import (
    Amount,
    Container,
    FileMount,
    Port,
    Probe,
    SecretEnv,
    Security,
    Variable,
)
from stackroles.roles.definition import (
    Catalogue,
    Connection,
    Files,
    RoleDefinition,
    ServiceDefinition,
    Step,
    Task,
    Workload,
)

USER = 42436
API_PORT = 8774
METADATA_PORT = 8775
CONSOLE_PORT = 6080
HOME = "/var/lib/nova"
# Shared with the metadata agents of the compute nodes.
METADATA_SECRET = SecretEnv("OS_NEUTRON__METADATA_PROXY_SHARED_SECRET", "nova", "metadata-secret")

_CONFIG = "/etc/nova/nova.conf"
_CELLS = "/etc/nova/cells.sh"
_DATABASES = (
    SecretEnv("OS_DATABASE__CONNECTION", "nova", "database-url"),
    SecretEnv("OS_API_DATABASE__CONNECTION", "nova", "api-database-url"),
)
_BROKER = SecretEnv("OS_DEFAULT__TRANSPORT_URL", "nova", "transport-url")
_CLIENTS = common.passwords("nova", "placement", "neutron", "service_user")

_ACCOUNT = "{scheme}://{username}:{password}@{hostname}:{port}"
# The form of cell1's URLs, filled by each process from its own (nova/objects/cell_mapping.py). nova
# splits a URL at its first colon and its last "@", so that with several brokers the password is all
# that lies between, the other brokers included: the whole URL comes back whatever their number.
# nova's numbered variables would fail every process that knows of fewer brokers than the table.
CELL_URL = f"{_ACCOUNT}/{{path}}"
_API_ENV: tuple[Variable, ...] = (
    *_DATABASES,
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


def _render(cloud: Cloud, role: str, extra: Sections) -> str:
    user = common.oslo_options(cloud.options(role, "nova"))
    return oslo.render(controller_options(cloud, role), extra, user)


def _api_files(role: str, module: str, port: int) -> Files:
    def files(cloud: Cloud) -> Mapping[str, str]:
        # The service records of all members are one: names of a Deployment's pods would pile up.
        extra = {"DEFAULT": {"host": cloud.workload(role)}}
        return {
            **resolvers.python_files(cloud),
            **common.broker_files(cloud),
            _CONFIG: _render(cloud, role, extra),
            "/etc/nova/uwsgi.ini": wsgi.uwsgi(module, port, cloud.options(role, "nova")),
        }

    return files


def _files(role: str, extra: Sections | None = None) -> Files:
    def files(cloud: Cloud) -> Mapping[str, str]:
        return {
            **resolvers.python_files(cloud),
            **common.broker_files(cloud),
            _CONFIG: _render(cloud, role, extra or {}),
        }

    return files


def setup_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the files of the set-up step.

    The table of cells gets templates, so that it holds no password and a changed one needs no
    update of it.
    """
    cell = " \\\n  ".join(
        (
            "--name cell1",
            f"--database_connection '{CELL_URL}'",
            f"--transport-url '{CELL_URL}'",
        )
    )
    # create_cell does not notice a cell1 that is there when it holds templates: it makes a second.
    script = f"""\
nova-manage cell_v2 map_cell0 --database_connection '{_ACCOUNT}/nova_cell0'
cells=$(nova-manage cell_v2 list_cells)
uuid=$(echo "$cells" | awk '$2 == "cell1" {{ print $4 }}')
if [ -z "$uuid" ]; then
  exec nova-manage cell_v2 create_cell --verbose {cell}
fi
exec nova-manage cell_v2 update_cell --cell_uuid "$uuid" {cell}
"""
    options = oslo.render(
        controller_options(cloud, "nova"),
        common.setup_options(cloud, "nova", "database", "api_database"),
    )
    return {_CONFIG: options, _CELLS: script}


def _api_role(name: str, module: str, port: int, memory: str) -> RoleDefinition:
    return RoleDefinition(
        name=name,
        service="nova",
        open_because="clients of the API, and agents in the nodes' own network",
        image="nova",
        workload=Workload.DEPLOYMENT,
        files=_api_files(name, module, port),
        options=ANY,
        fs_group=USER,
        grace_period=75,
        # It registers itself in cell1's database when it loads.
        needs=("nova/setup", "rabbitmq"),
        containers=(
            wsgi.api_container(
                name=name,
                port=port,
                health="/",
                user=USER,
                ini="/etc/nova/uwsgi.ini",
                env=_API_ENV,
                mounts=common.scratch(HOME),
                resources=Amount(memory=memory, memory_limit="1Gi"),
            ),
        ),
        backup="the databases nova_api, nova and nova_cell0",
    )


def _worker_role(name: str) -> RoleDefinition:
    return RoleDefinition(
        name=name,
        service="nova",
        image="nova",
        # Its queues and its service record carry the pod's name.
        workload=Workload.STATEFUL_SET,
        files=_files(name),
        options=NO_WSGI,
        fs_group=USER,
        grace_period=75,
        # They look for placement in the catalogue when they start, and end without it.
        needs=("nova/setup", "rabbitmq", "keystone/catalogue"),
        containers=(
            Container(
                name=name,
                command=(name, "--config-file", _CONFIG),
                security=Security(user=USER),
                startup=common.tcp_established(common.BROKER_PORT, period=1, failures=300),
                readiness=common.tcp_established(common.BROKER_PORT, period=10, failures=3),
                no_liveness_because=common.NO_RPC_LIVENESS,
                env=(*resolvers.PYTHON, *_DATABASES, _BROKER, *_CLIENTS),
                mounts=(FileMount(), *common.scratch(HOME)),
                resources=Amount(memory="144Mi", memory_limit="768Mi"),
            ),
        ),
        backup="the databases nova_api, nova and nova_cell0",
    )


NOVA_API = _api_role("nova-api", "nova.wsgi.osapi_compute:application", API_PORT, "176Mi")
NOVA_METADATA = _api_role("nova-metadata", "nova.wsgi.metadata:application", METADATA_PORT, "144Mi")
NOVA_CONDUCTOR = _worker_role("nova-conductor")
NOVA_SCHEDULER = _worker_role("nova-scheduler")

_CONSOLE_OPTIONS: Sections = {
    "DEFAULT": {"web": "/usr/share/novnc"},
    "vnc": {"novncproxy_host": "0.0.0.0", "novncproxy_port": CONSOLE_PORT},  # noqa: S104 - a pod
}

NOVA_NOVNCPROXY = RoleDefinition(
    name="nova-novncproxy",
    service="nova",
    open_because="browsers that show a guest's console",
    image="nova",
    workload=Workload.DEPLOYMENT,
    files=_files("nova-novncproxy", _CONSOLE_OPTIONS),
    options=NO_WSGI,
    fs_group=USER,
    grace_period=30,
    # It asks the database when a console is opened.
    needs=(),
    containers=(
        Container(
            name="nova-novncproxy",
            command=("nova-novncproxy", "--config-file", _CONFIG),
            security=Security(user=USER),
            ports=(Port("console", CONSOLE_PORT),),
            startup=Probe(port=CONSOLE_PORT, period=1, failures=300),
            readiness=Probe(port=CONSOLE_PORT, http_path="/vnc_lite.html", period=10, timeout=10),
            no_liveness_because="a restart would cut the consoles that are open",
            env=(*resolvers.PYTHON, *_DATABASES, _BROKER, *_CLIENTS),
            mounts=(FileMount(), *common.scratch(HOME)),
            resources=Amount(memory="112Mi", memory_limit="512Mi"),
        ),
    ),
)


def _setup_task(name: str, *command: str) -> Task:
    return Task(
        name=name,
        command=command,
        env=(*_DATABASES, _BROKER),
        mounts=(FileMount(), *common.scratch(HOME)),
    )


SERVICE = ServiceDefinition(
    name="nova",
    databases=("nova_api", "nova", "nova_cell0"),
    connections=(
        Connection(key="database-url", database="nova"),
        Connection(key="api-database-url", database="nova_api"),
    ),
    broker=True,
    catalogue=Catalogue(
        type="compute",
        name="nova",
        role="nova-api",
        port=API_PORT,
        path="/v2.1",
        listing="/servers?limit=1",
    ),
    identity=True,
    secrets=("token-cache-key", "metadata-secret"),
    steps=(
        Step(
            name="setup",
            image="nova",
            security=Security(user=USER),
            files=setup_files,
            needs=("mariadb/accounts", "haproxy"),
            tasks=(
                _setup_task("api-db-sync", "nova-manage", "api_db", "sync"),
                _setup_task("cells", "sh", "-eu", _CELLS),
                # cell1's database and, as it is mapped by now, cell0's.
                _setup_task("db-sync", "nova-manage", "db", "sync"),
            ),
            advice="check that the database answers and lets the user nova in",
        ),
    ),
)

"""neutron: networks, over ML2 with OVN."""

from collections.abc import Mapping
from dataclasses import replace

from stackroles.config import oslo
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections
from stackroles.roles import common, ovn, resolvers, wsgi
from stackroles.roles.allowed_sections import ANY, NO_WSGI
from stackroles.roles.container import (
    Amount,
    Container,
    Env,
    FileMount,
    Probe,
    SecretEnv,
    Security,
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

USER = 42435
PORT = 9696
HOME = "/var/lib/neutron"

_CONFIG = "/etc/neutron/neutron.conf"
_DATABASE = SecretEnv("OS_DATABASE__CONNECTION", "neutron", "database-url")
_ENV = (
    _DATABASE,
    SecretEnv("OS_DEFAULT__TRANSPORT_URL", "neutron", "transport-url"),
    *common.passwords("neutron", "nova", "keystone_authtoken"),
    common.token_cache_key("neutron"),
)


def _render(cloud: Cloud, role: str, user: Sections) -> str:
    return oslo.render(
        common.logging(),
        common.database(),
        common.messaging(role),
        common.authtoken(cloud, "neutron", "network"),
        {
            "DEFAULT": {
                "auth_strategy": "keystone",
                "core_plugin": "ml2",
                "service_plugins": "ovn-router",
                "state_path": HOME,
                # OVN has no agents that speak RPC.
                "rpc_workers": 0,
                "rpc_state_report_workers": 0,
            },
            "oslo_concurrency": {"lock_path": f"{HOME}/lock"},
            "nova": {
                **common.account(cloud, "neutron"),
                "region_name": cloud.spec.region,
                "endpoint_type": "internal",
            },
            "ml2": {
                "mechanism_drivers": "ovn",
                "type_drivers": ("local", "flat", "vlan", "geneve"),
                "tenant_network_types": "geneve",
                "extension_drivers": "port_security",
            },
            "ml2_type_flat": {"flat_networks": "*"},
            "ml2_type_geneve": {"vni_ranges": "1:65536", "max_header_size": 38},
            "ovn": {
                "ovn_nb_connection": ovn.north(cloud),
                "ovn_sb_connection": ovn.south(cloud),
                "ovn_l3_scheduler": "leastloaded",
                "ovn_metadata_enabled": True,
            },
        },
        user,
    )


def api_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the API's files."""
    options = cloud.options("neutron-api", "neutron")
    return {
        **resolvers.python_files(cloud),
        **resolvers.FORGETFUL_FILES,
        **common.broker_files(cloud),
        _CONFIG: _render(cloud, "neutron-api", common.oslo_options(options)),
        "/etc/neutron/uwsgi.ini": wsgi.uwsgi(
            "neutron.wsgi.api:application",
            PORT,
            options,
            # The workers of a pod tell each other's rows in OVN's hash ring from older ones by it.
            start_time="%t",
        ),
    }


def _files(role: str) -> Files:
    def files(cloud: Cloud) -> Mapping[str, str]:
        user = common.oslo_options(cloud.options(role, "neutron"))
        return {
            **resolvers.python_files(cloud),
            **resolvers.FORGETFUL_FILES,
            **common.broker_files(cloud),
            _CONFIG: _render(cloud, role, user),
        }

    return files


def setup_files(cloud: Cloud) -> Mapping[str, str]:
    """Return the files of the set-up step."""
    return {_CONFIG: _render(cloud, "neutron", common.setup_options(cloud, "neutron", "database"))}


NEUTRON_API = RoleDefinition(
    name="neutron-api",
    service="neutron",
    open_because="clients of the API, and agents in the nodes' own network",
    image="neutron",
    workload=Workload.DEPLOYMENT,
    files=api_files,
    options=ANY,
    fs_group=USER,
    grace_period=75,
    needs=("neutron/setup", "rabbitmq", "ovn-nb", "ovn-sb"),
    containers=(
        wsgi.api_container(
            name="neutron-api",
            port=PORT,
            health="/healthcheck",
            user=USER,
            ini="/etc/neutron/uwsgi.ini",
            env=(resolvers.FORGETFUL, *_ENV, Env("OS_NEUTRON_CONFIG_FILES", "neutron.conf")),
            mounts=common.scratch(HOME),
            resources=Amount(memory="176Mi", memory_limit="1Gi"),
        ),
    ),
    backup="its database, from which the databases of OVN can be made again",
)


def _worker_role(name: str, program: str, readiness: Probe, because: str) -> RoleDefinition:
    return RoleDefinition(
        name=name,
        service="neutron",
        image="neutron",
        workload=Workload.DEPLOYMENT,
        replicas=1,
        files=_files(name),
        options=NO_WSGI,
        fs_group=USER,
        grace_period=75,
        needs=("neutron/setup", "rabbitmq", "ovn-nb", "ovn-sb"),
        single_because=because,
        containers=(
            Container(
                name=name,
                command=(program, "--config-file", _CONFIG),
                security=Security(user=USER),
                startup=replace(readiness, period=1, failures=300),
                readiness=readiness,
                no_liveness_because=common.NO_RPC_LIVENESS,
                env=(*resolvers.PYTHON, resolvers.FORGETFUL, *_ENV),
                mounts=(FileMount(), *common.scratch(HOME)),
                resources=Amount(memory="144Mi", memory_limit="768Mi"),
            ),
        ),
    )


NEUTRON_PERIODIC = _worker_role(
    "neutron-periodic",
    "neutron-periodic-workers",
    # It talks to the database alone, every two minutes; a connection that a failover cut is made
    # anew by the next task.
    common.tcp_established(common.DATABASE_PORT, period=60, failures=5),
    "its tasks clean up now and then and would collide; while it is away nothing is cleaned up",
)
NEUTRON_MAINTENANCE = _worker_role(
    "neutron-maintenance",
    "neutron-ovn-maintenance-worker",
    common.tcp_established(ovn.NORTH.port, period=10, failures=3),
    "it works under a lock of OVN's; while it is away nothing repairs differences to OVN",
)

SERVICE = ServiceDefinition(
    name="neutron",
    databases=("neutron",),
    connections=(Connection(key="database-url", database="neutron"),),
    broker=True,
    catalogue=Catalogue(
        type="network",
        name="neutron",
        role="neutron-api",
        port=PORT,
        listing="/v2.0/networks?limit=1&fields=id",
    ),
    identity=True,
    secrets=("token-cache-key",),
    steps=(
        Step(
            name="setup",
            image="neutron",
            security=Security(user=USER),
            files=setup_files,
            needs=("mariadb/accounts", "haproxy"),
            tasks=(
                Task(
                    name="db-sync",
                    command=("neutron-db-manage", "--config-file", _CONFIG, "upgrade", "heads"),
                    env=(_DATABASE,),
                    mounts=(FileMount(), *common.scratch(HOME)),
                ),
            ),
            advice="check that the database answers and lets the user neutron in",
        ),
    ),
)

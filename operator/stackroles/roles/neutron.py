"""neutron: networks, over ML2 with OVN."""

from dataclasses import replace

from stackroles.api.v1alpha1.common import ClusteringModel, Standby
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Sections, merge
from stackroles.roles import common, ovn, resolvers
from stackroles.roles.api_service import ApiService
from stackroles.roles.container import START_SECONDS, Env, Probe, ResourceDefaults, SecretEnv
from stackroles.roles.definition import Catalogue, ClusteringChoice, DatabaseUrl, RoleDefinition
from stackroles.roles.topology import DEFAULT

PORT = 9696
HOME = "/var/lib/neutron"

_ENV = (
    SecretEnv("OS_DEFAULT__TRANSPORT_URL", "neutron", "transport-url"),
    *common.passwords("neutron", "nova", "keystone_authtoken"),
    common.token_cache_key("neutron"),
)


def _options(cloud: Cloud, role: str) -> Sections:
    return merge(
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
    )


_SERVICE = ApiService(
    name="neutron",
    user=42435,
    config="/etc/neutron/neutron.conf",
    options=_options,
    connections={"database": DatabaseUrl(key="database-url", database="neutron")},
    broker=True,
    files=ovn.client_files,
    env=(resolvers.OVS,),
    scratch=(HOME,),
)
_NEEDS = ("neutron/setup", DEFAULT.broker.name, "ovn-nb", "ovn-sb")

NEUTRON_API = _SERVICE.api(
    _SERVICE.api_files(
        "neutron-api",
        "neutron.wsgi.api:application",
        PORT,
        # The workers of a pod tell their rows in OVN's hash ring from older ones by it.
        start_time="%t",
    ),
    port=PORT,
    role="neutron-api",
    env=(*_ENV, Env("OS_NEUTRON_CONFIG_FILES", "neutron.conf")),
    needs=_NEEDS,
    resources=ResourceDefaults(memory="176Mi", memory_limit="1Gi"),
    backup="its database, from which the databases of OVN can be made again",
)


# A northbound database that continued by consent, or was made anew, is filled again from neutron's
# own before the maintenance goes on.
_MAINTENANCE = (
    f"if grep -q '^{ovn.NORTH.role} ' {ovn.INCIDENTS} 2> /dev/null; then "
    'neutron-ovn-db-sync-util "$@" --ovn-neutron_sync_mode repair; fi; '
    'exec neutron-ovn-maintenance-worker "$@"'
)


def _worker_role(
    name: str,
    program: tuple[str, ...],
    readiness: Probe,
    because: str,
    clustering: ClusteringChoice,
) -> RoleDefinition[Cloud]:
    role = _SERVICE.process(
        name,
        *program,
        startup=replace(readiness, period=1, failures=START_SECONDS),
        readiness=readiness,
        env=_ENV,
        resources=ResourceDefaults(memory="144Mi", memory_limit="768Mi"),
    )
    return replace(role, replicas=1, needs=_NEEDS, single_because=because, clustering=clustering)


NEUTRON_PERIODIC = _worker_role(
    "neutron-periodic",
    ("neutron-periodic-workers",),
    # It talks to the database alone, every two minutes; a connection that a failover cut is made
    # anew by the next task.
    common.tcp_established(common.DATABASE_PORT, period=60, failures=5),
    "its tasks clean up now and then and would collide; while it is away nothing is cleaned up",
    ClusteringChoice(
        models=common.EITHER,
        because="its tasks would collide: one member, or a standby that takes over",
        standby=(Standby.COLD,),
    ),
)
NEUTRON_MAINTENANCE = _worker_role(
    "neutron-maintenance",
    ("sh", "-euc", _MAINTENANCE, "sh"),
    common.tcp_established(ovn.NORTH.port, period=10, failures=3),
    "it works under a lock of OVN's; while it is away nothing repairs differences to OVN",
    ClusteringChoice(
        models=(ClusteringModel.ACTIVE_PASSIVE,),
        because="it works under a lock of the northbound database",
        exclusion="a lock in the northbound database",
    ),
)

# OVN's own databases are older or newer than a restored one of neutron's, which is the truth: what
# is too much in them goes, and what is missing is made.
_OVN_SYNC = replace(
    _SERVICE.setup(
        _SERVICE.task(
            "ovn-sync",
            *("neutron-ovn-db-sync-util", "--config-file", _SERVICE.config),
            *("--ovn-neutron_sync_mode", "repair"),
            env=(*resolvers.PYTHON, *_SERVICE.env, *_ENV),
        ),
        files=_SERVICE.role_files(NEUTRON_MAINTENANCE.name),
    ),
    name="ovn-sync",
    needs=(),
    advice="check that the database and ovn-nb answer",
)

SERVICE = replace(
    _SERVICE.definition(
        Catalogue(
            type="network",
            name="neutron",
            role="neutron-api",
            port=PORT,
            listing="/v2.0/networks?limit=1&fields=id",
        ),
        _SERVICE.setup(
            _SERVICE.migration(
                "db-sync",
                *("neutron-db-manage", "--config-file", _SERVICE.config, "upgrade", "heads"),
            )
        ),
    ),
    after_restore=(_OVN_SYNC,),
)

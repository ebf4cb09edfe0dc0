"""neutron's OVN metadata agent: a proxy in each network's namespace on a compute node."""

from collections.abc import Mapping

from stackroles.config import oslo
from stackroles.config.layers import Sections
from stackroles.config.pool import Pool
from stackroles.roles import common, compute, neutron, nova, ovn, resolvers
from stackroles.roles.allowed_sections import NO_WSGI
from stackroles.roles.container import (
    Container,
    FieldEnv,
    HostMount,
    Probe,
    ResourceDefaults,
    SecretEnv,
)
from stackroles.roles.definition import RoleDefinition, Workload

_CONFIG = "/etc/neutron/neutron_ovn_metadata_agent.ini"
# Sections of neutron's privileged contexts (neutron/privileged/__init__.py).
_PRIVILEGED = (
    "privsep",
    "privsep_dhcp_release",
    "privsep_ovs_vsctl",
    "privsep_namespace",
    "privsep_conntrack",
    "privsep_link",
)
_SOCKET = f"{neutron.HOME}/metadata_proxy"


def files(pool: Pool) -> Mapping[str, str]:
    """Return the agent's configuration."""
    cloud = pool.cloud
    # The container is root already: helpers start without sudo.
    helper = {"helper_command": f"privsep-helper --config-file {_CONFIG}"}
    options: Sections = {
        "DEFAULT": {
            "state_path": neutron.HOME,
            "metadata_proxy_socket": _SOCKET,
            "nova_metadata_host": cloud.host("nova-metadata"),
            "nova_metadata_port": nova.METADATA_PORT,
            "metadata_workers": 1,
        },
        "oslo_concurrency": {"lock_path": f"{neutron.HOME}/lock"},
        "agent": {"root_helper": "", "root_helper_daemon": ""},
        "ovs": {"ovsdb_connection": "unix:/run/openvswitch/db.sock"},
        "ovn": {"ovn_sb_connection": ovn.south(cloud)},
    }
    privileged: Sections = dict.fromkeys(_PRIVILEGED, helper)
    user = common.oslo_options(pool.options("ovn-metadata", "neutron"))
    rendered = oslo.render(common.logging(), options, privileged, user)
    return {
        **resolvers.python_files(cloud),
        **ovn.client_files(cloud),
        _CONFIG: rendered,
    }


OVN_METADATA: RoleDefinition[Pool] = RoleDefinition(
    name="ovn-metadata",
    service="neutron",
    image="neutron",
    workload=Workload.DAEMON_SET,
    files=files,
    options=NO_WSGI,
    spelling=oslo.spelling,
    host_network=True,
    data_plane=True,
    update_strategy="OnDelete",
    grace_period=15,
    needs=("ovn-sb",),
    containers=(
        Container(
            name="ovn-metadata",
            command=compute.agent("ovn_metadata", "--config-file", _CONFIG),
            security=compute.node_root("makes network namespaces and runs proxies in them"),
            startup=Probe(command=("test", "-S", _SOCKET), period=2, failures=450),
            readiness=Probe(command=("test", "-S", _SOCKET), period=15),
            no_liveness_because="it ends when it breaks, and takes the proxies of all networks "
            "of the node with it",
            env=(
                *resolvers.PYTHON,
                resolvers.OVS,
                FieldEnv("OS_DEFAULT__HOST", "spec.nodeName"),
                SecretEnv("OS_DEFAULT__METADATA_PROXY_SHARED_SECRET", "nova", "metadata-secret"),
            ),
            mounts=(
                *compute.AGENT_MOUNTS,
                compute.SWITCH_RUN,
                HostMount("/run/netns", "/run/netns", propagation="Bidirectional"),
                *common.scratch(neutron.HOME),
            ),
            resources=ResourceDefaults(cpu="20m", memory="160Mi", memory_limit="768Mi"),
        ),
    ),
)

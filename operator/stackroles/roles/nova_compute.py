"""nova-compute: the node's place in the cloud."""

from collections.abc import Mapping

from stackroles.agents.compute.probe_protocol import ProbeSettings
from stackroles.config import oslo
from stackroles.config.layers import Sections
from stackroles.config.pool import Pool
from stackroles.roles import common, compute, nova, resolvers
from stackroles.roles.allowed_sections import NO_WSGI
from stackroles.roles.container import (
    START_SECONDS,
    Container,
    Env,
    FieldEnv,
    FileMount,
    ResourceDefaults,
    ScratchMount,
    SecretEnv,
    Security,
)
from stackroles.roles.definition import (
    RoleDefinition,
    Step,
    Task,
    Workload,
)

_CONFIG = "/etc/nova/nova.conf"
# Written by the probe, for this node alone.
_NODE = ScratchMount("node-config", "/etc/stackroles-node")
_NODE_CONFIG = f"{_NODE.path}/node.conf"
# Sections of the privileged contexts of nova and os-vif.
_PRIVILEGED = (
    "nova_sys_admin",
    "vif_plug_ovs_privileged",
    "vif_plug_linux_bridge_privileged",
    "privsep_osbrick",
)
PROBE = "virt-probe"
_BROKER = SecretEnv("OS_DEFAULT__TRANSPORT_URL", "nova", "transport-url")
_CLIENTS = common.passwords("nova", "placement", "neutron", "service_user")


def probe(request: str | None = None) -> Container:
    """Return the container in which a node shows what runs guests there.

    Args:
        request: a request to probe again, without which nothing of nova-compute is written; None
            before nova-compute starts.
    """
    again = request is not None
    return Container(
        name=PROBE,
        image="libvirt",
        command=compute.agent("virt_probe", *(("again",) if again else ())),
        security=compute.node_root("runs a guest through libvirtd and writes the node's identity"),
        no_liveness_because="it ends by itself",
        env=(*compute.AGENT_ENV, *((Env("PROBE_REQUEST", request),) if request else ())),
        mounts=(
            *compute.AGENT_MOUNTS,
            *(() if again else (_NODE,)),
            compute.NOVA_STATE,
            compute.LIBVIRT_STATE,
            compute.LIBVIRT_RUN,
            compute.LIBVIRT_LOG,
        ),
        resources=ResourceDefaults(cpu="50m", memory="64Mi", memory_limit="512Mi"),
    )


def files(pool: Pool) -> Mapping[str, str]:
    """Return the configuration of nova-compute and the settings of the probe."""
    cloud = pool.cloud
    # The container is root already: helpers start without sudo.
    helper = {"helper_command": f"privsep-helper --config-file {_CONFIG}"}
    console = cloud.endpoint("nova-novncproxy", nova.CONSOLE_PORT).url("/vnc_lite.html")
    options: Sections = {
        "DEFAULT": {
            "compute_driver": "libvirt.LibvirtDriver",
            # A node that was off brings back what ran on it.
            "resume_guests_state_on_host_boot": True,
        },
        "libvirt": {"connection_uri": "qemu:///system"},
        "vnc": {
            "enabled": True,
            "server_listen": "0.0.0.0",  # noqa: S104 - the proxy connects from its pod
            "novncproxy_base_url": console,
        },
        "os_vif_ovs": {"ovsdb_connection": "unix:/run/openvswitch/db.sock"},
        # Into the process' own logging, where agents/compute/builds.py counts builds that fail.
        "oslo_messaging_notifications": {"driver": "log"},
        "notifications": {"notification_format": "unversioned"},
    }
    privileged: Sections = dict.fromkeys(_PRIVILEGED, helper)
    rendered = oslo.render(
        nova.base_options(cloud),
        common.messaging("nova-compute"),
        nova.ANSWERS_CALLS,
        options,
        privileged,
        common.oslo_options(pool.options("nova-compute", "nova")),
    )
    probe = ProbeSettings(cloud=compute.cloud_identity(pool), virt_type=pool.spec.virt_type.value)
    return {
        **resolvers.python_files(cloud),
        **compute.settings_files(probe),
        **common.broker_files(cloud),
        _CONFIG: rendered,
    }


NOVA_COMPUTE: RoleDefinition[Pool] = RoleDefinition(
    name="nova-compute",
    service="nova",
    image="nova-compute",
    workload=Workload.DAEMON_SET,
    files=files,
    options=NO_WSGI,
    spelling=oslo.spelling,
    # The file that the probe writes is read last.
    reserved={("libvirt", "virt_type"): "set spec.virtType of the ComputePool"},
    host_network=True,
    grace_period=75,
    needs=("nova-conductor", "nova-api", "placement", "keystone"),
    init=(probe(),),
    containers=(
        Container(
            name="nova-compute",
            command=compute.agent(
                "nova_compute", "--config-file", _CONFIG, "--config-file", _NODE_CONFIG
            ),
            security=compute.node_root("plugs guests into the switch and makes their disks"),
            startup=common.tcp_established(common.BROKER_PORT, period=1, failures=START_SECONDS),
            readiness=common.tcp_established(common.BROKER_PORT, period=10, failures=3),
            no_liveness_because=common.NO_RPC_LIVENESS,
            env=(
                *resolvers.PYTHON,
                _BROKER,
                *_CLIENTS,
                FieldEnv("OS_DEFAULT__HOST", "spec.nodeName"),
                FieldEnv("OS_DEFAULT__MY_IP", "status.hostIP"),
                FieldEnv("OS_VNC__SERVER_PROXYCLIENT_ADDRESS", "status.hostIP"),
            ),
            mounts=(
                *compute.AGENT_MOUNTS,
                _NODE,
                compute.NOVA_STATE,
                compute.LIBVIRT_RUN,
                compute.SWITCH_RUN,
                compute.DEVICES,
            ),
            resources=ResourceDefaults(cpu="50m", memory="192Mi", memory_limit="1Gi"),
        ),
    ),
    backup="nothing yet: its identity and the guests' disks stay on their node",
)


def discovery(hosts: str) -> Step[Pool]:
    """Return the step that maps new hosts into cell1.

    `--by-service` also finds a host that was removed and came back, which the default leaves out.

    Args:
        hosts: a hash of the hosts there are; another one makes another Job.
    """

    def step_files(pool: Pool) -> Mapping[str, str]:
        return {_CONFIG: oslo.render(nova.controller_options(pool.cloud, "nova-conductor"))}

    return Step(
        name="discover",
        image="nova",
        security=Security(user=nova.USER),
        files=step_files,
        tasks=(
            Task(
                name="discover-hosts",
                command=("nova-manage", "cell_v2", "discover_hosts", "--by-service", "--verbose"),
                env=(
                    SecretEnv("OS_DATABASE__CONNECTION", "nova", "database-url"),
                    SecretEnv("OS_API_DATABASE__CONNECTION", "nova", "api-database-url"),
                    _BROKER,
                    # Read by nobody: another value makes another Job.
                    Env("HOSTS", hosts),
                ),
                mounts=(FileMount(), *common.scratch(nova.HOME)),
            ),
        ),
        advice="check that the databases of nova answer",
    )

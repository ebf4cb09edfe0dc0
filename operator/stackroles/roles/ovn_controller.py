"""ovn-controller: turns OVN's logical networks into flows of the node's switch."""

from collections.abc import Mapping

from stackroles.agents.compute.ovn_controller_protocol import ChassisSettings
from stackroles.config.pool import Pool
from stackroles.roles import compute, ovn, resolvers
from stackroles.roles.container import (
    Container,
    HostMount,
    Probe,
    ResourceDefaults,
    Security,
)
from stackroles.roles.definition import RoleDefinition, Workload

_CONNECTED = (
    "sh",
    "-c",
    'test "$(ovn-appctl -t ovn-controller connection-status)" = connected',
)


def files(pool: Pool) -> Mapping[str, str]:
    """Return the settings of the chassis, and of a resolver that forgets failures."""
    network = pool.spec.network
    chassis = ChassisSettings(
        interface=network.interface,
        physical_network=network.physical_network,
        gateway=network.gateway,
        southbound=ovn.south(pool.cloud),
    )
    return {**compute.settings_files(chassis), **resolvers.OVS_FILES}


OVN_CONTROLLER: RoleDefinition[Pool] = RoleDefinition(
    name="ovn-controller",
    service="ovn",
    image="ovn",
    workload=Workload.DAEMON_SET,
    files=files,
    host_network=True,
    data_plane=True,
    update_strategy="OnDelete",
    grace_period=15,
    needs=("ovn-sb",),
    containers=(
        Container(
            name="ovn-controller",
            command=compute.agent("ovn_controller"),
            security=Security(user=0, because="the switch's sockets are for root alone"),
            startup=Probe(command=_CONNECTED, period=2, failures=450),
            readiness=Probe(command=_CONNECTED, period=15, timeout=5),
            no_liveness_because="flows stay while it is away; one that waits for OVN's database "
            "is not helped by a restart",
            env=(*compute.AGENT_ENV, resolvers.OVS),
            mounts=(
                *compute.AGENT_MOUNTS,
                compute.SWITCH_RUN,
                HostMount("/run/ovn", "/run/ovn"),
            ),
            resources=ResourceDefaults(cpu="20m", memory="48Mi", memory_limit="512Mi"),
        ),
    ),
)

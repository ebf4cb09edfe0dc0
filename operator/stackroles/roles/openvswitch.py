"""Open vSwitch on a compute node, and the underlay below it."""

from collections.abc import Mapping

from stackroles.agents.compute.openvswitch_protocol import SwitchSettings
from stackroles.config.pool import Pool
from stackroles.roles import compute
from stackroles.roles.container import (
    Container,
    HostMount,
    Probe,
    ResourceDefaults,
)
from stackroles.roles.definition import RoleDefinition, Workload

_STATE = HostMount("/var/lib/openvswitch", "/var/lib/openvswitch")
_MOUNTS = (*compute.AGENT_MOUNTS, compute.SWITCH_RUN, _STATE)
# libvirt's files of the guests that run, from which lost ports are added again.
_GUESTS = HostMount("/run/libvirt", "/run/libvirt", read_only=True)
_NO_LIVENESS = "a restart of a switch that works costs every guest of the node its packets"


def files(pool: Pool) -> Mapping[str, str]:
    """Return the settings of the switch's agents."""
    return compute.settings_files(SwitchSettings(interface=pool.spec.network.interface))


OPENVSWITCH: RoleDefinition[Pool] = RoleDefinition(
    name="openvswitch",
    service="ovn",
    image="ovn",
    workload=Workload.DAEMON_SET,
    files=files,
    host_network=True,
    data_plane=True,
    update_strategy="OnDelete",
    grace_period=15,
    containers=(
        Container(
            name="switch",
            command=compute.agent("openvswitch", "switch"),
            security=compute.node_root("makes the node's taps and bridges and moves its packets"),
            startup=Probe(
                command=("ovs-appctl", "-t", "ovs-vswitchd", "version"), period=1, failures=120
            ),
            readiness=Probe(command=("ovs-appctl", "-t", "ovs-vswitchd", "version"), period=15),
            no_liveness_because=_NO_LIVENESS,
            env=compute.AGENT_ENV,
            mounts=_MOUNTS,
            resources=ResourceDefaults(cpu="50m", memory="64Mi", memory_limit="1Gi"),
        ),
        Container(
            name="database",
            command=compute.agent("openvswitch", "database"),
            security=compute.node_root("its socket is the node's, for root alone"),
            startup=Probe(
                command=("ovsdb-client", "list-dbs", "unix:/run/openvswitch/db.sock"),
                period=1,
                failures=120,
            ),
            readiness=Probe(
                command=("ovsdb-client", "list-dbs", "unix:/run/openvswitch/db.sock"), period=15
            ),
            no_liveness_because=_NO_LIVENESS,
            env=compute.AGENT_ENV,
            mounts=_MOUNTS,
            resources=ResourceDefaults(cpu="10m", memory="32Mi", memory_limit="256Mi"),
        ),
        Container(
            name="network",
            command=compute.agent("openvswitch", "network"),
            security=compute.node_root("moves the underlay's address to its bridge"),
            startup=Probe(
                command=("test", "-e", "/run/openvswitch/underlay.ready"), period=1, failures=300
            ),
            readiness=Probe(command=("test", "-e", "/run/openvswitch/underlay.ready"), period=10),
            no_liveness_because="it ends when it breaks; what it waits for no restart brings",
            env=compute.AGENT_ENV,
            mounts=(*_MOUNTS, _GUESTS),
            resources=ResourceDefaults(cpu="10m", memory="24Mi", memory_limit="128Mi"),
        ),
    ),
)

"""libvirtd on a compute node; its guests live outside its pod."""

from collections.abc import Mapping

from stackroles.agents.compute.libvirt_protocol import LibvirtSettings
from stackroles.config.pool import Pool
from stackroles.roles import compute
from stackroles.roles.container import (
    Container,
    HostMount,
    Probe,
    ResourceDefaults,
    ScratchMount,
)
from stackroles.roles.definition import RoleDefinition, Workload

_ALIVE = ("virsh", "-c", "qemu:///system", "version", "--daemon")


def files(pool: Pool) -> Mapping[str, str]:
    """Return the settings of libvirt's agent."""
    return compute.settings_files(LibvirtSettings(cloud=compute.cloud_identity(pool)))


LIBVIRT: RoleDefinition[Pool] = RoleDefinition(
    name="libvirt",
    service="nova",
    image="libvirt",
    workload=Workload.DAEMON_SET,
    files=files,
    host_network=True,
    # QEMU's processes are the node's: a pod that comes back must see them.
    host_pid=True,
    # Guests outlive the pod, but nobody can start or stop one meanwhile: a person says when.
    update_strategy="OnDelete",
    grace_period=30,
    containers=(
        Container(
            name="libvirt",
            command=compute.agent("libvirt"),
            security=compute.node_root(
                "starts QEMU, puts it into cgroups of the node and gives guests /dev/kvm"
            ),
            startup=Probe(command=_ALIVE, period=2, failures=150),
            readiness=Probe(command=_ALIVE, period=20, timeout=10),
            no_liveness_because="a restart would break migrations and snapshots under way",
            env=compute.AGENT_ENV,
            mounts=(
                *compute.AGENT_MOUNTS,
                compute.SWITCH_RUN,
                compute.NOVA_STATE,
                compute.LIBVIRT_STATE,
                compute.LIBVIRT_RUN,
                ScratchMount("etc-libvirt", "/etc/libvirt"),
                # Definitions of guests must outlive the pod.
                HostMount("/etc/libvirt/qemu", "/etc/libvirt/qemu"),
                ScratchMount("cache-libvirt", "/var/cache/libvirt"),
                compute.LIBVIRT_LOG,
                compute.DEVICES,
                HostMount("/sys/fs/cgroup", "/sys/fs/cgroup", type="Directory"),
            ),
            resources=ResourceDefaults(cpu="20m", memory="96Mi", memory_limit="1Gi"),
        ),
    ),
    backup="nothing yet: definitions and disks of guests stay on their node",
)

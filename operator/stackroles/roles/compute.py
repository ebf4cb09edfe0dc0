"""What the roles of a compute node share."""

from collections.abc import Mapping

from stackroles.agents import wire
from stackroles.config.pool import Pool
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    AgentMount,
    FieldEnv,
    FileMount,
    HostMount,
    Mount,
    Security,
    Variable,
)

SETTINGS = "/etc/stackroles/compute.json"
NODE_NAME = FieldEnv("NODE_NAME", "spec.nodeName")
NODE_ADDRESS = FieldEnv("NODE_ADDRESS", "status.hostIP")
AGENT_ENV: tuple[Variable, ...] = (AGENT_PATH, NODE_NAME, NODE_ADDRESS)
AGENT_MOUNTS: tuple[Mount, ...] = (AgentMount(), FileMount())

SWITCH_RUN = HostMount("/run/openvswitch", "/run/openvswitch")
# The same path in all pods: nova writes what libvirt hands to QEMU by name.
NOVA_STATE = HostMount("/var/lib/nova", "/var/lib/nova")
LIBVIRT_STATE = HostMount("/var/lib/libvirt", "/var/lib/libvirt")
# With the node's /dev/pts: a guest's console is a terminal that QEMU opened in libvirt's pod.
DEVICES = HostMount("/dev", "/dev", type="Directory")
LIBVIRT_RUN = HostMount("/run/libvirt", "/run/libvirt")
# QEMU writes there why a guest stopped; the probe quotes it, and guests outlive libvirt's pod.
LIBVIRT_LOG = HostMount("/var/log/libvirt", "/var/log/libvirt")


def agent(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command of a compute node's agent program."""
    return (*AGENT_COMMAND, f"stackroles.agents.compute.{module}", *arguments)


def node_root(because: str) -> Security:
    """Return the security of a container that works on the node itself."""
    return Security(user=0, privileged=True, because=because)


def cloud_identity(pool: Pool) -> str:
    """Return what tells a pool's cloud from others, from which hosts' identities are derived."""
    return f"{pool.namespace}/{pool.cloud.name}"


def settings_files(settings: object) -> Mapping[str, str]:
    """Return the file with the settings of a role's agents.

    The file is part of the pod's template: a setting that nobody in the pod reads would roll it.

    Args:
        settings: what the agents' protocol module declares.
    """
    return {SETTINGS: wire.dumps(settings, indent=1)}

"""ovn-controller on a compute node: registers the chassis' settings, then becomes the daemon."""

from collections.abc import Sequence
from pathlib import Path

from stackroles.agents.compute import node
from stackroles.agents.compute.node import vsctl
from stackroles.agents.compute.openvswitch import LOG_OPTIONS, SOCKET
from stackroles.agents.compute.ovn_controller_protocol import ChassisSettings
from stackroles.agents.compute.underlay import PROVIDER

RUN = Path("/run/ovn")
# The underlay may wait for a person (an interface without an address): the pod's status says so.
UNDERLAY_SECONDS = 600.0


def chassis(settings: ChassisSettings, name: str) -> dict[str, str]:
    """Return the external ids by which ovn-controller and neutron know this node."""
    ids = {
        "system-id": name,
        # neutron binds ports by it: nova's [DEFAULT] host
        "hostname": name,
        "ovn-remote": settings.southbound,
        "ovn-encap-type": "geneve",
        "ovn-remote-probe-interval": "60000",
        "ovn-openflow-probe-interval": "60",
    }
    if settings.interface is not None:
        ids["ovn-bridge-mappings"] = f"{settings.physical_network}:{PROVIDER}"
        if settings.gateway:
            ids["ovn-cms-options"] = "enable-chassis-as-gw"
    return ids


def stale(settings: ChassisSettings) -> tuple[str, ...]:
    """Return the external ids this node must not have any more."""
    if settings.interface is None:
        return ("ovn-bridge-mappings", "ovn-cms-options")
    return () if settings.gateway else ("ovn-cms-options",)


def encapsulation() -> str:
    """Return the address tunnels start at, empty until the underlay is in place."""
    if not node.succeeds("ovs-vsctl", "-t2", "--no-wait", "show"):
        return ""
    return vsctl("--if-exists", "get", "open", ".", "external_ids:ovn-encap-ip").strip().strip('"')


def program(_: Sequence[str]) -> None:
    """Wait for the underlay, set the chassis' ids and become ovn-controller."""
    settings = node.settings(ChassisSettings)
    node.wait_for("the underlay", encapsulation, UNDERLAY_SECONDS)
    ids = chassis(settings, node.node_name())
    vsctl("set", "open", ".", *(f'external_ids:{key}="{value}"' for key, value in ids.items()))
    for key in stale(settings):
        vsctl("remove", "open", ".", "external_ids", key)
    RUN.mkdir(parents=True, exist_ok=True)
    arguments = (f"unix:{SOCKET}", f"--pidfile={RUN}/ovn-controller.pid", *LOG_OPTIONS)
    node.become("ovn-controller", *arguments)


if __name__ == "__main__":
    node.main(program)

"""ovn-controller on a compute node: registers the chassis' settings, then runs the daemon."""

import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence

from stackroles.agents.compute import node
from stackroles.agents.compute.control_socket import CONTROLLER, OVN_RUN, ask, connection
from stackroles.agents.compute.node import vsctl
from stackroles.agents.compute.openvswitch import LOG_OPTIONS, SOCKET
from stackroles.agents.compute.ovn_controller_protocol import ChassisSettings
from stackroles.agents.compute.southbound import Southbound
from stackroles.agents.compute.underlay import PROVIDER

# How long a daemon whose connection is gone may go unnoticed.
PERIOD = 5.0
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
        # Milliseconds: one whose member's node is gone goes to another within twice as long.
        "ovn-remote-probe-interval": "10000",
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
    """Wait for the underlay, set the chassis' ids and run ovn-controller."""
    settings = node.settings(ChassisSettings)
    node.wait_for("the underlay", encapsulation, UNDERLAY_SECONDS)
    ids = chassis(settings, node.node_name())
    vsctl("set", "open", ".", *(f'external_ids:{key}="{value}"' for key, value in ids.items()))
    for key in stale(settings):
        vsctl("remove", "open", ".", "external_ids", key)
    OVN_RUN.mkdir(parents=True, exist_ok=True)
    arguments = (f"unix:{SOCKET}", f"--pidfile={OVN_RUN}/ovn-controller.pid", *LOG_OPTIONS)
    sys.exit(run((CONTROLLER, *arguments)))


def run(command: Sequence[str]) -> int:
    """Run the daemon until it ends, and have it find its database; return its exit status."""
    daemon = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: daemon.terminate())
    ended = threading.Event()

    def wait() -> None:
        daemon.wait()
        ended.set()

    threading.Thread(target=wait, daemon=True).start()
    southbound = Southbound()
    while not ended.wait(PERIOD):
        look(southbound, time.monotonic())
    return 0 if daemon.returncode == -signal.SIGTERM else daemon.returncode


def look(southbound: Southbound, now: float) -> None:
    """Look at the daemon's connection once, and tell it what it cannot know."""
    state = connection()
    if not southbound.needs_reset(state, now):
        return
    log(f"the connection to the southbound database is {state}: it is taken as it is now")
    try:
        ask(OVN_RUN, CONTROLLER, "sb-cluster-state-reset")
    except node.AgentError as error:
        log(f"sb-cluster-state-reset failed: {error}")


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"ovn-controller's agent: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    node.main(program)

"""ovn-controller on a compute node: registers the chassis' settings, and runs the daemon."""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stackroles.agents.compute import daemon, node
from stackroles.agents.compute.control_socket import CONTROLLER, OVN_RUN, ask, connection
from stackroles.agents.compute.node import AgentError, vsctl
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


def register(ids: Mapping[str, str]) -> bool:
    """Set the ids of this chassis where they are not set; return whether one was not.

    Raises:
        AgentError: the switch's database does not answer.
    """
    rows = json.loads(vsctl("--format=json", "--columns=external_ids", "list", "open_vswitch"))
    known = dict(rows["data"][0][0][1]) if rows["data"] else {}
    if all(known.get(key) == value for key, value in ids.items()):
        return False
    vsctl("set", "open", ".", *(f'external_ids:{key}="{value}"' for key, value in ids.items()))
    return True


def program(_: Sequence[str]) -> None:
    """Wait for the underlay, set the chassis' ids and run ovn-controller."""
    settings = node.settings(ChassisSettings)
    node.wait_for("the underlay", encapsulation, UNDERLAY_SECONDS)
    ids = chassis(settings, node.node_name())
    register(ids)
    for key in stale(settings):
        vsctl("remove", "open", ".", "external_ids", key)
    OVN_RUN.mkdir(parents=True, exist_ok=True)
    arguments = (f"unix:{SOCKET}", f"--pidfile={OVN_RUN}/ovn-controller.pid", *LOG_OPTIONS)
    keeper = ChassisKeeper(ids)
    sys.exit(daemon.run((CONTROLLER, *arguments), keeper.look, PERIOD))


@dataclass
class ChassisKeeper:
    """Keeps a daemon's chassis registered and its connection one that it can use.

    Attributes:
        ids: the external ids of the chassis.
        southbound: its connection to the southbound database.
        trouble: what was wrong at the last look, empty when nothing was.
    """

    ids: Mapping[str, str]
    southbound: Southbound = field(default_factory=Southbound)
    trouble: str = ""

    def look(self) -> bool:
        """Check once, now; return True: the daemon goes on."""
        self.check(time.monotonic())
        return True

    def check(self, now: float) -> None:
        """Put right what the daemon cannot; what fails is logged, once.

        Args:
            now: seconds of a clock that does not go back.
        """
        trouble = ""
        try:
            self._reset(now)
            if register(self.ids):
                log("the switch's database had lost the chassis: it is registered again")
        except AgentError as error:
            trouble = str(error)
        if trouble and trouble != self.trouble:
            log(trouble)
        self.trouble = trouble

    def _reset(self, now: float) -> None:
        state = connection()
        if self.southbound.needs_reset(state, now):
            log(f"the connection to the southbound database is {state}: it is taken as it is now")
            ask(OVN_RUN, CONTROLLER, "sb-cluster-state-reset")


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"ovn-controller's agent: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    node.main(program)

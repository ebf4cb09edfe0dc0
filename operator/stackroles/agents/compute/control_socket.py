"""Asks the daemons of Open vSwitch and OVN on their control sockets.

Sockets are named by path: a program finds another's by its pid file only within one pod.
"""

from pathlib import Path
from typing import Final

from stackroles.agents.compute import node
from stackroles.agents.compute.node import AgentError
from stackroles.agents.text import shorten

SWITCH_RUN: Final = Path("/run/openvswitch")
OVN_RUN: Final = Path("/run/ovn")
CONTROLLER: Final = "ovn-controller"


def ask(folder: Path, program: str, *command: str) -> str:
    """Return what a program answers on its control socket.

    Raises:
        AgentError: it has none, or does not answer.
    """
    sockets = sorted(folder.glob(f"{program}.*.ctl"), key=lambda path: path.stat().st_mtime)
    if not sockets:
        raise AgentError(f"{program} does not run")
    return node.run("ovs-appctl", "--timeout=5", "-t", str(sockets[-1]), *command)


def connection() -> str:
    """Return the state of ovn-controller's connection to the southbound database."""
    try:
        return ask(OVN_RUN, CONTROLLER, "connection-status").strip()
    except AgentError as error:
        return shorten(f"not there ({error})", 500)

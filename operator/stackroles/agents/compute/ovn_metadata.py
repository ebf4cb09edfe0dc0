"""OVN's metadata agent, started when the node's switch can be asked, and again with a new one.

Where it finds no database of the switch at its start, as after the boot of a node, its main thread
ends with an error and the process stays: the socket that shows that it serves is there, and no
guest of the node gets an answer (seen with neutron 26). It adds the ports of its proxies when it
learns of a network and not again when the switch's database was lost.
"""

import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from stackroles.agents.compute import daemon, node
from stackroles.agents.compute.node import AgentError, vsctl

PROGRAM = "neutron-ovn-metadata-agent"
SWITCH = "/run/openvswitch/db.sock"
SWITCH_SECONDS = 600.0
PERIOD = 5.0


def answers(path: str) -> bool:
    """Return whether a program accepts connections at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(2)
        try:
            asked.connect(path)
        except OSError:
            return False
    return True


def identity() -> str:
    """Return the identity of the switch's database, which one that is made anew does not have.

    Raises:
        AgentError: it does not answer.
    """
    return vsctl("get", "open", ".", "_uuid").strip()


@dataclass
class SwitchWatch:
    """Notices that the switch's database was made anew.

    Attributes:
        first: the identity that it had at first, empty until it is known.
    """

    first: str = ""

    def same(self) -> bool:
        """Return whether it is the first one, as far as it answers."""
        try:
            now = identity()
        except AgentError:
            return True  # away is not another
        self.first = self.first or now
        if now != self.first:
            node.log("the switch's database was made anew: the agent starts again")
        return now == self.first


def program(arguments: Sequence[str]) -> None:
    """Wait for the switch's database, then run the agent with the given arguments."""
    node.wait_for("the switch's database", lambda: answers(SWITCH), SWITCH_SECONDS)
    watch = SwitchWatch()
    watch.same()
    sys.exit(daemon.run((PROGRAM, *arguments), watch.same, PERIOD))


if __name__ == "__main__":
    node.main(program)

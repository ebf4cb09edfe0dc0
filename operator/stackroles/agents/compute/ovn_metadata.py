"""OVN's metadata agent, started when the node's switch can be asked.

Where it finds no database of the switch at its start, as after the boot of a node, its main thread
ends with an error and the process stays: the socket that shows that it serves is there, and no
guest of the node gets an answer (seen with neutron 26).
"""

import socket
from collections.abc import Sequence

from stackroles.agents.compute import node

PROGRAM = "neutron-ovn-metadata-agent"
SWITCH = "/run/openvswitch/db.sock"
SWITCH_SECONDS = 600.0


def answers(path: str) -> bool:
    """Return whether a program accepts connections at a Unix socket."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(2)
        try:
            asked.connect(path)
        except OSError:
            return False
    return True


def program(arguments: Sequence[str]) -> None:
    """Wait for the switch's database, then become the agent with the given arguments."""
    node.wait_for("the switch's database", lambda: answers(SWITCH), SWITCH_SECONDS)
    node.become(PROGRAM, *arguments)


if __name__ == "__main__":
    node.main(program)

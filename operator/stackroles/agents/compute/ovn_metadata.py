"""OVN's metadata agent, started when the node's switch can be asked, and again with a new one.

Where it finds no database of the switch at its start, as after the boot of a node, its main thread
ends with an error and the process stays: the socket that shows that it serves is there, and no
guest of the node gets an answer (seen with neutron 26). It adds the ports of its proxies when it
learns of a network and not again when the switch's database was lost.
"""

import json
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from stackroles.agents.compute import daemon, node
from stackroles.agents.compute.node import AgentError

PROGRAM = "neutron-ovn-metadata-agent"
SWITCH = "/run/openvswitch/db.sock"
SWITCH_SECONDS = 600.0
PERIOD = 5.0
_SELECT = {"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["_uuid"]}
_QUERY = json.dumps(["Open_vSwitch", _SELECT])


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

    Empty while it holds nothing yet.

    Raises:
        AgentError: it does not answer.
    """
    answer = node.run("ovsdb-client", "--timeout=5", "transact", f"unix:{SWITCH}", _QUERY)
    rows = json.loads(answer)[0]["rows"]
    return str(rows[0]["_uuid"][1]) if rows else ""


@dataclass
class SwitchWatch:
    """Notices that the switch's database was made anew.

    Attributes:
        first: the identity that it had at first, empty until it is known.
        trouble: why it could not be asked the last time, empty when it could.
    """

    first: str = ""
    trouble: str = ""

    def same(self) -> bool:
        """Return whether it is the first one, as far as it answers."""
        try:
            now, trouble = identity(), ""
        except AgentError as error:
            now, trouble = "", str(error)
        if trouble and trouble != self.trouble:
            node.log(f"the switch's database cannot be asked: {trouble}")
        self.trouble = trouble
        self.first = self.first or now
        if now in ("", self.first):
            return True
        node.log("the switch's database was made anew: the agent starts again")
        return False


def program(arguments: Sequence[str]) -> None:
    """Wait for the switch's database, then run the agent with the given arguments."""
    node.wait_for("the switch's database", lambda: answers(SWITCH), SWITCH_SECONDS)
    watch = SwitchWatch()
    watch.same()
    sys.exit(daemon.run((PROGRAM, *arguments), watch.same, PERIOD))


if __name__ == "__main__":
    node.main(program)

"""Whether a node's data plane carries traffic: switch, flows, tunnels, metadata proxies.

It is asked from a pod of its own, which stays while those of the data plane are replaced.
"""

import json
import os
import re
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stackroles.agents.compute import node
from stackroles.agents.compute.control_socket import SWITCH_RUN, ask, connection
from stackroles.agents.compute.node import AgentError, vsctl
from stackroles.agents.compute.node_protocol import DataPlane
from stackroles.agents.compute.taps import PORT_KEY
from stackroles.agents.compute.underlay import INTEGRATION
from stackroles.agents.text import shorten

NAMESPACES = Path("/run/netns")
# neutron.agent.ovn.metadata.agent.NS_PREFIX
METADATA_PREFIX = "ovnmeta-"
METADATA_ADDRESS = ("169.254.169.254", 80)
_IN_PORT = re.compile(r'\bin_port="?([^,"\s]+)')
_FLOWS = re.compile(r"\bflow_count=(\d+)")
_INTERFACES = ("--format=json", "--columns=name,type,ofport,external_ids,options",
               "list", "interface")  # fmt: skip


def read(flows_before: int) -> DataPlane:
    """Return what is in place now.

    Args:
        flows_before: flows of the sample before.
    """
    try:
        ask(SWITCH_RUN, "ovs-vswitchd", "version")
        flows = count_flows(openflow("dump-aggregate", INTEGRATION))
        senders = in_ports(openflow("--no-names", "dump-flows", INTEGRATION, "table=0"))
        interfaces = json.loads(vsctl(*_INTERFACES))
        encapsulation = vsctl("--if-exists", "get", "open", ".", "external_ids:ovn-encap-ip")
    except AgentError as error:
        return DataPlane(switch_error=shorten(str(error), 500))
    ports, tunnels = ports_of(interfaces)
    return DataPlane(
        controller=connection(),
        flows=flows,
        settled=is_settled(flows, flows_before),
        ports=len(ports),
        idle_ports=tuple(sorted(name for name, port in ports.items() if str(port) not in senders)),
        address=encapsulation.strip().strip('"'),
        tunnels=tunnels,
        silent_networks=silent_networks(NAMESPACES),
    )


def is_settled(flows: int, before: int) -> bool:
    """Return whether a switch has its flows: some, and about as many as a sample before."""
    return flows > 0 and abs(flows - before) * 50 <= flows


def openflow(*command: str) -> str:
    """Return what ovs-ofctl printed."""
    return node.run("ovs-ofctl", "--timeout=5", *command)


def count_flows(text: str) -> int:
    """Return the number of flows in what `ovs-ofctl dump-aggregate` printed, 0 if it has none."""
    found = _FLOWS.search(text)
    return int(found[1]) if found else 0


def in_ports(text: str) -> frozenset[str]:
    """Return the ports, by number, for whose frames `ovs-ofctl --no-names dump-flows` has flows."""
    return frozenset(_IN_PORT.findall(text))


def ports_of(listed: Mapping[str, Any]) -> tuple[dict[str, int], tuple[str, ...]]:
    """Return OVN's ports by interface with their numbers, and where its tunnels lead.

    Args:
        listed: rows of name, type, ofport, external_ids and options, as ovs-vsctl prints JSON.
    """
    ports: dict[str, int] = {}
    tunnels: set[str] = set()
    for name, kind, number, ids, options in listed["data"]:
        # An empty set until vswitchd has given it one; -1 where there is no such device any more.
        port = number if isinstance(number, int) else 0
        if kind == "geneve":
            if port > 0:
                tunnels.add(dict(options[1]).get("remote_ip", ""))
        elif PORT_KEY in dict(ids[1]) and port >= 0:
            ports[name] = port
    return ports, tuple(sorted(tunnels - {""}))


def silent_networks(folder: Path) -> tuple[str, ...]:
    """Return the networks of this node whose metadata proxy takes no connection."""
    if not folder.is_dir():
        return ()
    names = sorted(path.name for path in folder.iterdir())
    return tuple(
        name.removeprefix(METADATA_PREFIX)
        for name in names
        if name.startswith(METADATA_PREFIX) and not answers_in(folder / name)
    )


def answers_in(namespace: Path) -> bool:
    """Return whether the metadata proxy of a network namespace takes connections."""
    found: list[bool] = []
    # A namespace is entered by a thread, which is not used for anything else afterwards.
    thread = threading.Thread(target=lambda: found.append(_connects(namespace)))
    thread.start()
    thread.join()
    return found == [True]


def _connects(namespace: Path) -> bool:
    try:
        with namespace.open() as entered:
            os.setns(entered.fileno(), os.CLONE_NEWNET)  # type: ignore[attr-defined,unused-ignore]
        with socket.create_connection(METADATA_ADDRESS, timeout=1):
            return True
    except OSError:
        return False

"""Taps of guests that were left down, brought up.

With the netdev datapath two programs set the flags of a guest's tap: libvirt brings it up when the
guest starts, vswitchd makes it promiscuous. Each reads all flags and writes them all back (vswitchd
from a copy that may be older, `ifi_flags` in lib/netdev-linux.c), so on a busy node "up" can get
lost. Seen after the restart of a node: the guest ran, its port was bound and "active", its tap was
promiscuous and down, and no frame passed.

libvirt takes the tap of a paused guest down too; that this brings it up again costs nothing, since
a paused guest sends and takes no frames.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from stackroles.agents.compute import node
from stackroles.agents.compute.node import vsctl
from stackroles.agents.compute.underlay import Link, read_links

PORT_KEY = "iface-id"
"""In `external_ids` of every interface that is a port of OVN's (ovn-controller(8))."""


def guest_ports(text: str) -> set[str]:
    """Return the interfaces that are ports of OVN's.

    Args:
        text: what `ovs-vsctl --format=json --columns=name,external_ids list interface` prints.
    """
    rows: list[list[Any]] = json.loads(text)["data"]
    return {name for name, (_, pairs) in rows if PORT_KEY in dict(pairs)}


def down(links: Mapping[str, Link], ports: Collection[str]) -> frozenset[str]:
    """Return the ports whose interface is there and not up."""
    return frozenset(name for name in ports if name in links and not links[name].up)


def lift(before: Collection[str]) -> frozenset[str]:
    """Bring up taps that are down and were so at the last check; return those that were down now.

    One that has just been made is down for a moment, and libvirt's to bring up.

    Raises:
        AgentError: a program failed.
    """
    listed = vsctl("--format=json", "--columns=name,external_ids", "list", "interface")
    found = down(read_links(), guest_ports(listed))
    for name in sorted(found.intersection(before)):
        node.run("ip", "link", "set", name, "up")
        node.log(f"{name} was left down and is up")
    return found

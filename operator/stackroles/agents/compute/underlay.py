"""Where a compute node's tunnels start, and its provider bridge.

With an interface of its own: the interface becomes a port of br-ex and its address moves to br-ex.
Without: tunnels use the node's address; a userspace datapath then needs a bridge beside the node's
interface (br-phy), which keeps its address and stays the kernel's.
"""

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackroles.agents.compute import node
from stackroles.agents.compute.node import AgentError, vsctl

READY = Path("/run/openvswitch/underlay.ready")
# The last address seen on the interface: of use when the bridge lost it while the interface had
# given it away.
MEMORY = Path("/var/lib/openvswitch/underlay.json")
PROVIDER = "br-ex"
BESIDE = "br-phy"
INTEGRATION = "br-int"
"""OVN's own bridge (ovn-controller(8))."""
GENEVE_PORT = "6081"


@dataclass(frozen=True)
class Link:
    """A network interface: its hardware address, whether it is up, and its IPv4 addresses."""

    name: str
    mac: str
    up: bool
    addresses: tuple[str, ...]


def parse_links(text: str) -> dict[str, Link]:
    """Return the interfaces of `ip -json address show`, by name."""
    return {
        entry["ifname"]: Link(
            name=entry["ifname"],
            mac=entry.get("address", ""),
            up="UP" in entry.get("flags", ()),
            addresses=tuple(
                f"{info['local']}/{info['prefixlen']}"
                for info in entry.get("addr_info", ())
                if info["family"] == "inet" and info.get("scope") == "global"
            ),
        )
        for entry in json.loads(text)
        if entry
    }


def holder(links: dict[str, Link], address: str) -> Link | None:
    """Return the interface with an address, which is given without its prefix length."""
    held = (link for link in links.values() if any(_ip(a) == address for a in link.addresses))
    # br-phy repeats the node's address as /32
    return next((link for link in held if link.name != BESIDE), None)


def wanted_address(interface: Link, bridge: Link | None, remembered: str | None) -> str:
    """Return the address the bridge must have.

    The interface's own, when it has one, is the newest: a restarted node gets it there first.

    Raises:
        AgentError: nobody has one.
    """
    if interface.addresses:
        return interface.addresses[0]
    if bridge is not None and bridge.addresses:
        return bridge.addresses[0]
    if remembered:
        return remembered
    raise AgentError(
        f"interface {interface.name} has no IPv4 address: give it one, or leave network.interface "
        "out of the pool"
    )


def ensure(interface: str | None, node_address: str) -> None:
    """Bring the underlay into place; does nothing where it is.

    Raises:
        AgentError: the node does not fit what the pool says, or a program failed.
    """
    links = read_links()
    netdev = datapath() == "netdev"
    if interface is not None:
        address = _ensure_provider(interface, node_address, links, netdev=netdev)
    else:
        if netdev:
            _ensure_beside(node_address, links)
        address = node_address
    _set_encapsulation(address)
    READY.touch()


def datapath() -> str:
    """Return the datapath type that `switch` chose."""
    value = vsctl("--if-exists", "get", "open", ".", "external_ids:ovn-bridge-datapath-type")
    return value.strip().strip('"')


def read_links() -> dict[str, Link]:
    """Return all interfaces of this node."""
    return parse_links(node.run("ip", "-json", "address", "show"))


def _ensure_provider(
    interface: str, node_address: str, links: dict[str, Link], *, netdev: bool
) -> str:
    """Return the address of br-ex, with the interface as its port."""
    link = links.get(interface)
    if link is None:
        raise AgentError(f"the node has no interface {interface}: see network.interface")
    if any(_ip(address) == node_address for address in link.addresses):
        raise AgentError(
            f"interface {interface} carries the node's own address {node_address}: the node would "
            "be lost with every restart of Open vSwitch; name another in network.interface"
        )
    wanted = wanted_address(link, links.get(PROVIDER), _remembered(interface))
    _remember(interface, wanted)
    _ensure_bridge(PROVIDER, link, "standalone", netdev=netdev)
    bridge = read_links().get(PROVIDER)
    if bridge is None:
        raise AgentError(f"vswitchd has not made {PROVIDER} yet")
    if netdev:
        _keep_kernel_out(interface)
    if bridge.addresses != (wanted,) or not bridge.up or link.addresses or not link.up:
        _move_address(link, bridge, wanted)
    return _ip(wanted)


def _ensure_bridge(name: str, port: Link, fail_mode: str, *, netdev: bool) -> None:
    """Make a bridge with one physical port, and wait until vswitchd has made it."""
    kind = "netdev" if netdev else "system"
    current = vsctl("--if-exists", "get", "bridge", name, "datapath_type", "other_config:hwaddr")
    ports = vsctl("list-ports", name).split() if current.strip() else []
    if current.replace('"', "").split() == [kind, port.mac] and port.name in ports:
        return
    vsctl(
        "--may-exist", "add-br", name, "--", "set", "bridge", name, f"datapath_type={kind}",
        f"fail_mode={fail_mode}", f'other_config:hwaddr="{port.mac}"',
        "--", "--may-exist", "add-port", name, port.name, wait=True,
    )  # fmt: skip


def _move_address(link: Link, bridge: Link, wanted: str) -> None:
    """Give the bridge the interface's address and routes; the interface keeps none."""
    routes = json.loads(node.run("ip", "-json", "-4", "route", "show", "dev", link.name) or "[]")
    for stale in set(bridge.addresses) - {wanted}:
        node.run("ip", "address", "del", stale, "dev", bridge.name)
    node.run("ip", "address", "replace", wanted, "dev", bridge.name)
    node.run("ip", "link", "set", bridge.name, "up")
    for address in link.addresses:
        node.run("ip", "address", "del", address, "dev", link.name)
    node.run("ip", "link", "set", link.name, "up")
    for route in moved_routes(routes):
        node.run("ip", "-4", "route", "replace", *route, "dev", bridge.name)
    node.log(f"{wanted} is on {bridge.name}, {link.name} is its port")


def moved_routes(routes: list[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Return the routes, as arguments of `ip route`, that an address leaves behind.

    Those the kernel made for the address come with it.
    """
    return [
        (route["dst"], *(("via", route["gateway"]) if "gateway" in route else ()))
        for route in routes
        if route.get("protocol") != "kernel"
    ]


def _keep_kernel_out(interface: str) -> None:
    """Keep the kernel from answering what vswitchd answers too: it sees a copy of each frame."""
    _ensure_rule("raw", "PREROUTING", "-i", interface, "-j", "DROP")
    for option, value in (("ipv4/conf/{}/arp_ignore", "8"), ("ipv6/conf/{}/disable_ipv6", "1")):
        path = Path("/proc/sys/net") / option.format(interface)
        if path.exists() and path.read_text().strip() != value:
            path.write_text(value)


def _ensure_beside(node_address: str, links: dict[str, Link]) -> None:
    """Let vswitchd send from the node's own address without taking the interface away."""
    link = holder(links, node_address)
    if link is None:
        raise AgentError(f"no interface has the node's address {node_address}")
    _ensure_bridge(BESIDE, link, "secure", netdev=True)
    bridge = read_links().get(BESIDE)
    if bridge is None:
        raise AgentError(f"vswitchd has not made {BESIDE} yet")
    # The same address again: without it answers to ARP are not learned.
    if f"{node_address}/32" not in bridge.addresses or not bridge.up:
        node.run("ip", "address", "replace", f"{node_address}/32", "dev", BESIDE)
        node.run("ip", "link", "set", BESIDE, "up")
    _ensure_rule("filter", "INPUT", "-i", link.name, "-p", "udp", "--dport", GENEVE_PORT,
                 "-j", "DROP")  # fmt: skip
    port = vsctl("get", "interface", link.name, "ofport").strip()
    flows = beside_flows(port, link.mac)
    if node.run("ovs-ofctl", "dump-flows", BESIDE).count("in_port=") < len(flows):
        for flow in flows:  # vswitchd forgets them with every restart
            node.run("ovs-ofctl", "add-flow", BESIDE, flow)


def beside_flows(port: str, mac: str) -> tuple[str, ...]:
    """Return br-phy's flows: its own frames out, answers to ARP and geneve in, nothing else."""
    return (
        f"priority=20,in_port={port},dl_src={mac},actions=in_port",
        f"priority=10,in_port={port},arp,actions=LOCAL",
        f"priority=10,in_port={port},udp,tp_dst={GENEVE_PORT},actions=LOCAL",
    )


def _ensure_rule(table: str, chain: str, *rule: str) -> None:
    if not node.succeeds("iptables", "-w", "5", "-t", table, "-C", chain, *rule):
        node.run("iptables", "-w", "5", "-t", table, "-I", chain, *rule)


def _set_encapsulation(address: str) -> None:
    key = "external_ids:ovn-encap-ip"
    if vsctl("--if-exists", "get", "open", ".", key).strip().strip('"') != address:
        vsctl("set", "open", ".", f"{key}={address}")
        node.log(f"tunnels start at {address}")


def _remembered(interface: str) -> str | None:
    if not MEMORY.exists():
        return None
    value = json.loads(MEMORY.read_text()).get(interface)
    return str(value) if value else None


def _remember(interface: str, address: str) -> None:
    if _remembered(interface) != address:
        draft = MEMORY.with_suffix(".new")
        draft.write_text(json.dumps({interface: address}))
        draft.replace(MEMORY)


def _ip(address: str) -> str:
    return str(ipaddress.ip_interface(address).ip)

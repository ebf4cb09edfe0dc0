"""What docker engines that were killed leave on a machine: mounts, bridges, rules for packets."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from lab import shell
from lab.errors import LabError

USUAL_HOST = "unix:///var/run/docker.sock"
BRIDGE = re.compile(r"br-[0-9a-f]{12}")
"""How docker names the bridge of a network: by the start of the network's id."""
NETWORK_BITS = 24


def mounts_below(mountinfo: str, folder: Path) -> list[str]:
    """Return what is mounted below a folder, the innermost first, from /proc/self/mountinfo."""
    targets = [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    found = [target for target in targets if target.startswith(f"{folder}/")]
    return sorted(found, key=len, reverse=True)


def unmount(*folders: Path) -> None:
    """Unmount what is below folders of an engine that ended: namespaces, layers of containers.

    Raises:
        LabError: Something is still in use.
    """
    for folder in folders:
        for target in mounts_below(Path("/proc/self/mountinfo").read_text(), folder):
            shell.output(["umount", target])


def names(folder: Path, command: Sequence[str]) -> bool:
    """Return whether a command line names something below a folder, as containerd and shims do."""
    return any(f"{folder}/" in part for part in command)


def command_lines(proc: Path = Path("/proc")) -> Iterator[list[str]]:
    """Yield the command line of every process; one that ended and was not reaped has none."""
    for file in proc.glob("[0-9]*/cmdline"):
        try:
            text = file.read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
        yield text.decode(errors="replace").rstrip("\0").split("\0")


def engine_hosts(commands: Iterable[Sequence[str]]) -> set[str]:
    """Return where the docker engines among some command lines answer."""
    hosts = set()
    for command in commands:
        if Path(command[0]).name != "dockerd":
            continue
        text = " ".join(command[1:])
        named = re.findall(r"(?:^|\s)(?:--host|-H)[=\s]?(\S+)", text)
        # fd:// is systemd's socket, at the usual place
        hosts |= {host for host in named if host != "fd://"}
        if not named or "fd://" in named:
            hosts.add(USUAL_HOST)
    return hosts


def bridges_with(links: Iterable[dict[str, Any]], address: str) -> set[str]:
    """Return docker's bridges that hold an address of a /24, from ``ip -j addr``."""
    return {
        link["ifname"]
        for link in links
        if BRIDGE.fullmatch(link["ifname"])
        and (address, NETWORK_BITS)
        in {(held.get("local"), held.get("prefixlen")) for held in link.get("addr_info", [])}
    }


def bridge_names(network_ids: Iterable[str]) -> set[str]:
    """Return the names of networks' bridges."""
    return {f"br-{identity[:12]}" for identity in network_ids}


def masquerading(rules: str, network: str, bridges: Collection[str]) -> list[list[str]]:
    """Return docker's rules that rewrite the source of a network's packets, but for some bridges.

    Such a rule says "from this network and not out by its bridge". When the bridge is gone it
    matches also what goes from node to node, wherever the kernel shows bridged packets to iptables:
    each then seems to come from the gateway, and tunnels between nodes stay down.

    Args:
        rules: What ``iptables -t nat -S POSTROUTING`` prints.
        network: The network, as in 10.177.0.0/24.
        bridges: Bridges whose rules are not returned.

    Returns:
        The arguments that delete each of them.
    """
    found = re.findall(
        rf"^-A (POSTROUTING -s {network} ! -o (\S+) -j MASQUERADE)$", rules, re.MULTILINE
    )
    return [
        ["-D", *text.split()]
        for text, bridge in found
        if BRIDGE.fullmatch(bridge) and bridge not in bridges
    ]


def free_address(address: str, host: str) -> list[str]:
    """Remove bridges that hold an address and that no engine knows any more, and their rules.

    Two bridges with one address leave it to chance which of them a packet takes.

    Args:
        address: The gateway of a network of ours.
        host: The engine in use; bridges of its own networks stay.

    Returns:
        The names of the bridges that were removed or of which only a rule was left.

    Raises:
        LabError: Another engine that runs has a network there, or does not answer.
    """
    links = json.loads(shell.output(["ip", "-j", "addr"]))
    ours = _bridges_of(host)
    claimed = bridges_with(links, address) - ours
    for other in sorted(engine_hosts(command_lines()) - {host}) if claimed else []:
        if used := claimed & _bridges_of(other):
            raise LabError(
                f"the docker engine at {other} uses {address}/{NETWORK_BITS} too: "
                f"its bridge {', '.join(sorted(used))} would take this cluster's packets",
                remedy="remove its cluster first: `make clean` with the XDG_CACHE_HOME it was made "
                "with, or choose another name for this one (`make demo NAME=...`)",
            )
    for name in sorted(claimed):
        shell.output(["ip", "link", "delete", name])
    network = str(ipaddress.ip_network(f"{address}/{NETWORK_BITS}", strict=False))
    table = ["iptables", "--wait", "-t", "nat"]
    left = masquerading(shell.output([*table, "-S", "POSTROUTING"]), network, ours)
    for rule in left:
        shell.output([*table, *rule])
    return sorted(claimed.union(rule[-3] for rule in left))


def _bridges_of(host: str) -> set[str]:
    listed = shell.output(
        ["docker", "network", "ls", "--quiet", "--no-trunc"], env={"DOCKER_HOST": host}, timeout=30
    )
    return bridge_names(listed.split())

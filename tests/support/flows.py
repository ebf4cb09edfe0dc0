"""TCP connections of a cluster's pods, read from the kernel's tables on the nodes.

A connection is read where it is served, so its far end is the client's own address: pods reach
pods without translation, and a Service's translation was undone before it got there.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lab.cluster import Cluster

ESTABLISHED, TIME_WAIT, LISTEN = "01", "06", "0A"
"""States in /proc/net/tcp (Linux, include/net/tcp_states.h)."""
READ = """\
seen=
for process in /proc/[0-9]*; do
  net=$(readlink $process/ns/net) || continue
  case "$seen" in *"$net"*) continue ;; esac
  seen="$seen $net"
  echo "net $net"
  cat $process/net/tcp $process/net/tcp6 2>/dev/null || true
done
"""


@dataclass(frozen=True, slots=True)
class Flow:
    """Somebody connected to a port.

    Attributes:
        source: the client's address.
        target: the server's address.
        port: the server's port.
    """

    source: str
    target: str
    port: int


@dataclass(frozen=True, slots=True)
class Socket:
    """One line of a table."""

    local: tuple[str, int]
    remote: tuple[str, int]
    state: str


def record(cluster: Cluster) -> set[Flow]:
    """Return the flows there are now, and those that ended within the last minute."""
    found: set[Flow] = set()
    for node in cluster.nodes:
        found |= parse(cluster.docker("exec", node, "sh", "-c", READ).splitlines())
    return found


def parse(lines: Iterable[str]) -> set[Flow]:
    """Return the flows in what READ printed: those whose near end is a port that is served."""
    found: set[Flow] = set()
    for sockets in _networks(lines):
        served = {socket.local[1] for socket in sockets if socket.state == LISTEN}
        found |= {
            Flow(socket.remote[0], *socket.local)
            for socket in sockets
            if socket.state in {ESTABLISHED, TIME_WAIT} and socket.local[1] in served
        }
    return {flow for flow in found if not ipaddress.ip_address(flow.target).is_loopback}


def _networks(lines: Iterable[str]) -> Iterator[list[Socket]]:
    sockets: list[Socket] = []
    for line in lines:
        fields = line.split()
        if fields[0] == "net":
            yield sockets
            sockets = []
        elif fields[0] != "sl":
            sockets.append(Socket(_address(fields[1]), _address(fields[2]), fields[3]))
    yield sockets


def _address(text: str) -> tuple[str, int]:
    """Return address and port of `0100007F:1F90`: words in the machine's order, hexadecimal."""
    digits, _, port = text.partition(":")
    raw = bytes.fromhex(digits)
    # x86 and arm64 are little-endian: each word of four bytes is written back to front
    ordered = b"".join(raw[at : at + 4][::-1] for at in range(0, len(raw), 4))
    address = ipaddress.ip_address(ordered)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address), int(port, 16)

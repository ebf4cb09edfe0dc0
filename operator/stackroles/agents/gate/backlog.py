"""Connections that wait at a port: made by their clients, not accepted by the program yet."""

from pathlib import Path
from typing import Final

# As proc(5) has it: the state of a socket that listens.
_LISTENS: Final = "0A"
_TABLES: Final = ("tcp", "tcp6")


def waiting(port: int, folder: Path = Path("/proc/net")) -> int:
    """Return how many connections wait to be accepted at a port of this pod.

    Args:
        port: where a program listens.
        folder: where the kernel shows its sockets.
    """
    tables = [path.read_text() for name in _TABLES if (path := folder / name).exists()]
    return sum(in_queue(table, port) for table in tables)


def in_queue(table: str, port: int) -> int:
    """Return the length of the accept queues of all sockets that listen at a port.

    Args:
        table: content of /proc/net/tcp or tcp6, where `rx_queue` of a listening socket is the
            length of its accept queue (Linux, net/ipv4/tcp_ipv4.c, get_tcp4_sock).
        port: the port.
    """
    found = 0
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTENS and int(fields[1].rpartition(":")[2], 16) == port:
            found += int(fields[4].partition(":")[2], 16)
    return found

"""HAProxy's runtime API (management guide of 3.0, section 9.3), over its unix socket."""

import ipaddress
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from stackroles.agents.endpoint.slots import Slot, State

_LARGEST: Final = 1024 * 1024
# Bits of srv_admin_state (include/haproxy/server-t.h): forced and inherited ones.
_MAINT: Final = 0x01 | 0x02 | 0x20
_DRAIN: Final = 0x08 | 0x10
# srv_op_state SRV_ST_RUNNING.
_RUNNING: Final = 2


class RuntimeApiError(OSError):
    """HAProxy did not answer as it should."""


@dataclass(frozen=True, slots=True)
class Server:
    """A server as HAProxy has it.

    Attributes:
        slot: its member, state and sessions.
        up: whether its last checks passed.
        checked: whether it was checked at all.
    """

    slot: Slot
    up: bool
    checked: bool


class RuntimeApi:
    """The runtime API; every command has a connection of its own."""

    def __init__(self, path: str, seconds: float = 2.0) -> None:
        """Take where it is.

        Args:
            path: of the socket.
            seconds: within which an answer must be there.
        """
        self._path, self._seconds = path, seconds

    def run(self, *commands: str) -> str:
        """Return the answer to commands that are carried out one after the other.

        Raises:
            OSError: there was no whole answer in time.
        """
        end = time.monotonic() + self._seconds
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(self._seconds)
            connection.connect(self._path)
            connection.sendall((";".join(commands) + "\n").encode())
            answer = b""
            while len(answer) <= _LARGEST:
                connection.settimeout(max(end - time.monotonic(), 0.001))
                part = connection.recv(65536)
                if not part:
                    return answer.decode(errors="replace")
                answer += part
        raise RuntimeApiError(f"the answer to {commands[0]} has more than {_LARGEST} bytes")

    def servers(self) -> dict[str, Server]:
        """Return all servers by "<backend>/<server>".

        Raises:
            OSError: there was no whole answer in time, or it is of another form.
        """
        return parse_servers(self.run("show servers state"), self.run("show servers conn"))

    def entries(self, name: str) -> dict[str, str]:
        """Return the entries of a map.

        Raises:
            OSError: there is no such map, or there was no whole answer in time.
        """
        return parse_map(self.run(f"show map {name}"))


def parse_servers(states: str, connections: str) -> dict[str, Server]:
    """Return all servers by "<backend>/<server>".

    Args:
        states: what `show servers state` answers, version 1.
        connections: what `show servers conn` answers.

    Raises:
        RuntimeApiError: they are of another form.
    """
    lines = states.splitlines()
    if not lines or lines[0].strip() != "1":
        raise RuntimeApiError("`show servers state` answers in another form")
    used = {row["bkname/svname"]: int(row["used_cur"]) for row in _table(connections.splitlines())}
    found: dict[str, Server] = {}
    for row in _table(lines[1:]):
        name = f"{row['be_name']}/{row['srv_name']}"
        admin = int(row["srv_admin_state"])
        state = State.MAINT if admin & _MAINT else State.DRAIN if admin & _DRAIN else State.READY
        found[name] = Server(
            Slot(_address(row["srv_addr"]), state, used.get(name, 0)),
            up=int(row["srv_op_state"]) == _RUNNING,
            checked=int(row["srv_check_result"]) > 0,
        )
    return found


def parse_map(answer: str) -> dict[str, str]:
    """Return the entries of a map.

    Args:
        answer: what `show map <name>` answers: in each line an address, a key and its value.

    Raises:
        RuntimeApiError: it is of another form.
    """
    found: dict[str, str] = {}
    for line in filter(str.strip, answer.splitlines()):
        address, _, entry = line.strip().partition(" ")
        key, _, value = entry.partition(" ")
        if not address.startswith("0x") or not value:
            raise RuntimeApiError(f"`show map` answers in another form: {line.strip()}")
        found[key] = value
    return found


def _table(lines: Sequence[str]) -> Iterable[dict[str, str]]:
    """Yield the rows of a table whose first line, after "# ", names its columns."""
    head = next((line for line in lines if line.startswith("# ")), "")
    columns = head.removeprefix("# ").split()
    for line in lines:
        if line.strip() and not line.startswith("#"):
            cells = line.split()
            if len(cells) < len(columns) or not columns:
                raise RuntimeApiError(f"a row has {len(cells)} of {len(columns)} columns")
            yield dict(zip(columns, cells, strict=False))


def _address(text: str) -> str:
    """Return an address, "" for the one that servers have before their first."""
    try:
        return "" if ipaddress.ip_address(text).is_unspecified else text
    except ValueError:
        return ""

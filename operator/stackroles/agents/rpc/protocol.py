"""What the operator asks the RPC monitor, and what it answers.

The operator names the RPC servers in the query, and gets an RpcStatus. The monitor calls them once
a minute for as long as it is asked for them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qs, urlencode

PORT: Final = 8790
_TARGET: Final = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcStatus:
    """How RPC servers answer.

    Attributes:
        connected: whether the broker carried the monitor's last call to itself and back. While it
            does not, nothing follows for others.
        unanswered: calls in a row without an answer, by server; those that answer are left out.
        called: how many servers have been called.
        answered: how many of them have answered since the monitor began. Where none has, it is the
            calls that go wrong.
    """

    connected: bool = False
    unanswered: Mapping[str, int] = field(default_factory=dict)
    called: int = 0
    answered: int = 0


def server_of(topic: str, host: str) -> str:
    """Return the name of an RPC server: `conductor/demo-nova-conductor-0`."""
    return f"{topic}/{host}"


def query_of(servers: Iterable[str]) -> str:
    """Return the query of a request about some servers."""
    return urlencode([(_TARGET, server) for server in sorted(servers)])


def servers_in(query: str) -> frozenset[str]:
    """Return the servers that a request is about."""
    return frozenset(parse_qs(query).get(_TARGET, ()))

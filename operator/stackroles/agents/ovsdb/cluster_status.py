"""Reads what ovsdb-server says of its cluster; pure."""

import re

from stackroles.agents.ovsdb.protocol import ClusterView, RaftRole, Server

_SERVER = re.compile(r"^    (?P<sid>[0-9a-f]{4}) \([0-9a-f]{4} at (?P<address>\S+)\)", re.MULTILINE)


def read_view(text: str) -> ClusterView | None:
    """Return the view in the output of `cluster/status`, None where there is none.

    Args:
        text: the output (ovsdb/raft.c, raft_unixctl_status; seen with 3.5.0).
    """
    status = _line(text, "Status")
    if not status:
        return None
    role = _line(text, "Role")
    return ClusterView(
        cluster_id=_identity(_line(text, "Cluster ID")),
        server_id=_identity(_line(text, "Server ID")),
        status=status,
        role=RaftRole(role) if role in list(RaftRole) else None,
        leader=_line(text, "Leader") or "unknown",
        term=int(_line(text, "Term") or 0),
        servers=tuple(Server(sid=m["sid"], address=m["address"]) for m in _SERVER.finditer(text)),
        entries=_entries(_line(text, "Log")),
    )


def stale_servers(view: ClusterView, address: str) -> list[str]:
    """Return the identities of servers that have this member's address and are not this member.

    Args:
        view: this member's.
        address: its raft address.
    """
    own = view.server_id[:4]
    return [s.sid for s in view.servers if s.address == address and s.sid != own]


def _line(text: str, name: str) -> str:
    found = re.search(rf"^{name}: (.*)$", text, re.MULTILINE)
    return found[1].strip() if found else ""


def _entries(text: str) -> int:
    """Return the end of "[2, 26]"."""
    found = re.fullmatch(r"\[\d+, (\d+)\]", text)
    return int(found[1]) if found else 0


def _identity(text: str) -> str:
    """Return the long form of "5b2f (5b2f991a-...)", empty for "not yet known"."""
    found = re.search(r"\(([0-9a-f-]{36})\)", text)
    return found[1] if found else ""

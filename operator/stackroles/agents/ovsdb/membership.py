"""Whether a member without usable data makes the cluster, joins it or waits; pure.

A raft cluster is made once. Whoever finds no file on its volume asks every other member: one that
serves is joined; the cluster is made by the first member, and only when all the others have
answered that their volumes are empty too. No answer means unknown, never empty: a first member that
lost its volume while the others are down waits for them instead of making a second, empty cluster.

One whose file cannot be read joins anew only while others serve, which takes a majority.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Peer(StrEnum):
    """What another member reports of itself."""

    SERVING = "serving"
    WAITING = "waiting"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Create:
    """Make the cluster."""


@dataclass(frozen=True, slots=True)
class Join:
    """Join the cluster through these members."""

    through: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is safe yet."""

    because: str


def decide(ordinal: int, peers: Mapping[int, Peer], fault: str = "") -> Create | Join | Wait:
    """Return what a member without a file that can be read does.

    Args:
        ordinal: this member.
        peers: what each of the others answered.
        fault: why its file cannot be read, empty where there is none.
    """
    serving = tuple(sorted(peer for peer, state in peers.items() if state is Peer.SERVING))
    if serving:
        return Join(serving)
    if fault:
        return Wait(f"its file cannot be read and no other member serves: {fault}")
    waiting = [peer for peer, state in peers.items() if state is Peer.WAITING]
    if waiting:
        return Wait(f"members {sorted(waiting)} have the data but no majority")
    unknown = [peer for peer, state in peers.items() if state is Peer.UNKNOWN]
    if unknown:
        return Wait(f"members {sorted(unknown)} have not reported whether they have data")
    if ordinal:
        return Wait("member 0 makes the cluster")
    return Create()


def read_peer(databases: Any, rows: Any, database: str) -> Peer:
    """Return what a member's answers mean.

    Args:
        databases: result of list_dbs.
        rows: result of the query of _Server for the database, None if it was not asked.
        database: its name.
    """
    if databases == []:
        return Peer.EMPTY
    if not isinstance(databases, list) or database not in databases:
        return Peer.UNKNOWN
    try:
        row = rows[0]["rows"][0]
    except (KeyError, IndexError, TypeError):
        return Peer.UNKNOWN
    return Peer.SERVING if row.get("connected") is True else Peer.WAITING


def stale_servers(status: str, address: str) -> list[str]:
    """Return the identities of servers that have this member's address and are not this member.

    Args:
        status: output of `cluster/status`.
        address: this member's raft address.
    """
    found = re.findall(r"^    ([0-9a-f]{4}) \([0-9a-f]{4} at (\S+)\)(.*)$", status, re.MULTILINE)
    return [sid for sid, at, rest in found if at == address and "(self)" not in rest]

"""Whether a member without usable data makes the cluster, joins it or waits; pure.

A raft cluster is made once. Whoever finds no file on its volume asks every other member: one that
serves is joined; the cluster is made by the one for which that is decided, and only when all the
others have answered that their volumes are empty too. No answer means unknown, never empty: a first
member that lost its volume while the others are down waits for them instead of making a second,
empty cluster. Whether it was made before only the operator knows, which decides who makes it.

One whose file cannot be used joins anew only while others serve, which takes a majority.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from stackroles.agents.ovsdb.protocol import Mode, OvsdbDecision


class Peer(StrEnum):
    """What another member reports of itself."""

    SERVING = "serving"
    WAITING = "waiting"
    EMPTY = "empty"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Answer:
    """What another member answered.

    Attributes:
        state: what it reports of itself.
        cluster: identity of its cluster, empty where that is not known.
    """

    state: Peer = Peer.UNKNOWN
    cluster: str = ""


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


def decide(
    peers: Mapping[int, Peer], fault: str = "", decided: OvsdbDecision | None = None
) -> Create | Join | Wait:
    """Return what a member without a file that can be used does.

    Args:
        peers: what each of the others answered.
        fault: why its file cannot be used, empty where there is none.
        decided: what the operator has decided for it.
    """
    serving = tuple(sorted(peer for peer, state in peers.items() if state is Peer.SERVING))
    if serving:
        return Join(serving)
    may_create = decided is not None and decided.mode is Mode.CREATE
    if may_create and decided is not None and decided.incident:
        return Create()
    if fault:
        return Wait(f"no other member serves, and its file cannot be used: {fault}")
    waiting = [peer for peer, state in peers.items() if state is Peer.WAITING]
    if waiting:
        return Wait(f"members {sorted(waiting)} have the data but no majority")
    unknown = [peer for peer, state in peers.items() if state is Peer.UNKNOWN]
    if unknown:
        return Wait(f"members {sorted(unknown)} have not reported whether they have data")
    return Create() if may_create else Wait("no member has data, and the operator decides")


def other_cluster(own: str, answers: Mapping[int, Answer], enough: int) -> str:
    """Return the identity of another cluster to which this member must give way, else "".

    Args:
        own: identity of this member's cluster, empty where it is not known.
        answers: what each of the others answered.
        enough: how many must serve there. For a member with data that is a majority: fewer may be
            what gives way itself. One that has not joined its cluster yet has nothing to keep.
    """
    serving = Counter(
        answer.cluster
        for answer in answers.values()
        if answer.state is Peer.SERVING and answer.cluster
    )
    for cluster, members in serving.items():
        if own and cluster != own and members >= enough:
            return cluster
    return ""


def read_answer(databases: Any, rows: Any, database: str) -> Answer:
    """Return what a member's answers mean.

    Args:
        databases: result of list_dbs.
        rows: result of the query of _Server for the database, None if it was not asked.
        database: its name.
    """
    if databases == []:
        return Answer(Peer.EMPTY)
    if not isinstance(databases, list) or database not in databases:
        return Answer()
    try:
        row = rows[0]["rows"][0]
        connected = row.get("connected") is True
        kind, cluster = row.get("cid", ("set", ()))
    except (KeyError, IndexError, TypeError, ValueError, AttributeError):
        return Answer()
    return Answer(
        Peer.SERVING if connected else Peer.WAITING, str(cluster) if kind == "uuid" else ""
    )

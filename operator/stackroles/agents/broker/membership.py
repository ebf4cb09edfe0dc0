"""When a RabbitMQ member may start, which of two clusters gives way and how; pure.

No answer means unknown, never empty and never down.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from stackroles.agents.broker.protocol import BrokerStatus, State

Peers = Mapping[str, BrokerStatus | None]


@dataclass(frozen=True, slots=True)
class Start:
    """Start the broker; `forget_by` is a node that is to forget this one first, "" for none."""

    forget_by: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is safe yet."""

    because: str


def decide(node: str, peers: Peers) -> Start | Wait:
    """Return what a member without data does.

    Args:
        node: its name, such as rabbit@host.
        peers: what each of the other nodes answered, None where none did.
    """
    running = {name: peer for name, peer in peers.items() if peer and peer.state is State.RUNNING}
    if running:
        knowing = {name: peer for name, peer in running.items() if node in peer.members}
        able = sorted(name for name, peer in knowing.items() if _has_majority(peer))
        if knowing and not able:
            # Queues without a majority cannot take this node from their members.
            return Wait(f"{', '.join(sorted(knowing))} see no majority: that must run first")
        return Start(forget_by=able[0] if able else "")
    data = {State.STOPPED, State.SPLIT}
    stopped = sorted(name for name, peer in peers.items() if peer and peer.state in data)
    if stopped:
        return Wait(f"{', '.join(stopped)} have data but do not serve: a majority must run first")
    unknown = sorted(name for name, peer in peers.items() if peer is None)
    if unknown:
        return Wait(f"{', '.join(unknown)} did not answer whether they have data")
    return Start()


def _has_majority(peer: BrokerStatus) -> bool:
    """Return whether a serving member is connected to a majority; older ones do not say it."""
    return not peer.running or 2 * len(peer.running) > len(peer.members)


def other_cluster(node: str, members: frozenset[str], peers: Peers) -> frozenset[str]:
    """Return the members of another cluster to which this member must give way, else nothing.

    Of two clusters the larger one stays: it is the one that others formed. Where they are equal
    the one with the first node stays.

    Args:
        node: this member's node.
        members: nodes of its cluster.
        peers: what each of the other nodes answered.
    """
    for name, peer in sorted(peers.items()):
        if peer is None or peer.state is not State.RUNNING:
            continue
        if name in members and node in peer.members:
            continue
        if (-len(peer.members), sorted(peer.members)) < (-len(members), sorted(members)):
            return peer.members
    return frozenset()


def majority_apart(apart: frozenset[str], peers: Peers) -> frozenset[str]:
    """Return the members of a running cluster of a majority of all beside some nodes; else nothing.

    Every one of a majority has to say so by itself, that it runs and with which members. These may
    still count a node of which they do not know that it is in another cluster.

    Args:
        apart: nodes that are in no cluster with them.
        peers: what each of the other nodes answered.
    """
    counts: dict[frozenset[str], int] = {}
    for name, peer in peers.items():
        if peer and peer.state is State.RUNNING and name in peer.members - apart:
            counts[peer.members] = counts.get(peer.members, 0) + 1
    size = len(peers) + 1
    return next((members for members, count in counts.items() if 2 * count > size), frozenset())


def is_forgotten(node: str, fellows: frozenset[str], peers: Peers) -> bool:
    """Return whether those that this member's data was in a cluster with go on without it.

    They reject its broker for ever ("inconsistent_cluster"). A majority forgets a member by a
    person's order, or because its volume was empty, and has all that was confirmed; a single one
    continues by a user's consent to lose what only the others hold.

    Args:
        node: this member's node.
        fellows: nodes of the cluster that its data is of.
        peers: what each of the other nodes answered.
    """
    majority = majority_apart(frozenset({node}), peers)
    if node not in majority and majority & fellows:
        return True
    return any(
        peer.state is State.RUNNING and peer.recovered and node not in peer.members
        for name, peer in peers.items()
        if peer and name in fellows
    )


def gives_way(node: str, members: frozenset[str], messages: int, peers: Peers) -> bool:
    """Return whether the data of a second cluster may be put aside without a user's consent.

    Only where that loses nothing: the broker is alone in its cluster, so that none of its fellows
    can still take messages, another cluster is a majority of all, and there is no message in its
    queues, counted after its clients were cut off.

    Args:
        node: this member's node.
        members: nodes of its cluster.
        messages: in all its queues.
        peers: what each of the other nodes answered.
    """
    return members == {node} and not messages and bool(majority_apart(members, peers))


def is_parted(node: str, running: frozenset[str], peers: Peers) -> bool:
    """Return whether a member's broker has to start again to be with the others.

    Nodes that took each other for down and meet again stay parted: `pause_minority` acts only while
    they are apart, and a freeze or a lost second of the network is over before it does
    (https://github.com/rabbitmq/rabbitmq-server/issues/17319, seen with 4.0.5). Queues go on with
    the larger side, which those of the smaller one join when they start; of equal sides the one
    with the first node stays.

    Args:
        node: this member's node, whose broker serves.
        running: nodes that it is connected to, itself included.
        peers: what each of the other nodes answered.
    """
    return any(
        (-len(peer.running), min(peer.running)) < (-len(running), min(running))
        for name, peer in peers.items()
        if peer and peer.state is State.RUNNING and name not in running
        if peer.running and node not in peer.running
    )


def may_start_first(node: str, last_seen: frozenset[str], peers: Peers) -> bool:
    """Return whether this member starts without waiting for those that do not come.

    A broker that was killed waits for all that ran when it last did: they may know of newer queues.
    When a majority is there that waits, it holds all that was confirmed: a minority pauses, and
    takes nothing. Of the majority the member starts that the others ran with to the last, so that
    it knows every queue that any of them knows; the first of several.

    Args:
        node: this member's node.
        last_seen: nodes that ran when it last did.
        peers: what each of the other nodes answered.
    """
    starting = {State.RUNNING, State.FORMING}
    if any(peer and (peer.state in starting or peer.first) for peer in peers.values()):
        return False
    seen = {
        name: peer.last_seen
        for name, peer in peers.items()
        if peer and peer.state is State.STOPPED and peer.last_seen
    }
    seen[node] = last_seen
    if 2 * len(seen) <= len(peers) + 1 or len(seen) == len(peers) + 1:
        # With all of them there RabbitMQ finds out by itself who ran last.
        return False
    latest = sorted(name for name in seen if all(name in others for others in seen.values()))
    return bool(latest) and latest[0] == node

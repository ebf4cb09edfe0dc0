"""When a RabbitMQ member without data may start, and which of two clusters gives way; pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from stackroles.agents.broker.protocol import BrokerStatus, State


@dataclass(frozen=True, slots=True)
class Start:
    """Start the broker; `forget_by` is a node that is to forget this one first, "" for none."""

    forget_by: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is safe yet."""

    because: str


def decide(node: str, peers: Mapping[str, BrokerStatus | None]) -> Start | Wait:
    """Return what a member without data does.

    Args:
        node: its name, such as rabbit@host.
        peers: what each of the other nodes answered, None where none did.
    """
    running = {name: peer for name, peer in peers.items() if peer and peer.state is State.RUNNING}
    if running:
        knowing = sorted(name for name, peer in running.items() if node in peer.members)
        return Start(forget_by=knowing[0] if knowing else "")
    data = {State.STOPPED, State.SPLIT}
    stopped = sorted(name for name, peer in peers.items() if peer and peer.state in data)
    if stopped:
        return Wait(f"{', '.join(stopped)} have data but do not serve: a majority must run first")
    unknown = sorted(name for name, peer in peers.items() if peer is None)
    if unknown:
        return Wait(f"{', '.join(unknown)} did not answer whether they have data")
    return Start()


def other_cluster(
    node: str, members: frozenset[str], peers: Mapping[str, BrokerStatus | None]
) -> frozenset[str]:
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

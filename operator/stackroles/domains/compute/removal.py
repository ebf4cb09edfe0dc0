"""How far a host has come on its way out of a pool, and what is done next."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class RemovalStep(StrEnum):
    """What is done about a host that leaves."""

    OBSERVE = "observe"
    """It takes no new guests; what is on it is counted twice."""
    BLOCK = "block"
    """Something still needs it."""
    UNPIN = "unpin"
    """Its node loses the pool's label, and with it the agents."""
    WAIT = "wait"
    """Its agents are stopping."""
    REMOVE = "remove"
    """Nova, neutron and the pool forget it."""


@dataclass(frozen=True)
class Occupation:
    """Hosts that take no new guests, as last observed.

    Attributes:
        occupied: what still needs each of them.
        empty: hosts that nothing needs.
        free: hosts that nothing needed at the observation before, either.
    """

    occupied: Mapping[str, str] = field(default_factory=dict)
    empty: frozenset[str] = frozenset()
    free: frozenset[str] = frozenset()


def decide(host: str, seen: Occupation, *, labelled: bool, pods: int) -> RemovalStep:
    """Return what is done about a host.

    A guest on its way when its host was closed shows up only a little later, so that a host must be
    found empty twice before its agents go.

    Args:
        host: the host.
        seen: what still needs the pool's hosts.
        labelled: whether its node carries the pool's label.
        pods: how many pods of agents it has.
    """
    if host in seen.occupied:
        return RemovalStep.BLOCK
    if host not in seen.free:
        return RemovalStep.OBSERVE
    if labelled:
        return RemovalStep.UNPIN
    return RemovalStep.WAIT if pods else RemovalStep.REMOVE

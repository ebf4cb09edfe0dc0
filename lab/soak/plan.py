"""The plan of a campaign: which faults in which order, all of it from a seed."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

MEMBERS: Final = 3
"""Members of a clustered role in the sample of a cloud."""
WORKERS: Final = 2
"""Nodes that may be stopped: the control plane's carries the clients and the API server."""


class Group(StrEnum):
    """What cycles are counted by."""

    GALERA_ALL = "galera, all members killed"
    GALERA = "galera, other faults"
    RABBITMQ = "rabbitmq"
    OVN = "ovn"
    ACTIVE_PASSIVE = "active/passive"
    NODE = "node"


class Target(StrEnum):
    """Whom a fault is aimed at: chosen by the plan, or known only when the cycle begins."""

    CHOSEN = "chosen"
    WRITER = "writer"
    ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault as it is planned; `faults.ACTIONS` says how it is made.

    Attributes:
        name: what results and tables call it.
        group: what it is counted as.
        victims: how many members it is done to, in an order that the plan draws.
        target: how they are found.
        of: how many members they are drawn from.
    """

    name: str
    group: Group
    victims: int = 1
    target: Target = Target.CHOSEN
    of: int = MEMBERS


FAULTS: Final = (
    Fault("kill all", Group.GALERA_ALL, victims=MEMBERS),
    Fault("kill one", Group.GALERA),
    Fault("kill writer", Group.GALERA, target=Target.WRITER),
    Fault("freeze writer", Group.GALERA, target=Target.WRITER),
    Fault("partition writer", Group.GALERA, target=Target.WRITER),
    Fault("lose volume", Group.GALERA),
    Fault("kill all staggered", Group.GALERA, victims=MEMBERS),
    Fault("kill one", Group.RABBITMQ),
    Fault("kill two", Group.RABBITMQ, victims=2),
    Fault("kill all", Group.RABBITMQ, victims=MEMBERS),
    Fault("freeze one", Group.RABBITMQ),
    Fault("lose volume", Group.RABBITMQ),
    Fault("kill one", Group.OVN),
    Fault("kill two", Group.OVN, victims=2),
    Fault("kill all", Group.OVN, victims=MEMBERS),
    Fault("lose volume", Group.OVN),
    Fault("restart all in another order", Group.OVN, victims=MEMBERS),
    Fault("delete active pod", Group.ACTIVE_PASSIVE, target=Target.ACTIVE),
    Fault("freeze active gate", Group.ACTIVE_PASSIVE, target=Target.ACTIVE),
    Fault("planned switchover", Group.ACTIVE_PASSIVE, target=Target.ACTIVE),
    Fault("stop node", Group.NODE, of=WORKERS),
)

COUNTS: Final[Mapping[Group, int]] = MappingProxyType(
    {
        Group.GALERA_ALL: 20,
        Group.GALERA: 30,
        Group.RABBITMQ: 20,
        Group.OVN: 20,
        Group.ACTIVE_PASSIVE: 20,
        Group.NODE: 10,
    }
)
"""Cycles of a whole campaign."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """One cycle of a campaign.

    Attributes:
        number: its place in the plan, from 1.
        fault: what is done.
        victims: the ordinals of its victims in the order of the fault; empty where the target is
            known only when the cycle begins.
    """

    number: int
    fault: Fault
    victims: tuple[int, ...]

    @property
    def title(self) -> str:
        """The cycle in one line."""
        return f"{self.fault.group}: {self.fault.name}"


def plan(seed: int, counts: Mapping[Group, int] = COUNTS) -> list[Cycle]:
    """Return the cycles of a campaign in order: the same for the same seed and counts.

    Args:
        seed: draws victims and the order of cycles.
        counts: cycles of each group; its faults take turns.
    """
    drawn: list[tuple[Fault, tuple[int, ...]]] = []
    for group in Group:
        faults = [fault for fault in FAULTS if fault.group is group]
        for turn in range(counts.get(group, 0)):
            fault = faults[turn % len(faults)]
            chance = random.Random(f"{seed} {group} {turn}")  # noqa: S311 - drawn again on resume
            chosen = tuple(chance.sample(range(fault.of), fault.victims))
            drawn.append((fault, chosen if fault.target is Target.CHOSEN else ()))
    random.Random(seed).shuffle(drawn)  # noqa: S311
    return [Cycle(number, *item) for number, item in enumerate(drawn, start=1)]

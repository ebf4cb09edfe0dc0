"""What is done to the members of an OVN database, and how long it takes them to be back."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from tests.support.ovn_members import OvnMembers

Fault = Callable[[OvnMembers, random.Random], None]


@dataclass(frozen=True)
class Recovery:
    """One recovery, in seconds from the end of the fault.

    Attributes:
        write: until a client's write succeeded.
        members: until all were members by the account of all.
    """

    write: float
    members: float


def _kill(count: int) -> Fault:
    def kill(members: OvnMembers, chance: random.Random) -> None:
        members.kill(*chance.sample(range(members.size), count))

    return kill


def _wipe(members: OvnMembers, chance: random.Random) -> None:
    members.wipe(chance.randrange(members.size))


def _replace(members: OvnMembers, chance: random.Random) -> None:
    members.replace(chance.randrange(members.size))


def _restart(members: OvnMembers, chance: random.Random) -> None:
    members.replace(*chance.sample(range(members.size), members.size))


def _damage(program: str) -> Fault:
    def damage(members: OvnMembers, chance: random.Random) -> None:
        member = chance.randrange(members.size)
        members.damage(member, program.format(raft=members.settings().raft(member)))

    return damage


FAULTS: Final[Mapping[str, Fault]] = {
    "kill 1": _kill(1),
    "kill 2": _kill(2),
    "kill 3": _kill(3),
    "wipe 1": _wipe,
    "replace 1": _replace,
    "restart all in another order": _restart,
}
"""What the campaign repeats."""

DAMAGES: Final[Mapping[str, Fault]] = {
    "empty": _damage(": > ovnnb_db.db"),
    "cut off": _damage("truncate -s 5000 ovnnb_db.db"),
    "overwritten in the middle": _damage(
        "dd if=/dev/zero of=ovnnb_db.db bs=1 seek=17500 count=300 conv=notrunc"
    ),
    "of another cluster": _damage(
        "rm ovnnb_db.db; ovsdb-tool create-cluster ovnnb_db.db "
        "/usr/share/ovn/ovn-nb.ovsschema {raft}"
    ),
}
"""What may be wrong with a member's file."""


def recover(members: OvnMembers, fault: Fault, chance: random.Random, limit: float) -> Recovery:
    """Return how long a recovery took; what was written before must be there.

    Raises:
        TimeoutError: it took longer than the limit, in seconds.
        AssertionError: what was acknowledged is gone.
    """
    fault(members, chance)
    write = members.write(limit)
    recovery = Recovery(write=write, members=write + members.await_members(limit))
    lost = members.lost()
    if lost:
        raise AssertionError(f"acknowledged and lost: {lost}")
    return recovery

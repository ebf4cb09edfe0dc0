"""Which member has which server of a HAProxy backend: pure functions of what both are now.

HAProxy's servers are fixed when it starts; their addresses and states are changed at run time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """A server's administrative state, by HAProxy's names."""

    READY = "ready"
    # Nothing new; what runs is completed.
    DRAIN = "drain"
    # As before, and it is not checked either.
    MAINT = "maint"


@dataclass(frozen=True, slots=True)
class Slot:
    """A server.

    Attributes:
        address: of the member; "" when it never had one.
        state: its administrative state.
        sessions: requests under way.
    """

    address: str = ""
    state: State = State.MAINT
    sessions: int = 0


def assign(slots: Sequence[Slot], members: Mapping[str, bool]) -> tuple[Slot, ...]:
    """Return what the servers of a backend shall be, with as little change as possible.

    A member keeps its server. The server of one that is gone goes to another member only when
    nothing runs there any more, or no other is left: its sessions would live on, but be counted as
    the new member's. Members beyond the number of servers get none.

    Args:
        slots: what they are.
        members: by address, whether each is to be drained. One that is and has no server needs
            none.
    """
    made = [_kept(slot, members) for slot in slots]
    _drop_doubles(made)
    placed = {slot.address for slot in made if slot.state is not State.MAINT}
    new = sorted(
        address for address, leaves in members.items() if not leaves and address not in placed
    )
    for address, index in zip(new, _free(made), strict=False):
        made[index] = Slot(address, State.READY, made[index].sessions)
    return tuple(made)


def unplaced(slots: Sequence[Slot], members: Mapping[str, bool]) -> list[str]:
    """Return the members that should have a server and have none, sorted."""
    placed = {slot.address for slot in slots if slot.state is State.READY}
    return sorted(a for a, leaves in members.items() if not leaves and a not in placed)


def commands(server: str, port: int, before: Slot, after: Slot) -> list[str]:
    """Return the commands of HAProxy's runtime API that change a server.

    A server that leaves maintenance counts as up until its first check (srv_update_status in
    src/server.c, 3.0). So it becomes ready by way of `drain`, in which nothing is sent to it and
    its health can be set: it serves from its first check that passes.

    Args:
        server: "<backend>/<server>".
        port: where the member listens.
        before: what it is.
        after: what it shall be.
    """
    if (before.address, before.state) == (after.address, after.state):
        return []
    prefix = f"set server {server}"
    if after.state is not State.READY:
        return [f"{prefix} state {after.state}"]
    return [
        f"{prefix} state {State.MAINT}",
        f"{prefix} addr {after.address} port {port}",
        f"{prefix} state {State.DRAIN}",
        f"{prefix} health down",
        f"{prefix} state {State.READY}",
    ]


def _kept(slot: Slot, members: Mapping[str, bool]) -> Slot:
    leaves = members.get(slot.address)
    if leaves is None or (leaves and slot.state is State.MAINT):
        return Slot(slot.address, State.MAINT, slot.sessions)
    return Slot(slot.address, State.DRAIN if leaves else State.READY, slot.sessions)


def _drop_doubles(slots: list[Slot]) -> None:
    """Take all servers but the first of an address out of use: somebody set one by hand."""
    seen: set[str] = set()
    for index, slot in enumerate(slots):
        if slot.state is not State.MAINT:
            if slot.address in seen:
                slots[index] = Slot(slot.address, State.MAINT, slot.sessions)
            seen.add(slot.address)


def _free(slots: Sequence[Slot]) -> list[int]:
    """Return the servers without a member that stays, the one whose loss costs least first."""
    free = [index for index, slot in enumerate(slots) if slot.state is not State.READY]
    return sorted(free, key=lambda i: (bool(slots[i].address), slots[i].sessions,
                                       slots[i].state is State.DRAIN, i))  # fmt: skip

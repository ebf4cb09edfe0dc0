"""RPC servers that hold their connection to the broker and answer nothing; pure.

A process whose queue has lost its binding or its consumer looks as any other: it runs, is connected
and reports itself up to the database. Only a call that it does not answer shows it. What helps is a
new process.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from stackroles.agents.rpc.protocol import RpcStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding

# Calls in a row, 10 s apart and of 10 s each: one that is merely late answers the next.
DEAF_CALLS: Final = 3
# A process that was replaced gets this long: another one in its place would meet the same.
RESTART_SECONDS: Final = 300.0
# Of a role's servers, so many are replaced at once.
_PART: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcServer:
    """A process that answers RPC calls.

    Attributes:
        name: by which it is called, as `agents.rpc.protocol.server_of` has it.
        role: its role.
        pod: its pod.
        ready: whether its pod is; one that is not is looked after already.
        age: seconds since its pod was made.
    """

    name: str
    role: str
    pod: str
    ready: bool
    age: float


def find_deaf(servers: Iterable[RpcServer], status: RpcStatus | None) -> list[RpcServer]:
    """Return the servers that are ready and do not answer, by name.

    Args:
        servers: all there are.
        status: what the monitor answered last; None without an answer.
    """
    if status is None or not status.connected or not status.answered:
        return []
    found = [
        server
        for server in servers
        if server.ready and status.unanswered.get(server.name, 0) >= DEAF_CALLS
    ]
    return sorted(found, key=lambda server: server.name)


def choose_restarts(servers: Sequence[RpcServer], deaf: Iterable[RpcServer]) -> list[RpcServer]:
    """Return the deaf servers whose pods are replaced now: a few of each role at a time."""
    chosen: list[RpcServer] = []
    for server in deaf:
        alike = [other for other in servers if other.role == server.role]
        away = sum(not other.ready or other in chosen for other in alike)
        if server.age >= RESTART_SECONDS and away < max(1, len(alike) // _PART):
            chosen.append(server)
    return chosen


def assess_deaf(deaf: Sequence[RpcServer]) -> Finding | None:
    """Return what a person should know of deaf servers, None where there is none."""
    if not deaf:
        return None
    named = ", ".join(f"{server.role} in {server.pod}" for server in deaf)
    return Finding(
        Reason.RPC_UNANSWERED,
        f"Connected to the broker, and without an answer to {DEAF_CALLS} RPC calls in a row: "
        f"{named}. Their pods are replaced, a few at a time, and none twice within "
        f"{RESTART_SECONDS / 60:.0f} minutes.",
    )


def assess_silence(servers: Iterable[RpcServer], status: RpcStatus | None) -> Finding | None:
    """Return that no server answers at all, None where one does or nothing is known.

    Nobody is replaced then: what they have in common is more likely at fault than each of them.
    """
    if status is None or not status.connected or status.answered:
        return None
    called = [server for server in servers if server.ready]
    silent = [s for s in called if status.unanswered.get(s.name, 0) >= 2 * DEAF_CALLS]
    if not called or len(silent) < len(called):
        return None
    return Finding(
        Reason.RPC_UNANSWERED,
        f"None of {len(called)} processes that hold their connection to the broker answers RPC "
        "calls. Nothing is replaced, since the broker or the monitor may be at fault: delete the "
        f"pod of nova-rpc-monitor first; if nothing changes, restart {_roles(called)}.",
    )


def _roles(servers: Iterable[RpcServer]) -> str:
    return ", ".join(sorted({server.role for server in servers}))

"""Which RPC servers are called when, and how they answered; pure."""

from collections.abc import Collection
from typing import Final

from stackroles.agents.rpc.protocol import RpcStatus

# Between two calls of a server that answers.
INTERVAL: Final = 60.0
# Between two calls of one that does not.
RETRY: Final = 10.0
# The operator asks every few seconds; servers that it no longer asks for are not called.
FORGOTTEN: Final = 120.0


class Rounds:
    """The calls of a monitor."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._unanswered: dict[str, int] = {}
        self._called: set[str] = set()
        self._answered: set[str] = set()
        self._asked = 0.0
        self._connected = False

    @property
    def status(self) -> RpcStatus:
        """How the servers answer."""
        return RpcStatus(
            connected=self._connected,
            unanswered={name: self._unanswered[name] for name in sorted(self._unanswered)},
            called=len(self._called),
            answered=len(self._answered),
        )

    def ask(self, servers: Collection[str], now: float) -> None:
        """Have exactly these servers called from now on.

        Args:
            servers: their names.
            now: seconds of a clock that does not go back.
        """
        self._asked = now
        for gone in set(self._due) - set(servers):
            del self._due[gone]
            self._unanswered.pop(gone, None)
            self._called.discard(gone)
            self._answered.discard(gone)
        for server in servers:
            self._due.setdefault(server, now)

    def due(self, now: float) -> list[str]:
        """Return the servers to call now, none where nobody asks any more."""
        if now - self._asked > FORGOTTEN:
            return []
        return sorted(server for server, at in self._due.items() if at <= now)

    def connect(self, *, connected: bool, now: float) -> None:
        """Note whether the broker carried the monitor's call to itself.

        While it does not, no server is called; the calls that went unanswered before count no more.
        """
        self._connected = connected
        if not connected:
            self._unanswered.clear()
            self._called.clear()
            self._due = {server: max(at, now + RETRY) for server, at in self._due.items()}

    def note(self, server: str, *, answered: bool, now: float) -> None:
        """Note how a call ended; one of a server that nobody asks for any more counts for none."""
        if server not in self._due:
            return
        self._called.add(server)
        self._due[server] = now + (INTERVAL if answered else RETRY)
        if answered:
            self._answered.add(server)
            self._unanswered.pop(server, None)
        else:
            self._unanswered[server] = self._unanswered.get(server, 0) + 1

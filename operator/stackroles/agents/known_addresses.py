"""Keeps the addresses that a Python process has resolved, for when names cannot be asked.

The C library forgets an answer once it was given. Services make new connections all the time: one
for each call of another service's API, one for each of the database that was renewed. With the
cluster's DNS away for a minute each of these fails although whom it is for has not moved.
"""

import socket
import time
from collections.abc import Callable
from typing import Any

# What the C library says when no name server answered or one failed. That a name does not exist is
# an answer.
_NOT_ASKED = frozenset({socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_SYSTEM})

Ask = Callable[..., list[Any]]


class KnownAddresses:
    """Answers as the system does, and from memory while the system cannot.

    Args:
        ask: the system's own `getaddrinfo`.
        clock: monotonic seconds.
        pause: seconds after a failure in which known names are not asked for. An attempt lasts as
            long as the resolver's time-outs, and stops every green thread of its process.
        most: answers that are kept, the oldest dropped for a new one; services also resolve names
            that users give them.
    """

    def __init__(
        self, ask: Ask, clock: Callable[[], float], *, pause: float = 15.0, most: int = 256
    ) -> None:
        self._ask, self._clock, self._pause, self._most = ask, clock, pause, most
        self._answers: dict[tuple[object, ...], list[Any]] = {}
        self._asks_again_at = clock()

    def getaddrinfo(self, host: Any, port: Any, *rest: int, **named: int) -> list[Any]:
        """Return the addresses of a host, as `socket.getaddrinfo`.

        Raises:
            socket.gaierror: the name does not exist, or it cannot be asked for and is not known.
        """
        question = (host, port, *rest, *sorted(named.items()))
        known = self._answers.get(question)
        if known and self._clock() < self._asks_again_at:
            return known
        try:
            answer = self._ask(host, port, *rest, **named)
        except socket.gaierror as error:
            if error.errno not in _NOT_ASKED:
                raise
            self._asks_again_at = self._clock() + self._pause
            if known is None:
                raise
            return known
        self._remember(question, answer)
        return answer

    def _remember(self, question: tuple[object, ...], answer: list[Any]) -> None:
        self._answers.pop(question, None)
        self._answers[question] = answer
        while len(self._answers) > self._most:
            self._answers.pop(next(iter(self._answers)), None)


def install() -> None:
    """Let everything in this process resolve names through a memory."""
    memory = KnownAddresses(socket.getaddrinfo, time.monotonic)
    socket.getaddrinfo = memory.getaddrinfo

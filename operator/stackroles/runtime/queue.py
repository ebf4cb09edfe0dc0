"""A keyed work queue: each key once, never on two workers at a time, with delays and backoff."""

import asyncio
import heapq
from collections import OrderedDict
from collections.abc import Callable
from random import Random
from typing import Final

from stackroles.kube.kinds import Key

BASE_SECONDS: Final = 0.5
CAP_SECONDS: Final = 300.0


def backoff(failures: int, random: Random) -> float:
    """Return the seconds to wait after the n-th failure in a row (from 1), with jitter.

    Doubles from half a second to five minutes; between half and the whole of that.
    """
    full = min(BASE_SECONDS * 2.0 ** min(failures - 1, 32), CAP_SECONDS)
    return full * (0.5 + random.random() / 2)


def _ignore(_seconds: float) -> None:
    """Tell nobody."""


class WorkQueue:
    """Keys that wait for a worker.

    A key that is added while it is worked on runs once more afterwards. Low-priority keys
    (start-up, resync) wait behind all others.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        random: Random,
        *,
        waited: Callable[[float], None] = _ignore,
        worked: Callable[[float], None] = _ignore,
    ) -> None:
        """Make an empty queue.

        Args:
            clock: seconds that never go back.
            random: jitter of backoffs.
            waited: called for each key with how long it waited for a worker.
            worked: called for each key with how long it was worked on.
        """
        self._clock = clock
        self._random = random
        self._waited = waited
        self._worked = worked
        self._high: OrderedDict[Key, float] = OrderedDict()
        self._low: OrderedDict[Key, float] = OrderedDict()
        self._again: dict[Key, bool] = {}
        self._active: dict[Key, float] = {}
        self._due: dict[Key, float] = {}
        self._heap: list[tuple[float, Key]] = []
        self._failures: dict[Key, int] = {}
        self._changed = asyncio.Event()
        self.adds = 0
        self.retries = 0

    def add(self, key: Key, *, low: bool = False) -> None:
        """Let a worker take the key as soon as one is free."""
        self.adds += 1
        if key in self._active:
            self._again[key] = self._again.get(key, True) and low
            return
        waiting_since = self._low.pop(key, None) if not low else None
        if key in self._high or key in self._low:
            return
        since = self._clock() if waiting_since is None else waiting_since
        (self._low if low else self._high)[key] = since
        self._changed.set()

    def add_after(self, key: Key, delay: float) -> None:
        """Add the key after `delay` seconds; of several delays the earliest counts."""
        if delay <= 0:
            self.add(key)
            return
        due = self._clock() + delay
        if due >= self._due.get(key, float("inf")):
            return
        self._due[key] = due
        heapq.heappush(self._heap, (due, key))
        self._changed.set()

    def retry(self, key: Key, at_least: float = 0.0) -> float:
        """Add the key after its backoff, and return that delay in seconds."""
        self.retries += 1
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(backoff(self._failures[key], self._random), at_least)
        self.add_after(key, delay)
        return delay

    def forget(self, key: Key) -> None:
        """Start the key's backoff from the beginning again."""
        self._failures.pop(key, None)

    def take(self) -> Key | None:
        """Return a key that is ready and mark it active, or None."""
        self._promote()
        for waiting in (self._high, self._low):
            if waiting:
                key, since = waiting.popitem(last=False)
                self._active[key] = now = self._clock()
                self._waited(now - since)
                return key
        return None

    async def get(self) -> Key:
        """Wait for a key that is ready, and mark it active until `done`."""
        while True:
            self._changed.clear()
            key = self.take()
            if key is not None:
                # Another waiting worker may find more.
                self._changed.set()
                return key
            wait = self._heap[0][0] - self._clock() if self._heap else None
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def done(self, key: Key) -> None:
        """Release a key that `get` returned."""
        self._worked(self._clock() - self._active.pop(key))
        if key in self._again:
            self.add(key, low=self._again.pop(key))

    def is_idle(self) -> bool:
        """Return whether no key waits for a worker, for its time or for the end of its pass."""
        return not (self._high or self._low or self._due or self._active)

    def depth(self) -> int:
        """Return how many keys are ready and wait."""
        return len(self._high) + len(self._low)

    def longest_wait(self) -> float:
        """Return for how many seconds the oldest ready key has been waiting."""
        firsts = [next(iter(q.values())) for q in (self._high, self._low) if q]
        return self._clock() - min(firsts) if firsts else 0.0

    def active(self) -> list[tuple[Key, float]]:
        """Return the keys that are worked on, and for how many seconds each has been."""
        return [(key, self._clock() - since) for key, since in self._active.items()]

    def longest_run(self) -> float:
        """Return for how many seconds the oldest active key has been worked on."""
        return self._clock() - min(self._active.values()) if self._active else 0.0

    def _promote(self) -> None:
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            due, key = heapq.heappop(self._heap)
            if self._due.get(key) == due:  # else an earlier delay replaced this one
                del self._due[key]
                self.add(key)

"""How far a backup's run is, as lines in its log that the operator reads.

Runs inside role pods: standard library only. A pod of a backup has no access to the Kubernetes API
and no port; its log is there anyway, for the operator and for a person.
"""

import threading
import time
from collections.abc import Callable

from stackroles.agents import wire
from stackroles.agents.backup.protocol import PROGRESS_PREFIX, ProgressLine
from stackroles.agents.text import shorten

PERIOD_SECONDS = 10.0
# A condition holds 1024 characters at most, and more is of no use to a reader.
TROUBLE_LIMIT = 600


def _print(line: str) -> None:
    print(line, flush=True)


class Progress:
    """Writes a line when a part begins, and every ten seconds while one is under way.

    Args:
        write: takes a line.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        write: Callable[[str], None] = _print,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._write, self._clock = write, clock
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._part, self._trouble = "", ""
        self._bytes, self._last_bytes, self._last_at = 0, 0, clock()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Write a line every ten seconds from now on."""
        self._thread = threading.Thread(target=self._repeat, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Write no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def _repeat(self) -> None:
        while not self._ended.wait(PERIOD_SECONDS):
            self.report()

    def begin(self, part: str) -> None:
        """Note that a part begins."""
        with self._lock:
            self._part, self._trouble, self._bytes = part, "", 0
            self._last_bytes, self._last_at = 0, self._clock()
        self.report()

    def count(self, size: int) -> None:
        """Note bytes of the part that have been copied."""
        self._bytes += size

    def trouble(self, line: str) -> None:
        """Note what the repository fails with; "" once it no longer does."""
        self._trouble = shorten(line, TROUBLE_LIMIT)

    def report(self) -> None:
        """Write how far the part is, and its rate since the last line."""
        with self._lock:
            now, copied = self._clock(), self._bytes
            seconds = now - self._last_at
            rate = (copied - self._last_bytes) / seconds if seconds > 0 else 0.0
            self._last_bytes, self._last_at = copied, now
            line = ProgressLine(
                part=self._part,
                bytes=copied,
                bytes_per_second=round(rate),
                trouble=self._trouble,
            )
        self._write(PROGRESS_PREFIX + wire.dumps(line))

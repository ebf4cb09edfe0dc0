"""Whether a server hangs: it runs, has answered before, and answers nothing any more.

A server that is frozen or deadlocked holds its place in a cluster and gives nothing for it. Nobody
else ends it: a liveness probe would ask the agent, which answers.
"""

from typing import Final

# A server that is starved of CPU or disk answers late, and one that compacts a large file not for
# some seconds; an attempt to serve is worth more than a restart for as long.
SILENT_SECONDS: Final = 120.0


class Silence:
    """Counts for how long a server has not answered."""

    def __init__(self) -> None:
        self._answered: float | None = None

    def hangs(self, now: float, *, answered: bool) -> bool:
        """Take one question; return whether the server hangs.

        One that has never answered does not: how long a start may take, others judge.

        Args:
            now: seconds of the monotonic clock.
            answered: whether it was answered, in whatever way.
        """
        if answered:
            self._answered = now
        return self._answered is not None and now - self._answered > SILENT_SECONDS

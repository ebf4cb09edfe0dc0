"""When an ovn-controller has to forget how new the southbound database was; pure.

It remembers the highest index that it has seen, and takes every database below that for stale, for
ever: also the one that continues, or was made anew, after a majority was lost. Then its
record has to be reset (ovn-controller(8), sb-cluster-state-reset). A member without a majority
reports so itself and is not used in any case, so that a reset of one that is merely disconnected
does no harm.
"""

from dataclasses import dataclass
from typing import Final

CONNECTED: Final = "connected"
# Longer than it takes to go from one member to the next (reconnect's backoff goes up to 8 s).
PATIENCE: Final = 15.0


@dataclass
class Southbound:
    """An ovn-controller's connection to the southbound database.

    Attributes:
        away_since: when it was first seen without, or its record was reset last; None while it has
            one.
    """

    away_since: float | None = None

    def needs_reset(self, state: str, now: float) -> bool:
        """Return whether its record is to be reset now.

        Args:
            state: of its connection, as `connection-status` says.
            now: seconds of a clock that does not go back.
        """
        if state == CONNECTED:
            self.away_since = None
            return False
        if self.away_since is None:
            self.away_since = now
        if now - self.away_since < PATIENCE:
            return False
        self.away_since = now
        return True

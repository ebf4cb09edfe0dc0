"""How much flow control pauses replication, by a server's counters; pure but for what it remembers.

`wsrep_flow_control_paused_ns` counts the nanoseconds for which replication was paused, on every
member; `wsrep_flow_control_sent` counts the pauses that this member asked for
(https://galeracluster.com/library/documentation/galera-status-variables.html).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 30.0
# What is reported changes seldom: another report is work for the operator.
_STEP_PERCENT: Final = 10


@dataclass(frozen=True, slots=True)
class FlowControl:
    """What of a window was paused.

    Attributes:
        percent: the part of it for which replication was paused, in tens.
        sent: whether this member asked for a pause in it.
    """

    percent: int = 0
    sent: bool = False


class FlowControlWatch:
    """Compares a server's counters with those at the beginning of a window."""

    def __init__(self) -> None:
        self._began: float | None = None
        self._paused = self._sent = 0.0
        self.last = FlowControl()

    def add(self, counters: Mapping[str, float], now: float) -> None:
        """Take the counters; a server that began again counts from nothing.

        Args:
            counters: status variables by name, in lower case.
            now: seconds of the monotonic clock.
        """
        paused = counters.get("wsrep_flow_control_paused_ns", 0.0)
        sent = counters.get("wsrep_flow_control_sent", 0.0)
        if self._began is None or paused < self._paused or sent < self._sent:
            self.last = FlowControl()
        elif now - self._began < WINDOW_SECONDS:
            return
        else:
            part = 100 * (paused - self._paused) / 1e9 / (now - self._began)
            percent = min(100, int(part // _STEP_PERCENT * _STEP_PERCENT))
            self.last = FlowControl(percent, sent > self._sent)
        self._began, self._paused, self._sent = now, paused, sent

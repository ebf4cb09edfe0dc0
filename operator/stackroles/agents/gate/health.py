"""Whether a gate's child can serve: asked again and again in a thread of its own."""

import threading
from collections.abc import Callable
from enum import Enum
from typing import Final

from stackroles.agents import peer_http
from stackroles.agents.gate.protocol import Health

_PERIOD: Final = 1.0
# Until it serves: every moment counts in a failover.
_START_PERIOD: Final = 0.2
_ANSWER_SECONDS: Final = 2.0
# A program whose workers are all busy does not answer in time; to take it away makes it worse.
_MISSED: Final = 3
_LARGEST: Final = 65536


class Outcome(Enum):
    """What became of one question."""

    GOOD = "good"
    REFUSED = "refused"  # nobody listens
    BAD = "bad"  # no answer in time, or an error


class Judge:
    """Whether a child is healthy, by what became of the questions."""

    def __init__(self) -> None:
        self.healthy = False
        self._missed = 0

    def take(self, outcome: Outcome) -> bool:
        """Take one outcome; return whether the child is healthy now."""
        self._missed = 0 if outcome is Outcome.GOOD else self._missed + 1
        if outcome is Outcome.GOOD:
            self.healthy = True
        elif outcome is Outcome.REFUSED or self._missed >= _MISSED:
            self.healthy = False
        return self.healthy


def ask(health: Health) -> Outcome:
    """Ask the child once."""
    try:
        status, _ = peer_http.ask(
            "127.0.0.1", health.port, health.path, seconds=_ANSWER_SECONDS, limit=_LARGEST
        )
    except ConnectionRefusedError:
        return Outcome.REFUSED
    except OSError:
        return Outcome.BAD
    return Outcome.GOOD if 200 <= status < 400 else Outcome.BAD


class HealthWatch:
    """Asks a child while it runs."""

    def __init__(self, health: Health, report: Callable[[int, bool], None]) -> None:
        """Take what to ask.

        Args:
            health: where the child answers.
            report: called with the run and whether it is healthy, after each question.
        """
        self._health, self._report = health, report
        self._run = 0
        self._changed = threading.Condition()

    def start(self) -> None:
        """Begin to ask, until the process ends."""
        threading.Thread(target=self._ask_always, daemon=True).start()

    def follow(self, run: int) -> None:
        """Ask another run of the child; 0 for none."""
        with self._changed:
            self._run = run
            self._changed.notify_all()

    def _ask_always(self) -> None:
        judge, judged = Judge(), 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._run)
                run = self._run
            if run != judged:
                judge, judged = Judge(), run
            self._report(run, judge.take(ask(self._health)))
            period = _PERIOD if judge.healthy else _START_PERIOD
            with self._changed:
                self._changed.wait_for(lambda: self._run != run, timeout=period)  # noqa: B023

"""Whether a gate's child can serve: asked again and again in a thread of its own."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from stackroles.agents import peer_http
from stackroles.agents.gate.protocol import Health

# Until it serves: every moment counts in a failover.
_START_PERIOD: Final = 0.2
_LARGEST: Final = 65536


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a child that serves is asked, and what counts as no answer.

    Attributes:
        period: seconds between two questions.
        answer: seconds that an answer may take.
        missed: questions in a row without an answer after which it is not healthy.
    """

    period: float
    answer: float
    missed: int = 3


# A question takes a worker's turn, and one whose workers are all busy does not answer: half a
# minute without an answer is a program that hangs. One that ends is noticed without a question.
BUSY: Final = Patience(period=10.0, answer=10.0)
# Beside a standby that runs already to wait costs more; to change while there is merely much to do
# would leave it to one that is no faster.
REPLACEABLE: Final = Patience(period=2.0, answer=5.0)


class Outcome(Enum):
    """What became of one question."""

    GOOD = "good"
    REFUSED = "refused"  # nobody listens
    BAD = "bad"  # no answer in time, or an error


class Judge:
    """Whether a child is healthy, by what became of the questions."""

    def __init__(self, missed: int) -> None:
        """Take how many questions in a row may have no answer."""
        self.healthy = False
        self._allowed = missed
        self._missed = 0

    def take(self, outcome: Outcome) -> bool:
        """Take one outcome; return whether the child is healthy now."""
        self._missed = 0 if outcome is Outcome.GOOD else self._missed + 1
        if outcome is Outcome.GOOD:
            self.healthy = True
        elif outcome is Outcome.REFUSED or self._missed >= self._allowed:
            self.healthy = False
        return self.healthy


def ask(health: Health, seconds: float) -> Outcome:
    """Ask the child once; the answer may take some seconds."""
    try:
        status, _ = peer_http.ask(
            "127.0.0.1", health.port, health.path, seconds=seconds, limit=_LARGEST
        )
    except ConnectionRefusedError:
        return Outcome.REFUSED
    except OSError:
        return Outcome.BAD
    return Outcome.GOOD if 200 <= status < 400 else Outcome.BAD


class HealthWatch:
    """Asks a child while it runs."""

    def __init__(
        self, health: Health, patience: Patience, report: Callable[[int, bool], None]
    ) -> None:
        """Take what to ask.

        Args:
            health: where the child answers.
            patience: how often it is asked.
            report: called with the run and whether it is healthy, after each question.
        """
        self._health, self._patience, self._report = health, patience, report
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
        judge, judged = Judge(self._patience.missed), 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._run)
                run = self._run
            if run != judged:
                judge, judged = Judge(self._patience.missed), run
            self._report(run, judge.take(ask(self._health, self._patience.answer)))
            period = self._patience.period if judge.healthy else _START_PERIOD
            with self._changed:
                self._changed.wait_for(lambda: self._run != run, timeout=period)  # noqa: B023

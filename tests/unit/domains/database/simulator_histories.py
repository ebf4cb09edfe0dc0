"""Random histories of the simulated cluster; as a program, any number of them.

`python -m tests.unit.domains.database.simulator_histories 10000` plays the seeds 0 to 9999 and
prints how many there were, how often a component was formed, and the first violation if any.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from random import Random

from stackroles.agents.galera.protocol import Decision
from stackroles.domains.database.decide import decide
from stackroles.domains.database.model import Member, Outcome, PersistedState, Verdict
from tests.unit.domains.database.simulator import Node, Simulation, Violation

Chooser = Callable[[Sequence[Member], PersistedState, str], Outcome]
_EVENTS = {
    "operate": 14, "pass": 5, "advance": 10, "advance_all": 5, "write": 6, "flush": 3, "kill": 3,
    "kill_all": 1, "kill_some": 1, "stop": 1, "replace_pod": 1, "mute": 1, "unmute": 1, "cut": 1,
    "heal": 2, "rejoin": 2, "crash": 2, "resume": 2,
}  # fmt: skip
_LENGTH = 160
_ROUNDS = 80


class Operator:
    """One operator's pass, step by step; it may be ended, or paused, between any two.

    It knows nothing of those before it but what is recorded.
    """

    def __init__(self, history: "History") -> None:
        self._history = history
        self._leader = history.simulation.draw("leader")
        self._begin()

    def _begin(self) -> None:
        self._seen: list[Member] = []
        self._read = self._history.persisted
        self._after = self._read
        self._decided: Mapping[str, Decision] = {}
        self._unpublished: dict[str, Decision] = {}
        self._step = self._observe
        self.verdict: Verdict | None = None

    def step(self) -> bool:
        """Do the next step; return whether the pass goes on."""
        self._step()
        going = self._step != self._begin
        if not going:
            verdict = self.verdict
            self._begin()
            self.verdict = verdict
        return going

    def whole_pass(self) -> Verdict | None:
        """Do a whole pass with nothing in between; return its verdict."""
        self._begin()
        while self.step():
            pass
        return self.verdict

    def _observe(self) -> None:
        nodes = self._history.simulation.nodes
        self._seen.append(self._history.simulation.observe(nodes[len(self._seen)]))
        if len(self._seen) == len(nodes):
            self._step = self._again if self._decided else self._decide

    def _decide(self) -> None:
        outcome = self._history.chooser(self._seen, self._read, self._leader)
        self.verdict = outcome.verdict
        self._decided, self._after = outcome.decisions, outcome.persisted
        self._step = self._record

    def _record(self) -> None:
        if self._after != self._read:
            if self._history.persisted != self._read:
                self._step = self._begin  # another operator wrote meanwhile
                return
            self._history.persisted = self._after
        self._seen = []
        self._step = self._observe if self._decided else self._begin

    def _again(self) -> None:
        again = self._history.chooser(self._seen, self._after, self._leader).decisions
        self._unpublished = {n: d for n, d in self._decided.items() if again.get(n) == d}
        self._step = self._publish if self._unpublished else self._begin

    def _publish(self) -> None:
        name, decision = self._unpublished.popitem()
        pod = next(member.pod_uid for member in self._seen if member.name == name)
        for node in self._history.simulation.nodes:
            if node.name == name and node.pod == pod:
                node.annotation = decision
        self._step = self._publish if self._unpublished else self._begin


class History:
    """Plays the events of a seed, then lets all be whole."""

    def __init__(self, seed: int, *, losses: bool, chooser: Chooser = decide) -> None:
        self.chooser = chooser
        self._random = Random(seed)
        self.simulation = Simulation(self._random.choice((1, 3, 3, 3, 5)))
        self.persisted = PersistedState()
        self._operator = Operator(self)
        self._paused: list[Operator] = []
        self._events = _EVENTS | ({"lose_disk": 1} if losses else {})
        self.verdict: Verdict | None = None

    def play(self) -> None:
        """Play all events, then settle. Raises Violation."""
        if self._random.random() < 0.7:
            self.settle()
        for name in self._random.choices(
            list(self._events), list(self._events.values()), k=_LENGTH
        ):
            self._happen(name, self._random.choice(self.simulation.nodes))
        self.settle()

    def _happen(self, name: str, node: Node) -> None:
        own = getattr(self, f"_{name}", None)
        if own is not None:
            own()
        elif name in ("mute", "unmute"):
            node.muted = name == "mute"
        else:
            getattr(self.simulation, name)(node)

    def _operate(self) -> None:
        self._operator.step()

    def _pass(self) -> None:
        self._operator.whole_pass()

    def _crash(self) -> None:
        """The operator ends, or is only cut off and acts later; another one begins."""
        self._paused.append(self._operator)
        self._operator = Operator(self)

    def _resume(self) -> None:
        if self._paused:
            self._random.choice(self._paused).step()

    def _advance_all(self) -> None:
        for node in self.simulation.nodes:
            self.simulation.advance(node)

    def _kill_all(self) -> None:
        self.simulation.kill(*self.simulation.nodes)

    def _kill_some(self) -> None:
        nodes = self.simulation.nodes
        self.simulation.kill(*self._random.sample(nodes, (len(nodes) + 1) // 2))

    def settle(self) -> None:
        """Let everything answer and do its steps until all serve, or for so many rounds."""
        for node in self.simulation.nodes:
            node.muted = False
            self.simulation.heal(node)
        for _ in range(_ROUNDS):
            self.verdict = self._operator.whole_pass()
            self._advance_all()
            if all(node.serves for node in self.simulation.nodes):
                self.verdict = self._operator.whole_pass()
                return


def play(seed: int, chooser: Chooser = decide) -> History:
    """Play a seed, every third one with lost volumes, and check how it ends.

    Raises:
        Violation: something happened that must never happen, or nothing happens any more.
    """
    history = History(seed, losses=seed % 3 == 0, chooser=chooser)
    history.play()
    simulation = history.simulation
    whole = all(node.serves for node in simulation.nodes)
    stopped = history.verdict is not None and history.verdict.needs_person
    if not whole and not (stopped and simulation.replaced):
        raise Violation(f"it does not come together: {history.verdict}")
    serving = simulation.serving()
    if serving is not None and not simulation.acknowledged <= set(serving.writes):
        raise Violation("acknowledged writes are missing")
    return history


def main(arguments: list[str]) -> int:
    """Play as many histories as asked for; return 1 at a violation."""
    count, starts, losses = int(arguments[0]), 0, 0
    for seed in range(count):
        try:
            simulation = play(seed).simulation
        except Violation as violation:
            sys.stdout.write(f"seed {seed}: {violation}\n")
            return 1
        starts, losses = starts + simulation.starts, losses + simulation.losses
    found = f"{starts} components formed, {losses} volumes with data lost"
    sys.stdout.write(f"{count} histories, {found}: no violation\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

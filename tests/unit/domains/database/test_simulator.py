"""No history of the simulated cluster ends in a second component or without what was acknowledged.

Ten thousand: `python -m tests.unit.domains.database.simulator_histories 10000`.
"""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from stackroles.domains.database.decide import decide
from stackroles.domains.database.model import Member, Outcome, PersistedState
from tests.unit.domains.database.simulator import Simulation, Violation
from tests.unit.domains.database.simulator_histories import Chooser, play

_COUNT = 200


def test_no_history_breaks_a_rule() -> None:
    simulations = [play(seed).simulation for seed in range(_COUNT)]

    assert sum(simulation.starts for simulation in simulations) > _COUNT
    assert any(simulation.losses for simulation in simulations)
    assert any(simulation.acknowledged for simulation in simulations)


def without_the_silent(members: Sequence[Member], kept: PersistedState, leader: str) -> Outcome:
    """Decide as if no answer meant that there is no such member."""
    answering = [member for member in members if member.known]
    return decide(answering or members, replace(kept, volumes={}), leader)


def without_a_record(members: Sequence[Member], _: PersistedState, leader: str) -> Outcome:
    """Decide as if nothing had ever been recorded."""
    return decide(members, PersistedState(), leader)


def the_lowest(members: Sequence[Member], kept: PersistedState, leader: str) -> Outcome:
    """Start whoever holds the least."""
    outcome = decide(members, kept, leader)
    holding = [m for m in members if m.position and m.position.uuid and m.known]
    if len(holding) < len(members) or kept.bootstrap is None:
        return outcome
    least = min(holding, key=lambda m: m.position.seqno if m.position else 0)
    report, position = least.known, least.position
    assert report is not None
    assert position is not None
    wrong = [
        replace(decision, attempt=report.attempt, seqno=position.seqno)
        for decision in outcome.decisions.values()
    ]
    return replace(outcome, decisions={least.name: wrong[0]} if wrong else {})


def play_all(chooser: Chooser) -> None:
    for seed in range(_COUNT):
        play(seed, chooser)


@pytest.mark.parametrize("wrong", [without_the_silent, without_a_record, the_lowest])
def test_a_wrong_chooser_is_found(wrong: Chooser) -> None:
    with pytest.raises(Violation):
        play_all(wrong)


def test_a_start_below_what_another_volume_holds_is_a_violation() -> None:
    simulation = Simulation(2)
    first, second = simulation.nodes
    for node in simulation.nodes:
        node.disk.history = "history"
    second.disk.writes = [1]
    simulation.acknowledged = {1}

    with pytest.raises(Violation, match="1 are on a disk"):
        simulation._form(first)

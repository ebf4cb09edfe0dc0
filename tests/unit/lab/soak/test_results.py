"""Results of cycles, and how a campaign goes on after it was ended."""

from dataclasses import replace
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.soak import results, state
from lab.soak.plan import plan
from lab.soak.results import Result, Verdict, Workload
from lab.soak.runner import Bounds
from lab.soak.state import UnderWay

RESULT = Result(
    seed=1,
    cycle=2,
    group="rabbitmq",
    fault="kill one",
    victims=("demo-rabbitmq-1",),
    start="2026-01-02T03:04:05.678+00:00",
    verdict=Verdict.PASSED,
    first_loss=0.25,
    serving=1.5,
    full_strength=20.25,
    workloads={"messages": Workload(acknowledged=300, failed=2)},
    commit="abc1234",
    machine={"cores": 2},
)
CYCLE = UnderWay(1, 2, "rabbitmq", "kill one", ("demo-rabbitmq-1",), RESULT.start)


def test_a_result_is_read_as_it_was_written(tmp_path: Path) -> None:
    file = tmp_path / "docs" / "results.jsonl"
    assert results.read(file) == []
    other = replace(RESULT, cycle=3, serving=None, verdict=Verdict.STUCK, detail="brokers: ...")
    for result in (RESULT, other):
        results.append(file, result)

    assert results.read(file) == [RESULT, other]


@pytest.mark.parametrize("line", ["", "{}", "no json", '{"seed": 1}'])
def test_what_is_no_result_is_refused(line: str) -> None:
    with pytest.raises(LabError, match="no result of a cycle"):
        results.loads(line)


def test_a_campaign_goes_on_with_the_first_cycle_without_a_result() -> None:
    cycles = plan(1)
    done = [replace(RESULT, cycle=number) for number in (1, 2, 4)]

    assert [cycle.number for cycle in results.left(cycles, 1, done)][:3] == [3, 5, 6]


def test_an_interrupted_cycle_is_repeated_and_a_stuck_one_is_not() -> None:
    cycles = plan(1)
    done = [
        replace(RESULT, cycle=1, verdict=Verdict.INTERRUPTED),
        replace(RESULT, cycle=2, verdict=Verdict.STUCK),
    ]

    assert [cycle.number for cycle in results.left(cycles, 1, done)][:2] == [1, 3]


def test_results_of_another_seed_are_of_another_campaign() -> None:
    assert len(results.left(plan(2), 2, [RESULT])) == len(plan(2))


def test_the_cycle_under_way_is_known_after_a_restart(tmp_path: Path) -> None:
    file = tmp_path / "cluster" / "soak.json"
    assert state.under_way(file) is None
    state.begin(file, CYCLE)
    assert state.under_way(file) == CYCLE
    state.end(file)
    assert state.under_way(file) is None


def test_a_damaged_state_names_its_file(tmp_path: Path) -> None:
    file = tmp_path / "soak.json"
    file.write_text('{"seed": 1}')

    with pytest.raises(LabError, match=r"soak\.json is not the state"):
        state.under_way(file)


def test_bounds_end_a_run_by_cycles_and_by_time() -> None:
    counted = Bounds(cycles=2)
    assert [counted.begin() for _ in range(3)] == [True, True, False]
    assert Bounds().begin()
    assert not Bounds(until=0.0).begin()

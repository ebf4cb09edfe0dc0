"""What a campaign does before its first cycle and after a bad one."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from lab.errors import LabError
from lab.soak import faults, results, runner, state
from lab.soak.record import Record
from lab.soak.results import Verdict
from tests.unit.lab.soak.test_results import CYCLE, RESULT


@dataclass
class Pod:
    """kubectl that reads the end of one file, as `tail -c +N` does."""

    content: str = ""
    asked: list[str] = field(default_factory=list)

    def run(self, *command: str) -> str:
        *_, offset, _file = command
        self.asked.append(offset)
        return self.content.encode()[int(offset) - 1 :].decode()


def campaign(folder: Path) -> runner.Campaign:
    return runner.Campaign(
        seed=1,
        file=folder / "results.jsonl",
        state=folder / "soak.json",
        commit="abc1234",
        machine={"cores": 2},
        notify=lambda _: None,
    )


def test_an_interrupted_cycle_is_undone_and_recorded_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undone: list[tuple[str, ...]] = []
    action = faults.Action(lambda *_: None, 1, lambda _, victims: undone.append(tuple(victims)))
    monkeypatch.setattr(faults, "of", lambda group, name: action)
    known = campaign(tmp_path)
    state.begin(known.state, CYCLE)
    bed: Any = None
    runner.interrupted(bed, known)
    runner.interrupted(bed, known)

    assert undone == [CYCLE.victims]
    (result,) = results.read(known.file)
    assert (result.verdict, result.cycle, result.start) == (Verdict.INTERRUPTED, 2, CYCLE.start)


def test_a_fault_that_cannot_be_undone_stays_under_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def undo(*_: Any) -> None:
        raise LabError("no node")

    monkeypatch.setattr(faults, "of", lambda *_: faults.Action(lambda *_: None, 1, undo))
    known = campaign(tmp_path)
    state.begin(known.state, CYCLE)
    bed: Any = None
    with pytest.raises(LabError, match="no node"):
        runner.interrupted(bed, known)

    assert state.under_way(known.state) == CYCLE
    assert results.read(known.file) == []


@pytest.mark.parametrize("verdict", [Verdict.LOST, Verdict.STUCK])
def test_a_defect_ends_the_campaign_and_says_where_the_figures_are(verdict: Verdict) -> None:
    bad = replace(RESULT, verdict=verdict, detail="brokers: no majority")

    with pytest.raises(LabError, match=r"cycle 2 .*brokers: no majority") as found:
        runner._stop_at_defect(bad, Path("results.jsonl"))
    assert "results.jsonl" in found.value.remedy
    runner._stop_at_defect(RESULT, Path("results.jsonl"))


def test_a_line_for_people_has_times_and_losses() -> None:
    assert runner.line(RESULT) == (
        "cycle 2 passed: rabbitmq: kill one: serving 1.5 s, full strength 20.2 s; "
        "300 messages, 0 lost"
    )


def test_a_record_is_read_on_from_its_last_whole_line() -> None:
    lines = [
        json.dumps({"id": n, "sent": 1.0, "at": 2.0, "host": "ü"}, ensure_ascii=False) + "\n"
        for n in range(3)
    ]
    pod = Pod(lines[0] + lines[1][:5])
    kubectl: Any = pod
    record = Record(kubectl, "client", "/record")

    assert [attempt.identity for attempt in record.attempts()] == [0]
    pod.content = "".join(lines)
    assert [attempt.identity for attempt in record.attempts()] == [0, 1, 2]
    assert [attempt.identity for attempt in record.attempts()] == [0, 1, 2]
    ends = [len("".join(lines[:count]).encode()) for count in (0, 1, 3)]
    assert pod.asked == [f"+{end + 1}" for end in ends]

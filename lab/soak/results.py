"""Results of cycles: a line of JSON each, and which cycle comes next."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.soak.plan import Cycle


class Verdict(StrEnum):
    """How a cycle ended."""

    PASSED = "passed"
    LOST = "lost"
    """Something that was acknowledged is gone."""
    STUCK = "stuck"
    """Full strength was not there in time."""
    INTERRUPTED = "interrupted"
    """The campaign was ended in it: the cycle is repeated."""


@dataclass(frozen=True, slots=True)
class Workload:
    """What one client had acknowledged in a cycle, and how much of all its acknowledged is lost."""

    acknowledged: int = 0
    failed: int = 0
    lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One cycle; times are seconds since the fault began, None where that was not observed.

    Attributes:
        seed: the campaign's.
        cycle: number in its plan.
        group: what it is counted as.
        fault: what was done.
        victims: to which members or nodes.
        start: when the fault began, ISO 8601 in UTC.
        first_loss: until the first failed attempt of the role's own client.
        serving: until that client was served again.
        full_strength: until every member of every role was back.
        longest_gap: longest time between two acknowledgements of that client.
        workloads: every client by name: rows, messages, networks, calls.
        verdict: how it ended.
        detail: what was lost, or what it is stuck at.
        commit: of the checkout, with ``+`` where it had changes.
        machine: facts of the machine.
    """

    seed: int
    cycle: int
    group: str
    fault: str
    victims: tuple[str, ...]
    start: str
    verdict: Verdict
    first_loss: float | None = None
    serving: float | None = None
    full_strength: float | None = None
    longest_gap: float | None = None
    workloads: dict[str, Workload] = field(default_factory=dict)
    detail: str = ""
    commit: str = ""
    machine: dict[str, str | int] = field(default_factory=dict)


def dumps(result: Result) -> str:
    """Return a result as one line, figures to hundredths of a second."""
    rounded = {
        name: round(value, 2) if isinstance(value, float) else value
        for name, value in asdict(result).items()
    }
    return json.dumps(rounded)


def loads(line: str) -> Result:
    """Return the result in a line.

    Raises:
        LabError: it is not one.
    """
    try:
        found: dict[str, Any] = json.loads(line)
        found["victims"] = tuple(found["victims"])
        found["verdict"] = Verdict(found["verdict"])
        found["workloads"] = {
            name: Workload(**counts) for name, counts in found["workloads"].items()
        }
        return Result(**found)
    except (ValueError, TypeError, KeyError) as error:
        raise LabError(f"no result of a cycle: {line[:160]}", detail=str(error)) from error


def read(file: Path) -> list[Result]:
    """Return the results in a file, none where it does not exist.

    Raises:
        LabError: a line is not a result.
    """
    if not file.is_file():
        return []
    return [loads(line) for line in file.read_text().splitlines()]


def append(file: Path, result: Result) -> None:
    """Add a result to a file; it is on disk when this returns."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as written:
        written.write(f"{dumps(result)}\n")
        written.flush()
        os.fsync(written.fileno())


def left(cycles: Sequence[Cycle], seed: int, results: Iterable[Result]) -> list[Cycle]:
    """Return the cycles of a plan that have no result yet; an interrupted one has none."""
    done = {
        result.cycle
        for result in results
        if result.seed == seed and result.verdict is not Verdict.INTERRUPTED
    }
    return [cycle for cycle in cycles if cycle.number not in done]

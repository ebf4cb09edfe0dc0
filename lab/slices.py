"""The slices of `make test`: what each runs, which it needs, and running them."""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from lab import budgets, rotation, steps
from lab.budgets import Outcome, Tally
from lab.steps import CLUSTER, Step

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Slice:
    """Some steps with one budget; it is run when every slice it needs was good.

    Attributes:
        ordered: Whether each step stands on the one before, so that a failure ends the slice.
        beside: Steps that run while the others do; what they print is shown after these.
    """

    name: str
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()
    ordered: bool = False
    beside: tuple[Step, ...] = ()


def _python(name: str, *arguments: str) -> Step:
    return Step(name, (sys.executable, "-m", *arguments))


def _pytest(name: str, *arguments: str, seconds: float = 0) -> Step:
    return Step(name, (sys.executable, "-m", "pytest", *arguments), tests=True, seconds=seconds)


# That generated files are up to date is a unit test.
STATIC = (
    _python("lint", "ruff", "check", "."),
    _python("format", "ruff", "format", "--check", "."),
    Step("layers", (str(Path(sys.executable).parent / "lint-imports"),)),
    _python("go", "lab", "gofmt"),
    _python("types", "mypy"),
)
BRING_UP = "bring_up"
NOT_RUN = Tally(failures=("not run: a slice it needs failed",))
SLICES = (
    Slice("build", (_python("build", "lab", "build"),)),
    Slice(
        "unit-and-apiserver",
        # Most of the time these wait, and types take one processor as long.
        (
            _pytest("apiserver", "tests/apiserver", "-q"),
            _pytest("unit", "tests/unit", "-q", "-n", "2"),
        ),
        needs=("build",),
        beside=STATIC,
    ),
    Slice(
        "bring-up",
        (
            # A cluster of its own, new each time: a cloud that was used before proves less.
            _python("no cluster", "lab", "cluster", "down", "--name", CLUSTER),
            _python("cluster", "lab", "cluster", "up", "--name", CLUSTER),
            _python("images", "lab", "images", "load", "--name", CLUSTER),
            _pytest("bring-up", rotation.path(BRING_UP), "-v"),
        ),
        needs=("build",),
        ordered=True,
    ),
    Slice(
        "e2e",
        (
            _pytest(
                "e2e", *(rotation.path(name) for name in rotation.CORE if name != BRING_UP), "-v"
            ),
        ),
        needs=("build", "bring-up"),
    ),
)


def long_slice(case: str) -> Slice:
    """Return the slice of one long case."""
    step = _pytest(f"long {case}", rotation.long_path(case), "-v", seconds=_needed("long", case))
    return Slice("long", (step,), needs=("build", "bring-up"))


def asked(case: str) -> Slice:
    """Return the slice of an area or a long case that a person asks for: it begins in any case.

    One that was over its budget once would never be run again by its time on record.
    """
    item = areas_slice([case]) if case in rotation.areas() else long_slice(case)
    return replace(item, steps=tuple(replace(step, seconds=0.0) for step in item.steps))


def areas_slice(areas: Iterable[str]) -> Slice:
    """Return the slice of some areas, each a step of its own."""
    each = tuple(
        _pytest(f"area {area}", rotation.path(area), "-v", seconds=_needed("areas", area))
        for area in areas
    )
    return Slice("areas", each, needs=("build", "bring-up"))


def _recorded(limits: budgets.Limits, cases: Iterable[str]) -> dict[str, float]:
    """Return what areas and long cases are taken to need, in seconds, by their last runs."""
    runs = rotation.last_runs(rotation.RECORD.read_text())
    return {case: runs[case].seconds if case in runs else limits.unmeasured_area for case in cases}


def _needed(name: str, case: str) -> float:
    """Return what must be left of a run's time for an area or a long case to begin, in seconds."""
    limits = budgets.load()
    return limits.needed(name, _recorded(limits, [case])[case])


def rotated() -> tuple[tuple[str, ...], str]:
    """Return the areas and the long case that this checkout's `make test` takes."""
    limits = budgets.load()
    seconds = _recorded(limits, rotation.areas())
    commit = rotation.commit()
    return (
        rotation.chosen_areas(commit, seconds, limits.planned_areas),
        rotation.chosen(commit, list(rotation.cases())),
    )


def every() -> tuple[Slice, ...]:
    """Return the slices of this checkout's `make test`, in order."""
    areas, case = rotated()
    return (*SLICES, areas_slice(areas), long_slice(case))


def uses_cluster(chosen: Iterable[Slice]) -> bool:
    """Return whether some slices bring a cluster up or stand on one."""
    return any("bring-up" in (item.name, *item.needs) for item in chosen)


def run(chosen: Iterable[Slice], notify: Notify) -> list[Outcome]:
    """Run slices one after the other and return what became of each.

    Raises:
        KeyboardInterrupt: This process was interrupted or asked to end; the step has ended.
    """
    limits, items = budgets.load(), list(chosen)
    outcomes: list[Outcome] = []
    with _termination_interrupts():
        for number, item in enumerate(items, start=1):
            later = [other.name for other in items[number:] if other.name not in budgets.OPTIONAL]
            allowed = limits.allowed(item.name, outcomes, later)
            failed = {outcome.name for outcome in outcomes if not outcome.good}
            if failed.intersection(item.needs):
                outcomes.append(Outcome(item.name, None, allowed, NOT_RUN))
                continue
            notify(f"== {item.name} (at most {allowed:.0f} s)")
            start = time.monotonic()
            tally = _run_steps(item, start + allowed, notify)
            outcomes.append(Outcome(item.name, time.monotonic() - start, allowed, tally))
    return outcomes


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Take SIGTERM, by which a CI cancels, as SIGINT: a step's own session gets neither.

    SIGINT itself is taken also where it is ignored, as in a shell's background job: a step would
    inherit that and could only be killed.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_steps(item: Slice, deadline: float, notify: Notify) -> Tally:
    tally = Tally()
    with steps.running(item.beside) as beside:
        for step in item.steps:
            if step.tests and not steps.has_tests(step):
                notify(f"-- {step.name}: no tests yet")
                continue
            left = deadline - time.monotonic()
            if step.seconds > left:
                notify(f"-- {step.name}: left out, {step.seconds:.0f} s needed, {left:.0f} s left")
                tally += Tally(skipped=1)
                continue
            notify(steps.title(step))
            counted = steps.run(step, deadline)
            tally += counted
            if counted.failed and item.ordered:
                break
        for step, process in beside:
            status = steps.wait(process, deadline)
            notify(f"{steps.title(step)}\n{steps.log(step).read_text().rstrip()}")
            tally += Tally(passed=1) if status == 0 else Tally(failures=(step.name,))
    return tally

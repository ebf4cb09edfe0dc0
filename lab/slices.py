"""The slices of `make test`: what each runs, which it needs, and running them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from lab import binaries, budgets, rotation, shell
from lab.budgets import Outcome, Tally
from lab.paths import REPOSITORY, Paths

REPORTS = REPOSITORY / "build" / "test"
GRACE_SECONDS = 60
"""What a step that is interrupted gets to write its summary and to end what it started."""

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a slice.

    Attributes:
        name: What is shown and what its report is called.
        command: The command line.
        tests: Whether it is pytest, whose report holds the counts.
    """

    name: str
    command: tuple[str, ...]
    tests: bool = False


@dataclass(frozen=True, slots=True)
class Slice:
    """Some steps with one budget; it is run when every slice it needs was good.

    Attributes:
        ordered: Whether each step stands on the one before, so that a failure ends the slice.
    """

    name: str
    steps: tuple[Step, ...]
    needs: tuple[str, ...] = ()
    ordered: bool = False


def _python(name: str, *arguments: str) -> Step:
    return Step(name, (sys.executable, "-m", *arguments))


def _pytest(name: str, *arguments: str) -> Step:
    return Step(name, (sys.executable, "-m", "pytest", *arguments), tests=True)


STATIC = (
    _python("lint", "ruff", "check", "."),
    _python("format", "ruff", "format", "--check", "."),
    Step("layers", (str(Path(sys.executable).parent / "lint-imports"),)),
    _python("go", "lab", "gofmt"),
    _python("types", "mypy"),
    _python("generated files", "stackroles.codegen", "--check"),
)
CLUSTER = "stackroles-test"
"""The tests' cluster; the demo's is another one."""
BRING_UP = "bring_up"
SLICES = (
    Slice("build", (_python("build", "lab", "build"),)),
    Slice(
        "unit-and-apiserver",
        (
            *STATIC,
            _pytest("unit", "tests/unit", "-q", "-n", "2"),
            _pytest("apiserver", "tests/apiserver", "-q"),
        ),
        needs=("build",),
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
    step = _pytest(f"long {case}", rotation.long_path(case), "-v")
    return Slice("long", (step,), needs=("build", "bring-up"))


def areas_slice(areas: Iterable[str]) -> Slice:
    """Return the slice of some areas, each a step of its own."""
    steps = tuple(_pytest(f"area {area}", rotation.path(area), "-v") for area in areas)
    return Slice("areas", steps, needs=("build", "bring-up"))


def rotated() -> tuple[tuple[str, ...], str]:
    """Return the areas and the long case that this checkout's `make test` takes."""
    limits, runs = budgets.load(), rotation.last_runs(rotation.RECORD.read_text())
    seconds = {
        area: runs[area].seconds if area in runs else limits.unmeasured_area
        for area in rotation.areas()
    }
    commit = rotation.commit()
    return (
        rotation.chosen_areas(commit, seconds, limits.slices["areas"]),
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
    allowed = budgets.load().slices
    outcomes: list[Outcome] = []
    with _termination_interrupts():
        for item in chosen:
            failed = {outcome.name for outcome in outcomes if not outcome.good}
            if failed.intersection(item.needs):
                outcomes.append(Outcome(item.name, None, allowed[item.name], Tally(failed=1)))
                continue
            notify(f"== {item.name} (at most {allowed[item.name]:.0f} s)")
            start = time.monotonic()
            tally = _run_steps(item, start + allowed[item.name], notify)
            taken = time.monotonic() - start
            outcomes.append(Outcome(item.name, taken, allowed[item.name], tally))
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
    for step in item.steps:
        if step.tests and not _has_tests(step):
            notify(f"-- {step.name}: no tests yet")
            continue
        notify(f"-- {step.name}: {shell.shown([Path(step.command[0]).name, *step.command[1:]])}")
        counted = _run_step(step, deadline)
        tally += counted
        if counted.failed and item.ordered:
            break
    return tally


def _has_tests(step: Step) -> bool:
    place = REPOSITORY / next(part for part in step.command if part.startswith("tests/"))
    return place.is_file() or any(place.rglob("test_*.py"))


def _run_step(step: Step, deadline: float) -> Tally:
    report = REPORTS / f"{step.name.replace(' ', '-')}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [*step.command, f"--junitxml={report}"] if step.tests else list(step.command)
    status = _wait(command, deadline)
    if step.tests and report.is_file():
        tally = counts(report.read_text())
        # a failure of pytest without a failed test, such as nothing collected, is one itself
        return tally if status == 0 or tally.failed else tally + Tally(failed=1)
    return Tally(passed=1) if status == 0 else Tally(failed=1)


def _wait(command: Sequence[str], deadline: float) -> int:
    """Run a command until its end or the deadline, when it is interrupted, then killed."""
    environment = shell.environment()
    folders = [str(folder) for folder in binaries.search_path(Paths.from_environment())]
    environment.setdefault("STACKROLES_CLUSTER", CLUSTER)
    environment["PATH"] = os.pathsep.join([*folders, environment["PATH"]])
    process = subprocess.Popen(command, cwd=REPOSITORY, env=environment, start_new_session=True)
    try:
        return process.wait(timeout=max(deadline - time.monotonic(), 1))
    except subprocess.TimeoutExpired:
        return _end(process) or 1
    except KeyboardInterrupt:
        _end(process)
        raise


def _end(process: subprocess.Popen[bytes]) -> int:
    """Interrupt a step with all it started, kill it when that takes too long or is repeated."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.wait(timeout=GRACE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def counts(report: str) -> Tally:
    """Return the counts in pytest's JUnit report."""
    suites = ET.fromstring(report).iter("testsuite")  # noqa: S314 - written by our own pytest
    tally = Tally()
    for suite in suites:
        number = {
            name: int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
        }
        failed = number["failures"] + number["errors"]
        passed = number["tests"] - failed - number["skipped"]
        tally += Tally(passed, failed, number["skipped"])
    return tally

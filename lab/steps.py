"""One command of a slice, and running it: alone or beside others, until a deadline."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.etree import ElementTree as ET

from lab import binaries, shell
from lab.budgets import Tally
from lab.paths import REPOSITORY, Paths

REPORTS = REPOSITORY / "build" / "test"
GRACE_SECONDS = 60
"""What a step that is interrupted gets to write its summary and to end what it started."""
CLUSTER = "stackroles-test"
"""The tests' cluster; the demo's is another one."""

FAILURE_CHARACTERS = 300
"""How much of a failed test's name and message is shown again at the end of a run."""

Process = subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a slice.

    Attributes:
        name: What is shown and what its report is called.
        command: The command line.
        tests: Whether it is pytest, whose report holds the counts.
        seconds: What must be left of its slice's time for it to begin.
    """

    name: str
    command: tuple[str, ...]
    tests: bool = False
    seconds: float = 0


@contextmanager
def running(steps: Iterable[Step]) -> Iterator[list[tuple[Step, Process]]]:
    """Start steps at once, each with a file for what it prints; end those left at the end."""
    REPORTS.mkdir(parents=True, exist_ok=True)
    started: list[tuple[Step, Process]] = []
    try:
        for step in steps:
            with log(step).open("wb") as output:
                started.append((step, _start(step.command, output)))
        yield started
    finally:
        for _, process in started:
            if process.poll() is None:
                _end(process)


def title(step: Step) -> str:
    """Return the line that announces a step."""
    return f"-- {step.name}: {shell.shown([Path(step.command[0]).name, *step.command[1:]])}"


def log(step: Step) -> Path:
    """Return where a step that runs beside others prints."""
    return REPORTS / f"{step.name}.log"


def has_tests(step: Step) -> bool:
    """Say whether there is anything for a step of pytest to run."""
    place = REPOSITORY / next(part for part in step.command if part.startswith("tests/"))
    return place.is_file() or any(place.rglob("test_*.py"))


def run(step: Step, deadline: float) -> Tally:
    """Run a step until its end or the deadline and return its counts."""
    report = REPORTS / f"{step.name.replace(' ', '-')}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    command = [*step.command, f"--junitxml={report}"] if step.tests else list(step.command)
    status = wait(_start(command), deadline)
    failed = Tally(failures=(f"{step.name} ended with {status}",))
    if step.tests and report.is_file():
        tally = counts(report.read_text())
        # a failure of pytest without a failed test, such as nothing collected, is one itself
        return tally if status == 0 or tally.failed else tally + failed
    return Tally(passed=1) if status == 0 else failed


def _start(command: Sequence[str], output: IO[bytes] | None = None) -> Process:
    """Start a command in a session of its own; it prints to a file, without one where we do."""
    environment = shell.environment()
    paths = Paths.from_environment()
    folders = [str(folder) for folder in binaries.search_path(paths)]
    environment.setdefault("STACKROLES_CLUSTER", CLUSTER)
    environment.setdefault("MYPY_CACHE_DIR", str(paths.types))
    # Many processes import the same modules: compiled by each of them, these cost seconds.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PATH"] = os.pathsep.join([*folders, environment["PATH"]])
    return subprocess.Popen(
        command,
        cwd=REPOSITORY,
        env=environment,
        stdout=output,
        stderr=output and subprocess.STDOUT,
        start_new_session=True,
    )


def wait(process: Process, deadline: float) -> int:
    """Wait for a command's end or the deadline, when it is interrupted, then killed."""
    try:
        return process.wait(timeout=max(deadline - time.monotonic(), 1))
    except subprocess.TimeoutExpired:
        return _end(process) or 1
    except KeyboardInterrupt:
        _end(process)
        raise


def _end(process: Process) -> int:
    """Interrupt a step with all it started, kill it when that takes too long or is repeated."""
    os.killpg(process.pid, signal.SIGINT)
    try:
        return process.wait(timeout=GRACE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        os.killpg(process.pid, signal.SIGKILL)
        return process.wait()


def counts(report: str) -> Tally:
    """Return the counts in pytest's JUnit report, with the name and message of what failed."""
    passed, failures, skipped = 0, [], 0
    for case in ET.fromstring(report).iter("testcase"):  # noqa: S314 - written by our own pytest
        ends = [found for kind in ("failure", "error") for found in case.iter(kind)]
        failures += [_failure(case, found) for found in ends]
        is_skipped = case.find("skipped") is not None
        skipped += is_skipped
        passed += not ends and not is_skipped
    return Tally(passed, tuple(failures), skipped)


def _failure(case: ET.Element, found: ET.Element) -> str:
    name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
    message = " ".join((found.get("message") or "").split())
    return f"{name}: {message}"[:FAILURE_CHARACTERS]

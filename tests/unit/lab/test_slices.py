"""Steps of a slice end with the run that started them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lab import slices, steps
from lab.budgets import Tally
from lab.paths import REPOSITORY

STEP = """
import pathlib, signal, subprocess, sys, time
child = subprocess.Popen(["sleep", "600"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(600)
"""
RUN = """
import sys
from lab import slices, steps
step = steps.Step("long", (sys.executable, "-c", sys.argv[1], sys.argv[2]))
slices.run([slices.Slice("build", (step,))], print)
"""
SECONDS = 60.0


def gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] == "Z"
    except FileNotFoundError:
        return True


def wait_for(what: str, check: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come true in {SECONDS} s"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_run_that_is_asked_to_end_ends_its_step_and_what_that_started(
    tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "pid"
    ignored = ["sh", "-c", 'trap "" INT; exec "$@"', "sh"]
    command = [*ignored, sys.executable, "-c", RUN, STEP, str(file)]
    run = subprocess.Popen(command, cwd=REPOSITORY, env={**os.environ, "PYTHONPATH": "."})
    wait_for("the step's start", lambda: file.exists() and file.read_text())

    run.send_signal(number)

    assert run.wait(timeout=SECONDS) != 0
    wait_for("the end of what the step started", lambda: gone(int(file.read_text())))


def test_steps_beside_others_are_counted_and_shown_after_them() -> None:
    def step(name: str, program: str) -> steps.Step:
        return steps.Step(name, (sys.executable, "-c", program))

    first = step("first", "")
    beside = (step("beside", "print('good')"), step("failing", "raise SystemExit('bad')"))
    item = slices.Slice("unit-and-apiserver", (first,), beside=beside)
    shown: list[str] = []

    (outcome,) = slices.run([item], shown.append)

    assert outcome.tally == Tally(passed=2, failures=("failing",))
    assert [text.partition("\n")[2] for text in shown[2:]] == ["good", "bad"]


def test_a_step_beside_others_ends_with_them() -> None:
    endless = steps.Step("endless", (sys.executable, "-c", "import time; time.sleep(600)"))
    with slices._termination_interrupts(), steps.running([endless]) as running:
        ((_, process),) = running
        assert process.poll() is None
    assert process.poll() is not None


def test_a_step_over_its_time_is_ended_and_has_failed() -> None:
    step = steps.Step("long", (sys.executable, "-c", "import time; time.sleep(600)"))
    with slices._termination_interrupts():
        tally = steps.run(step, time.monotonic())
    assert (tally.passed, tally.failed, tally.skipped) == (0, 1, 0)


def test_only_slices_that_need_a_cluster_use_one() -> None:
    by_name = {item.name: item for item in slices.every()}
    using = [name for name, item in by_name.items() if slices.uses_cluster([item])]
    assert using == ["bring-up", "e2e", "areas", "long"]


def test_a_step_for_which_no_time_is_left_is_left_out_and_named() -> None:
    begun = steps.Step("begun", (sys.executable, "-c", ""), seconds=60)
    too_long = steps.Step("too long", (sys.executable, "-c", ""), seconds=3600 * 24)
    shown: list[str] = []

    (outcome,) = slices.run([slices.Slice("areas", (too_long, begun))], shown.append)

    assert outcome.good
    assert outcome.tally == Tally(passed=1, skipped=1)
    assert shown[1].startswith("-- too long: left out, 86400 s needed, ")


@pytest.mark.parametrize("case", ["flows", "soak"])
def test_what_a_person_asks_for_begins_however_long_it_took_last(case: str) -> None:
    item = slices.asked(case)

    assert item.name == ("areas" if case == "flows" else "long")
    assert [step.seconds for step in item.steps] == [0.0]

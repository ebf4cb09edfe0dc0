"""Children that somebody waits for are not taken by the collector of orphans."""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from stackroles.agents.children import ChildSignals

PROGRAM = """
import os, sys, threading
from stackroles.agents import children

children.adopt_orphans()
done = threading.Event()

def collect():
    while not done.is_set():
        children.reap(set())

thread = threading.Thread(target=collect)
thread.start()
codes = []
for _ in range(40):
    with children.awaited(["sh", "-c", "exit 3"]) as process:
        codes.append(process.wait())
# An orphan: its parent ends at once, and nobody waits for it.
with children.awaited(["sh", "-c", "sleep 0 & echo $!"], stdout=-1) as process:
    orphan = int(process.stdout.read())
while os.path.exists(f"/proc/{orphan}"):
    pass
done.set()
thread.join()
print(set(codes))
"""


def test_an_awaited_program_keeps_its_exit_code_and_an_orphan_is_collected() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "{3}"


@pytest.fixture
def signals() -> Iterator[ChildSignals]:
    former = signal.getsignal(signal.SIGCHLD)
    found = ChildSignals()
    yield found
    found.close()
    signal.signal(signal.SIGCHLD, former)


def test_the_end_of_a_program_ends_a_wait_also_one_that_begins_later(
    signals: ChildSignals,
) -> None:
    subprocess.run(["true"], check=True)
    assert signals.wait(0.0)
    assert not signals.wait(0.0)
    with subprocess.Popen(["sleep", "0.1"]):
        began = time.monotonic()
        assert signals.wait(30.0)
        assert time.monotonic() - began < 20.0


def test_no_lock_is_taken_when_a_program_ends(signals: ChildSignals) -> None:
    """The handler runs in whatever the main thread does, also while it holds a lock."""
    handler = signal.getsignal(signal.SIGCHLD)
    assert callable(handler)
    assert not handler.__code__.co_names

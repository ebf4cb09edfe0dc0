"""What ends the main thread's wait."""

import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from stackroles.agents.signals import Wakeup

# It sends a signal for each line that it reads, a little later.
SENDER = """
import os, signal, sys, time
for line in sys.stdin:
    end = time.perf_counter() + float(line)
    while time.perf_counter() < end:
        pass
    os.kill(os.getppid(), signal.SIGUSR1)
"""


@pytest.fixture
def wakeup() -> Iterator[Wakeup]:
    former = signal.getsignal(signal.SIGCHLD)
    found = Wakeup()
    yield found
    found.close()
    signal.signal(signal.SIGCHLD, former)


def test_the_end_of_a_program_ends_a_wait_also_one_that_begins_later(
    wakeup: Wakeup,
) -> None:
    subprocess.run(["true"], check=True)
    assert wakeup.wait(0.0)
    assert not wakeup.wait(0.0)
    with subprocess.Popen(["sleep", "0.1"]):
        began = time.monotonic()
        assert wakeup.wait(30.0)
        assert time.monotonic() - began < 20.0


def test_no_lock_is_taken_when_a_program_ends(wakeup: Wakeup) -> None:
    """The handler runs in whatever the main thread does, also while it holds a lock."""
    handler = signal.getsignal(signal.SIGCHLD)
    assert callable(handler)
    assert not handler.__code__.co_names


def test_a_notice_ends_a_wait_and_a_full_pipe_is_no_error(wakeup: Wakeup) -> None:
    for _ in range(70_000):
        wakeup.notify()
    assert wakeup.wait(0.0)
    while wakeup.wait(0.0):
        pass
    threading.Timer(0.1, wakeup.notify).start()
    assert wakeup.wait(30.0)


def test_a_signal_ends_the_wait_while_other_threads_are_at_work(wakeup: Wakeup) -> None:
    """A queue that a handler fills lost one of twenty."""
    seen: list[int] = []
    former = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    done = threading.Event()
    threads = [threading.Thread(target=work, args=(done,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    draw = random.Random(1)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", SENDER], stdin=subprocess.PIPE, text=True
        ) as sender:
            assert sender.stdin is not None
            for count in range(1, 101):
                print(draw.random() * 0.01, file=sender.stdin, flush=True)
                assert wakeup.wait(30.0)
                assert len(seen) == count, "its handler has run"
    finally:
        done.set()
        for thread in threads:
            thread.join()
        signal.signal(signal.SIGUSR1, former)


def work(done: threading.Event) -> None:
    """Keep the interpreter busy."""
    while not done.is_set():
        sum(range(50))

"""A limit on a test that would wait for ever if what it tests were wrong."""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


@contextlib.contextmanager
def alarm(seconds: float) -> Iterator[None]:
    """Raise AssertionError in the block once it has taken `seconds`."""

    def ring(_: int, __: FrameType | None) -> NoReturn:
        raise AssertionError(f"this did not end within {seconds:g} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

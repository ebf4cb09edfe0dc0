"""How signals wake an agent's main thread, whatever it does at that moment."""

import contextlib
import os
import select
import signal
import time

# As much as a pipe holds (pipe(7)).
_PIPE_BYTES = 65536


class Wakeup:
    """What the main thread waits for: any signal, or a notice of another thread.

    It is a pipe that the interpreter itself writes at every signal. A handler that fills a queue is
    not enough: it runs between two steps of the main thread only, and a signal that comes after the
    last of these and before the thread sleeps does not end the sleep (27 of 505 were late by all of
    it, with two other threads at work in Python 3.11; none of 1,967 with the pipe). One that sets a
    `threading.Event` takes a lock that the thread it interrupts may hold: the main thread then
    waits for itself for ever (seen with Python 3.13 in a broker's agent).
    """

    def __init__(self) -> None:
        """Take notice of signals, and of the end of each program."""
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        # Without a handler the interpreter does not take notice of it.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)

    def notify(self) -> None:
        """End the wait that is, or the next one; from any thread."""
        # A full pipe ends it as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._write, b"\0")

    def wait(self, seconds: float) -> bool:
        """Return whether there was a signal or a notice since the last call.

        Args:
            seconds: the longest wait.
        """
        if not select.select([self._read], [], [], seconds)[0]:
            return False
        os.read(self._read, _PIPE_BYTES)
        return True

    def close(self) -> None:
        """Give the pipe back."""
        signal.set_wakeup_fd(-1)
        os.close(self._read)
        os.close(self._write)


class StopRequest:
    """Whether a process is asked to end; asked by a signal's handler.

    It takes no lock, for the reason given at `Wakeup`.
    """

    def __init__(self) -> None:
        self._asked = False

    def ask(self) -> None:
        """Ask for the end."""
        self._asked = True

    def is_set(self) -> bool:
        """Return whether the end was asked for."""
        return self._asked

    def wait(self, seconds: float) -> bool:
        """Sleep so long, unless the end was asked for before; return whether it is now."""
        if not self._asked:
            time.sleep(seconds)
        return self._asked

"""One run of the restic program: each of its pipes is served, and a stall ends it.

Runs inside role pods: standard library only. One thread serves the three pipes by turns, so that
restic never waits for a reader. While it is waited for, two things are watched:

- progress: restic takes input, or else reads (files, sockets), as `/proc/<pid>/io` counts it
  (proc(5)). What it writes does not count: a request to a server that does not answer is sent again
  and again, by restic's S3 client without a word, and fills the socket's buffer each time;
- its retries: an operation that keeps failing may read answers too, and restic itself gives up only
  after 15 minutes. It writes a line for each retry, and one when the operation succeeded at last.

Some 100 MB are under way between restic's input and a repository (five packs of 16 MiB and what is
made ready), so one that takes less than about 0.4 MB/s counts as stalled.
"""

import fcntl
import json
import os
import re
import select
import subprocess
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

CHUNK = 1 << 20
STALL_SECONDS = 240.0
# A single request that makes no progress is cut off by restic after this time, and tried again.
STUCK_REQUEST_SECONDS = 60
CHECK_SECONDS = 1.0
# Without progress for so long it is reported, not yet given up.
NOTICE_SECONDS = 60.0
# restic removes its lock when it gets SIGTERM, but waits for its input before it does: one that
# copies a stream never ends by itself.
END_SECONDS = 3.0
# Fewer are a runtime's own wake-ups and the answers of a server that refuses, not progress.
_LEAST_BYTES = 16384
_OUTPUT_LIMIT = 64 << 20
_LINE_LIMIT = 4096
_LINES_KEPT = 20
_RETRY = re.compile(r"^(?P<operation>.+?) returned error, retrying after [^:]+: ")
_RECOVERED = re.compile(r"^(?P<operation>.+?) operation successful after \d+ retries")


class Stalled(Exception):  # noqa: N818 - what happened, as in a condition
    """Nothing moved for too long; says what was waited for.

    Attributes:
        complaint: restic's error output by then; what it writes when it is ended is no cause.
    """

    def __init__(self, message: str, complaint: str = "") -> None:
        super().__init__(message)
        self.complaint = complaint


class ResticProcess:
    """A running restic.

    Args:
        command: the program and its arguments.
        feed: whether its input is written by `write`; it has none otherwise.
        stall: seconds without progress after which it is given up.
        limit: seconds that it may take in all; None for any time.
        trouble: called with what keeps it from getting on, and "" once it does again.
        meanwhile: called about once a second while it is waited for; what it raises ends the wait.
        environment: its environment; None for this process' own.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        feed: bool = False,
        stall: float = STALL_SECONDS,
        limit: float | None = None,
        trouble: Callable[[str], None] = lambda _: None,
        meanwhile: Callable[[], None] = lambda: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE if feed else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
            env=environment,
        )
        self._stall, self._limit, self._trouble = stall, limit, trouble
        self._meanwhile = meanwhile
        self._started = self._moved_at = time.monotonic()
        self._feeds, self._read, self._checked_at = False, 0, 0.0
        self._failing: dict[str, float] = {}
        self._retried, self._idle = "", False
        self._output, self._partial_line = bytearray(), b""
        self._lines: deque[str] = deque(maxlen=_LINES_KEPT)
        self._open = [pipe for pipe in (self._process.stdout, self._process.stderr) if pipe]
        if self._process.stdin is not None:
            os.set_blocking(self._process.stdin.fileno(), False)
            fcntl.fcntl(self._process.stdin, fcntl.F_SETPIPE_SZ, CHUNK)

    @property
    def errors(self) -> str:
        """What restic wrote to its standard error last, as one line."""
        return " ".join(" ".join(self._lines).split())

    def write(self, data: bytes) -> int:
        """Hand over all of `data`.

        Raises:
            BrokenPipeError: restic has closed its input.
            Stalled: it takes no more.
        """
        assert self._process.stdin is not None  # noqa: S101 - it was opened with `feed`
        # Whatever the source of the data took is not restic's time.
        self._feeds, self._moved_at = True, time.monotonic()
        rest = memoryview(data)
        while rest:
            if self._serve((self._process.stdin,)):
                rest = rest[os.write(self._process.stdin.fileno(), rest) :]
                self._moved_at = time.monotonic()
        return len(data)

    def chunks(self) -> Iterator[bytes]:
        """Yield the output as it comes, until its end; raises Stalled."""
        while self._open or self._output:
            if self._output:
                yield self._take()
                self._moved_at = time.monotonic()
            else:
                self._serve()

    def finish(self) -> tuple[int, bytes]:
        """End the input, wait for the end; return the exit code and the output that is left.

        Raises:
            Stalled: it does not get on, or wrote more than can be kept.
        """
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._feeds, self._moved_at = False, time.monotonic()
        while self._open:
            self._serve()
            if len(self._output) > _OUTPUT_LIMIT:
                raise self._stalled(f"restic wrote more than {_OUTPUT_LIMIT} bytes")
        self._report_idle(0)
        code = self._process.wait()
        self._close()
        return code, self._take()

    def end(self) -> None:
        """End restic before it sees the end of its input, which would make a snapshot."""
        self._process.terminate()
        deadline = time.monotonic() + END_SECONDS
        while self._open and time.monotonic() < deadline:
            self._select(deadline - time.monotonic())
        if self._open:
            self._process.kill()
        self._process.wait()
        self._close()

    def _close(self) -> None:
        self._open.clear()
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _take(self) -> bytes:
        data = bytes(self._output)
        self._output.clear()
        return data

    def _serve(self, writable: Sequence[IO[bytes]] = ()) -> bool:
        """Read what restic wrote; return whether one of `writable` can be written to."""
        ready = self._select(CHECK_SECONDS, writable)
        self._check()
        return ready

    def _select(self, seconds: float, writable: Sequence[IO[bytes]] = ()) -> bool:
        readable, ready, _ = select.select(self._open, writable, (), max(seconds, 0.0))
        for pipe in readable:
            data = os.read(pipe.fileno(), CHUNK)
            if pipe is self._process.stderr:
                self._hear(data or b"\n")
            if not data:
                self._open.remove(pipe)
            elif pipe is self._process.stdout:
                self._output += data
        return bool(ready)

    def _hear(self, data: bytes) -> None:
        *lines, rest = (self._partial_line + data).split(b"\n")
        self._partial_line = rest[-_LINE_LIMIT:]
        for raw in lines:
            line = _plain(raw.decode(errors="replace").strip()[:_LINE_LIMIT])
            if not line:
                continue
            self._lines.append(line)
            if found := _RETRY.match(line):
                self._failing.setdefault(found["operation"], time.monotonic())
                self._retried = line
                self._trouble(line)
            elif found := _RECOVERED.match(line):
                self._failing.pop(found["operation"], None)
                if not self._failing:
                    self._trouble("")

    def _check(self) -> None:
        now = time.monotonic()
        if now < self._checked_at + CHECK_SECONDS:
            return
        self._checked_at = now
        self._meanwhile()
        if not self._feeds:
            read = _bytes_read(self._process.pid)
            if read is None or read >= self._read + _LEAST_BYTES:
                self._read, self._moved_at = read or 0, now
        self._report_idle(now - self._moved_at)
        if self._limit is not None and now > self._started + self._limit:
            raise self._stalled(f"no answer within {self._limit:.0f} s")
        if now > self._moved_at + self._stall:
            raise self._stalled(f"no progress for {self._stall:.0f} s")
        if now > min(self._failing.values(), default=now) + self._stall:
            raise self._stalled(f"what it is asked has failed for {self._stall:.0f} s")

    def _stalled(self, what: str) -> Stalled:
        """Return the error with the repository's last failure, else the end of restic's output."""
        return Stalled(what, self._retried or self.errors)

    def _report_idle(self, seconds: float) -> None:
        """Report that progress stopped, where restic itself does not, and that it goes on."""
        idle = seconds >= NOTICE_SECONDS
        if idle and not self._failing:
            self._trouble(f"no progress for {seconds:.0f} s")
        elif self._idle and not idle and not self._failing:
            self._trouble("")
        self._idle = idle


def _plain(line: str) -> str:
    """Return the text of an error, which restic writes as JSON where its output is."""
    try:
        content = json.loads(line)
    except ValueError:
        return line
    if not isinstance(content, dict):
        return line
    error = content.get("error")
    nested = error.get("message") if isinstance(error, dict) else error
    return str(content.get("message") or nested or line)


def _bytes_read(pid: int) -> int | None:
    """Return the bytes a process has read; None where the kernel does not count them."""
    try:
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    except OSError:
        return None
    counts = dict(line.split(": ", 1) for line in lines)
    return int(counts["rchar"])

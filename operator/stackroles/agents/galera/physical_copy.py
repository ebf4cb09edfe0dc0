"""A physical copy of the database: unpacked, made consistent, and opened by a server.

Runs inside role pods: standard library only. A restore does it on a member's volume, a verification
in scratch space.
"""

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from stackroles.agents.backup.streams import HashingSink
from stackroles.agents.galera.process import ServerProcess, Wsrep
from stackroles.agents.galera.volume import occupied
from stackroles.agents.galera.watch import STOP_SECONDS
from stackroles.agents.text import shorten

# Without a sign of progress; one that recovers a large log moves all the time.
QUIET_SECONDS = 600.0
GIVE_UP_SECONDS = 15.0
# Of a server on a copy that belongs to no cluster, and that nobody reaches over the network.
ALONE = (
    "--skip-networking",
    "--wsrep-on=OFF",
    "--wsrep-provider=none",
    "--skip-log-bin",
    "--skip-slave-start",
    "--event-scheduler=OFF",
)
_TICK = 0.2
_MEASURE_SECONDS = 2.0
_DONE = "completed OK!"
_LONGEST_LINE = 65536


class CopyFailed(Exception):  # noqa: N818 - what happened, as in a condition
    """A copy cannot be used; says why, and what a person can do.

    Attributes:
        proven: whether that speaks against the copy itself, and not against where it was tried.
    """

    def __init__(self, message: str, *, proven: bool = True) -> None:
        super().__init__(message)
        self.proven = proven


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyPart:
    """What a copy has to be.

    Attributes:
        bytes: its size.
        sha256: its checksum, hexadecimal.
    """

    bytes: int
    sha256: str


def unpack(
    mbstream: str,
    target: Path,
    chunks: Iterable[bytes],
    part: CopyPart,
    count: Callable[[int], None],
) -> None:
    """Unpack a copy into a directory.

    Args:
        mbstream: the program.
        target: the directory.
        chunks: the copy; what they raise passes, once the program has ended.
        part: what the copy has to be.
        count: is given the size of each piece.

    Raises:
        CopyFailed: it cannot be unpacked, or is another than it has to be.
        OSError: the program does not start.
    """
    with tempfile.TemporaryFile() as output, _unpacking(mbstream, target, output) as process:
        assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
        sink = HashingSink(process.stdin, count)
        try:
            for chunk in chunks:
                sink.write(chunk)
            process.stdin.close()
            code = process.wait()
        except BrokenPipeError:
            code = process.wait() or -signal.SIGPIPE  # it took not all
        if code:
            raise CopyFailed(
                f"mbstream ended with {code}: {_last_line(output)}", proven=code != -signal.SIGKILL
            )
    if (sink.bytes, sink.sha256) != (part.bytes, part.sha256):
        raise CopyFailed(
            f"the copy has {sink.bytes} bytes with checksum {sink.sha256}, and was taken as "
            f"{part.bytes} with {part.sha256}"
        )


@contextlib.contextmanager
def _unpacking(
    mbstream: str, target: Path, output: IO[bytes]
) -> Iterator["subprocess.Popen[bytes]"]:
    """Run mbstream, which ends with the context: before its input's end where that breaks off."""
    command = [mbstream, "-x", "-C", str(target)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=output, stderr=subprocess.STDOUT
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        assert process.stdin is not None  # noqa: S101 - it was opened as a pipe
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()


def make_consistent(backup: str, target: Path) -> None:
    """Apply the log that came with a copy; raises CopyFailed unless all of it was.

    Args:
        backup: the program mariadb-backup.
        target: where the copy was unpacked.
    """
    last = ""
    with subprocess.Popen(
        [backup, "--prepare", f"--target-dir={target}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    ) as process:
        assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
        try:
            while raw := process.stdout.readline(_LONGEST_LINE):
                line = raw.decode(errors="replace").strip()
                print(line, flush=True)
                last = line or last
        except BaseException:
            process.kill()
            raise
    if process.returncode or not last.endswith(_DONE):
        raise CopyFailed(
            f"mariadb-backup --prepare ended with {process.returncode}, last output: "
            f"{shorten(last, 500)}",
            proven=process.returncode != -signal.SIGKILL,
        )


@contextlib.contextmanager
def server_on(
    command: Sequence[str],
    socket: str,
    user: str,
    data: Path,
    is_open: Callable[[Wsrep], bool] = lambda _: True,
) -> Iterator[ServerProcess]:
    """Run a server on a copy, from when it is open until it has stopped in good order.

    Args:
        command: the server's.
        socket: where it answers.
        user: the database account of the system user the program runs as.
        data: the copy.
        is_open: as of `await_open`; without Galera a server is open once it answers.

    Raises:
        CopyFailed: it does not come up with the copy, or does not end in good order.
        OSError: the program does not start.
    """
    server = ServerProcess(command, socket, user)
    code: int | None = None
    try:
        await_open(server, data, is_open)
        yield server
        code = server.stop(STOP_SECONDS)
    finally:
        if code is None:
            server.stop(GIVE_UP_SECONDS)
        server.cleanup()
    if code:
        raise CopyFailed(
            f"the server did not stop in good order: {last_words(server, code)}",
            proven=code != -signal.SIGKILL,
        )


def await_open(server: ServerProcess, data: Path, is_open: Callable[[Wsrep], bool]) -> None:
    """Wait until a server has opened a copy; it may need as long as something moves.

    Args:
        server: the server.
        data: its data directory.
        is_open: whether a state in which it answers is the one that is waited for.

    Raises:
        CopyFailed: it ended, or nothing moves.
    """
    measure: tuple[int, ...] = ()
    moved = measured = time.monotonic()
    while (code := server.exit_code()) is None:
        wsrep = server.sample()
        if wsrep is not None and is_open(wsrep):
            return
        now = time.monotonic()
        if now - measured > _MEASURE_SECONDS:
            measured, found = now, (server.progress.count, occupied(data))
            if found != measure:
                measure, moved = found, now
        if now - moved > QUIET_SECONDS:
            state = wsrep.comment if wsrep else "it answers nothing"
            raise CopyFailed(
                f"nothing in the server's log or data moved for {QUIET_SECONDS:.0f} s ({state}): "
                "see the log of this pod",
                proven=False,
            )
        time.sleep(_TICK)
    raise CopyFailed(
        f"the server does not start with the copy: {last_words(server, code)}",
        proven=code != -signal.SIGKILL,
    )


def last_words(server: ServerProcess, code: int) -> str:
    """Return with what a server ended."""
    return f"it ended with {code}: {'; '.join(server.last_errors) or 'it logged no error'}"


def _last_line(output: IO[bytes]) -> str:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - 4096))
    lines = [line for line in output.read().decode(errors="replace").splitlines() if line.strip()]
    return shorten(lines[-1].strip(), 500) if lines else "it said nothing"

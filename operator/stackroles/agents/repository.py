"""A restic repository as a recovery set needs it: streams in, checksums out.

Runs inside role pods: standard library only. Each part of a set is one stream with its own checksum
and its own snapshot; a stream that breaks off never becomes a snapshot.
"""

import hashlib
import http.client
import io
import json
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

CHUNK = 1 << 20
# restic takes its lock away when it is told to end, but waits for its input before it does: one
# that copies a stream never ends by itself.
END_SECONDS = 3.0
# restic's documented exit codes: https://restic.readthedocs.io, "Exit codes".
NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 10, 11, 12


class StepFailed(Exception):  # noqa: N818 - what happened, as in a condition
    """A step of the run failed; says which, and what a person can do."""

    def __init__(self, step: str, message: str, reason: str = "StepFailed") -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason


class Sink(Protocol):
    """What a part writes into."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes and return how many."""


@dataclass
class Step:
    """What became of one part; the operator copies it into `status.steps`."""

    name: str
    bytes: int = 0
    seconds: float = 0.0
    sha256: str | None = None
    snapshot: str | None = None
    message: str | None = None


class HashingSink:
    """Passes bytes on and counts and hashes them."""

    def __init__(self, target: Sink | None = None) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        """Hash, count and pass on."""
        self._hash.update(data)
        self.bytes += len(data)
        if self._target is not None:
            self._target.write(data)
        return len(data)

    @property
    def sha256(self) -> str:
        """The checksum so far, hexadecimal."""
        return self._hash.hexdigest()


@dataclass(frozen=True)
class Part:
    """One stream of a recovery set.

    Attributes:
        write: writes the whole stream into a sink and returns facts for the manifest.
    """

    name: str
    filename: str
    write: Callable[[Sink], Mapping[str, str]]


class Restic:
    """The repository, through the restic program; its address and key come from the environment."""

    def __init__(self, program: str = "restic", tags: Iterable[str] = (), host: str = "") -> None:
        self._base = [program, "--no-cache"]
        self._tags = [word for tag in tags for word in ("--tag", tag)]
        self._host = ["--host", host] if host else []

    def run(self, step: str, *arguments: str) -> str:
        """Run restic and return its standard output; raises StepFailed with restic's own words."""
        done = subprocess.run(
            [*self._base, *arguments], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise self._failure(step, done.returncode, done.stderr)
        return done.stdout

    def open(self) -> bool:
        """Make sure that the repository exists and the key opens it; return whether it is new."""
        probe = subprocess.run(
            [*self._base, "cat", "--no-lock", "config"], capture_output=True, text=True, check=False
        )
        if probe.returncode == NO_REPOSITORY:
            self.run("repository", "init")
            return True
        if probe.returncode:
            raise self._failure("repository", probe.returncode, probe.stderr)
        return False

    def clean(self, snapshots: Iterable[str]) -> None:
        """Take away what runs that broke off left behind: locks, snapshots, and their data.

        Whoever calls this must be alone with the repository, as the operator sees to: restic tells
        a dead run's lock from a live one only on one host, and each run has a pod of its own.
        """
        self.run("repository", "unlock", "--remove-all")
        self.forget("repository", snapshots)

    def forget(self, step: str, snapshots: Iterable[str]) -> None:
        """Remove snapshots, and all data that no snapshot holds."""
        gone = tuple(snapshots)
        self.run(step, *(("forget", "--prune", *gone) if gone else ("prune",)))

    def snapshots(self, step: str) -> list[dict[str, Any]]:
        """Return all snapshots of the repository."""
        return list(json.loads(self.run(step, "snapshots", "--no-lock", "--json")) or ())

    def save(self, part: Part) -> tuple[Step, Mapping[str, str], int]:
        """Store one part; return its step, its facts and the bytes it added to the repository."""
        started = time.monotonic()
        process = subprocess.Popen(
            [*self._base, "backup", "--json", "--stdin", "--stdin-filename", part.filename,
             *self._tags, "--tag", f"part={part.name}", *self._host],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        sink = HashingSink(process.stdin)
        try:
            facts = part.write(sink)
        except BaseException as error:
            # A snapshot exists only once restic saw the end of its input: it must not see it.
            stderr = _end(process)
            if isinstance(error, BrokenPipeError):
                raise self._failure(part.name, 1, stderr.decode(errors="replace")) from error
            if isinstance(error, OSError | http.client.HTTPException | tarfile.TarError):
                raise StepFailed(part.name, f"reading {part.name} failed: {error}") from error
            raise
        stdout, stderr = process.communicate()
        if process.returncode:
            raise self._failure(part.name, process.returncode, stderr.decode(errors="replace"))
        summary = _summary(part.name, stdout.decode())
        step = Step(part.name, sink.bytes, round(time.monotonic() - started, 2), sink.sha256,
                    summary["snapshot_id"])  # fmt: skip
        return step, facts, int(summary.get("data_added_packed") or summary.get("data_added") or 0)

    def read(self, step: Step, filename: str) -> str:
        """Return the checksum of a stored part as it is read back."""
        process = subprocess.Popen(
            [*self._base, "dump", str(step.snapshot), f"/{filename}"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        sink = HashingSink()
        while process.stdout and (chunk := process.stdout.read(CHUNK)):
            sink.write(chunk)
        _, stderr = process.communicate()
        if process.returncode:
            raise self._failure("verify", process.returncode, stderr.decode(errors="replace"))
        return sink.sha256

    @staticmethod
    def _failure(step: str, code: int, stderr: str) -> StepFailed:
        words = " ".join(stderr.split())[-600:]
        if code == WRONG_PASSWORD or "wrong password" in words:
            return StepFailed(
                step,
                "the encryption key does not open this repository: put the key it was made "
                "with into the encryption Secret, or name another repository",
                "WrongEncryptionKey",
            )
        if "no space left" in words:
            return StepFailed(
                step,
                "the repository's volume is full: raise repository.volume.size (or enlarge a "
                f"claim of your own), or lower keepLast: the next run begins with that ({words})",
                "RepositoryFull",
            )
        if code == LOCKED:
            return StepFailed(step, f"the repository is locked: {words}", "RepositoryLocked")
        return StepFailed(step, words or f"restic ended with {code}")


def _end(process: subprocess.Popen[bytes]) -> bytes:
    """End restic before it sees the end of its input; return what it said."""
    process.terminate()
    try:
        process.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
    return process.communicate()[1]


def _summary(step: str, output: str) -> dict[str, Any]:
    for line in reversed(output.splitlines()):
        message = json.loads(line)
        if message.get("message_type") == "summary":
            return dict(message)
    raise StepFailed(step, "restic reported no snapshot")


def directory(path: Path) -> Callable[[Sink], Mapping[str, str]]:
    """Return a writer of a directory as a tar stream with stable order, owners and times."""

    def write(sink: Sink) -> Mapping[str, str]:
        with tarfile.open(fileobj=sink, mode="w|") as archive:  # type: ignore[call-overload]
            for file in sorted(p for p in path.rglob("*") if p.is_file() and ".." not in str(p)):
                info = tarfile.TarInfo(str(file.relative_to(path)))
                data = file.read_bytes()
                info.size, info.mode = len(data), 0o600
                archive.addfile(info, io.BytesIO(data))
        return {}

    return write


def file(path: Path) -> Callable[[Sink], Mapping[str, str]]:
    """Return a writer of one file."""

    def write(sink: Sink) -> Mapping[str, str]:
        with path.open("rb") as source:
            while chunk := source.read(CHUNK):
                sink.write(chunk)
        return {}

    return write

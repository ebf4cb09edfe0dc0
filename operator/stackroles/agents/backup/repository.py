"""A restic repository as a recovery set needs it: streams in, checksums out.

Runs inside role pods: standard library only. Each part of a set is one stream with its own checksum
and its own snapshot; a stream that breaks off never becomes a snapshot.
"""

import contextlib
import http.client
import io
import json
import os
import signal
import tarfile
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackroles.agents.backup.bandwidth import bandwidth_options
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import StepResult
from stackroles.agents.backup.restic_process import (
    CHUNK,
    STALL_SECONDS,
    STUCK_REQUEST_SECONDS,
    ResticProcess,
    Stalled,
)
from stackroles.agents.backup.streams import HashingSink, Sink
from stackroles.agents.text import head, tail

# A repository that can be used answers its first question at once.
ANSWER_SECONDS = 90.0
# restic's documented exit codes: https://restic.readthedocs.io, "Exit codes".
COMMAND_FAILED, NO_REPOSITORY, LOCKED, WRONG_PASSWORD = 1, 10, 11, 12


class StepFailed(Exception):  # noqa: N818 - what happened, as in a condition
    """A step of the run failed; says which, and what a person can do.

    Attributes:
        step: which one.
        reason: what kind of failure it is, as a condition's reason.
        complained: whether restic itself gave up because of what it met, for none of the reasons
            that are known by name.
    """

    def __init__(
        self, step: str, message: str, reason: str = "StepFailed", *, complained: bool = False
    ) -> None:
        super().__init__(message)
        self.step = step
        self.reason = reason
        self.complained = complained


class SourceBrokeOff(StepFailed):
    """What a part is read from broke off, or was too busy; the repository is well."""


@dataclass(frozen=True)
class Part:
    """One stream of a recovery set.

    Attributes:
        write: writes the whole stream into a sink and returns facts for the manifest.
        tags: of its snapshot, besides those of all snapshots of the set.
        again: whether it is read once more where what it is read from breaks off.
    """

    name: str
    filename: str
    write: Callable[[Sink], Mapping[str, str]]
    tags: tuple[str, ...] = ()
    again: bool = False


class Restic:
    """The repository, through the restic program; its address and key come from the environment.

    Args:
        tags: of the snapshots it makes.
        host: of the snapshots it makes.
        stall: seconds without progress after which any command fails.
        answer: seconds within which the repository must have answered its first question.
        progress: called with how far each part is.
        meanwhile: called about once a second while restic is waited for; what it raises ends that.
        environment: where restic finds the repository; None for this process' own.
    """

    def __init__(
        self,
        program: str = "restic",
        tags: Iterable[str] = (),
        host: str = "",
        *,
        stall: float = STALL_SECONDS,
        answer: float = ANSWER_SECONDS,
        progress: Progress | None = None,
        meanwhile: Callable[[], None] = lambda: None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._environment = environment
        self._base = [
            program, "--no-cache", "--quiet", f"--stuck-request-timeout={STUCK_REQUEST_SECONDS}s",
            *bandwidth_options(os.environ if environment is None else environment),
        ]  # fmt: skip
        self._tags = tuple(tags)
        self._host = ["--host", host] if host else []
        self._stall, self._answer = stall, answer
        self._progress, self._meanwhile = progress or Progress(), meanwhile

    def run(self, step: str, *arguments: str) -> str:
        """Run restic and return its standard output; raises StepFailed with restic's message."""
        code, output, errors = self._run(step, arguments)
        if code:
            raise self._failure(step, code, errors)
        return output

    def exists(self) -> bool:
        """Return whether the repository exists; raises StepFailed where it does not open."""
        return self.config() is not None

    def config(self) -> str | None:
        """Return the repository's configuration, JSON; None where there is no repository.

        Raises:
            StepFailed: it does not open.
        """
        code, output, errors = self._run("repository", ("cat", "--no-lock", "config"), self._answer)
        if code and code != NO_REPOSITORY:
            raise self._failure("repository", code, errors)
        return None if code else output

    def open(self) -> bool:
        """Make sure that the repository exists and the key opens it; return whether it is new."""
        if self.exists():
            return False
        self.run("repository", "init")
        return True

    def _run(
        self, step: str, arguments: Iterable[str], limit: float | None = None
    ) -> tuple[int, str, str]:
        """Run restic to its end; return its exit code, its output and its errors."""
        self._progress.begin(step)
        process = self._start(arguments, limit=limit)
        try:
            code, output = process.finish()
        except BaseException as error:
            process.end()
            if isinstance(error, Stalled):
                raise _stalled(step, error) from error
            raise
        return code, output.decode(errors="replace"), process.errors

    def _start(
        self, arguments: Iterable[str], *, feed: bool = False, limit: float | None = None
    ) -> ResticProcess:
        command = [*self._base, *arguments]
        return ResticProcess(
            command,
            feed=feed,
            stall=self._stall,
            limit=limit,
            trouble=self._progress.trouble,
            meanwhile=self._meanwhile,
            environment=self._environment,
        )

    def clean(self, snapshots: Iterable[str]) -> None:
        """Remove what runs that broke off left behind: locks, snapshots, and their data."""
        self.unlock()
        self.forget("repository", snapshots)

    def unlock(self) -> None:
        """Remove all locks.

        Whoever calls this must be alone with the repository, as the operator sees to: restic tells
        a dead run's lock from a live one only on one host, and each run has a pod of its own.
        """
        self.run("repository", "unlock", "--remove-all")

    def forget(self, step: str, snapshots: Iterable[str]) -> None:
        """Remove snapshots, and all data that no snapshot holds."""
        gone = tuple(snapshots)
        self.run(step, *(("forget", "--prune", *gone) if gone else ("prune",)))

    def snapshots(self, step: str) -> list[dict[str, Any]]:
        """Return all snapshots of the repository."""
        return list(json.loads(self.run(step, "snapshots", "--no-lock", "--json")) or ())

    def all_snapshots(self, step: str) -> list[dict[str, Any]]:
        """Return all snapshots, of whom some are to be removed; raises StepFailed.

        restic leaves out one that it cannot read, and ends well: a set whose manifest is such a one
        would pass for unfinished.
        """
        found = self.snapshots(step)
        listed = set(self.run(step, "list", "snapshots", "--no-lock").split())
        if unread := listed.difference(str(snapshot["id"]) for snapshot in found):
            raise StepFailed(
                step,
                f"file snapshots/{min(unread)} of the repository cannot be read: bring it back "
                "from a copy of the repository, or delete it; nothing is removed until then",
            )
        return found

    def save(self, part: Part) -> tuple[StepResult, Mapping[str, str], int]:
        """Store one part; return its step, its facts and the bytes it added to the repository."""
        started = time.monotonic()
        self._progress.begin(part.name)
        tags = (*self._tags, f"part={part.name}", *part.tags)
        process = self._start(
            ("backup", "--json", "--stdin", "--stdin-filename", part.filename,
             *(word for tag in tags for word in ("--tag", tag)), *self._host),
            feed=True,
        )  # fmt: skip
        sink = HashingSink(process, self._progress.count)
        try:
            facts = part.write(sink)
            code, output = process.finish()
        except BaseException as error:
            # A snapshot exists only once restic saw the end of its input: it must not see it.
            process.end()
            if isinstance(error, Stalled):
                raise _stalled(part.name, error) from error
            if isinstance(error, BrokenPipeError):
                raise self._failure(part.name, 1, process.errors) from error
            if isinstance(error, OSError | http.client.HTTPException | tarfile.TarError):
                raise SourceBrokeOff(part.name, f"reading {part.name} failed: {error}") from error
            raise
        if code:
            raise self._failure(part.name, code, process.errors)
        summary = _summary(part.name, output.decode())
        step = StepResult(part.name, sink.bytes, round(time.monotonic() - started, 2), sink.sha256,
                    summary["snapshot_id"])  # fmt: skip
        return step, facts, int(summary.get("data_added_packed") or summary.get("data_added") or 0)

    def read(self, step: StepResult, filename: str) -> str:
        """Return the checksum of a stored part as it is read back."""
        self._progress.begin(f"verify {step.name}")
        sink = HashingSink(count=self._progress.count)
        with contextlib.closing(self.dump("verify", str(step.snapshot), filename)) as chunks:
            for chunk in chunks:
                sink.write(chunk)
        return sink.sha256

    def dump(
        self, step: str, snapshot: str, filename: str, *options: str
    ) -> Generator[bytes, None, None]:
        """Yield what a snapshot's file holds; restic ends with the generator at the latest.

        Raises:
            StepFailed: it cannot be read, or not to its end.
        """
        process = self._start(("dump", *options, snapshot, f"/{filename}"))
        try:
            yield from process.chunks()
            code, _ = process.finish()
        except BaseException as error:
            process.end()
            if isinstance(error, Stalled):
                raise _stalled(step, error) from error
            raise
        if code:
            raise self._failure(step, code, process.errors)

    @staticmethod
    def _failure(step: str, code: int, errors: str) -> StepFailed:
        excerpt = tail(errors, 600)
        if code == WRONG_PASSWORD or "wrong password" in excerpt:
            return StepFailed(
                step,
                "the encryption key does not open this repository: put the key it was made "
                "with into the encryption Secret, or name another repository",
                "WrongEncryptionKey",
            )
        if "no space left" in excerpt:
            return StepFailed(
                step,
                "the repository's volume is full: raise repository.volume.size (or enlarge a "
                "claim of your own), or delete Backups of the policy whose sets may go: the keep "
                f"fields of its policy are applied only once a run has made a set ({excerpt})",
                "RepositoryFull",
            )
        if code == -signal.SIGKILL:
            return StepFailed(
                step,
                "restic was killed, most likely for its memory: a large repository needs more than "
                "the limit of the run's container",
            )
        if code == LOCKED:
            return StepFailed(step, f"the repository is locked: {excerpt}", "RepositoryLocked")
        message = excerpt or f"restic ended with {code}"
        return StepFailed(step, message, complained=code == COMMAND_FAILED)


def _stalled(step: str, error: Stalled) -> StepFailed:
    detail = f" restic: {head(error.complaint, 600)}" if error.complaint else ""
    return StepFailed(
        step,
        f"the repository does not get on: {error}. See whether its server or volume answers, "
        f"whether this cluster reaches it, and whether the keys are right.{detail}",
        "RepositoryStalled",
    )


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

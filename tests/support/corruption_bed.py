"""A repository with recovery sets that real runs made by the real restic, to be corrupted.

Two policies have a set each, `one` and `two`, of the same sizes. The repository `twice` has what an
earlier run of `one` left, too.
"""

import contextlib
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from typing_extensions import override

from stackroles.agents.backup.keys import identity_of
from stackroles.agents.backup.manifest import Identity
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import (
    RetentionInput,
    RetentionRules,
    StepResult,
    Versions,
)
from stackroles.agents.backup.recovery_set import RecoverySet
from stackroles.agents.backup.repository import Part, Restic
from stackroles.agents.backup.run import Plan, run
from stackroles.agents.backup.streams import Sink
from tests.support.binaries import binary

PASSWORD = "of the repository"
POLICIES = {"one": "daily", "two": "weekly"}
# Several packs of the least size that restic makes.
_PACK_MEBIBYTES = 4
_SIZES = {"database": 11 << 20, "secrets": 60_000, "state": 3_000}
_CHUNK = 1 << 18


@dataclass(frozen=True)
class TakenSet:
    """A set as it was made.

    Attributes:
        manifest: its manifest's bytes.
        tags: of the manifest's snapshot.
        snapshots: of its parts and its manifest, by their names.
        files: of the repository that came with each part, without snapshots.
        checksums: SHA-256 of each part, hexadecimal.
    """

    manifest: bytes
    tags: tuple[str, ...]
    snapshots: Mapping[str, str]
    files: Mapping[str, frozenset[str]]
    checksums: Mapping[str, str]


@dataclass(frozen=True)
class Bed:
    """Repositories, and what is in them.

    Attributes:
        folder: where they are: `once` with both sets, `twice` with an earlier run besides, and
            `other`, with the same password and sets of the same names.
        sets: the two sets.
        earlier: the earlier run of `one`.
        foreign: `one` of the other repository.
        key: of `once` and `twice`.
    """

    folder: Path
    sets: Mapping[str, TakenSet]
    earlier: TakenSet
    foreign: TakenSet
    key: Identity = field(repr=False)

    def copy(self, name: str, target: Path) -> Path:
        """Copy a repository, by hard links: files of the copy are replaced, never written into."""
        shutil.copytree(self.folder / name, target, copy_function=os.link)
        return target


class _Recording(Restic):
    """Restic that remembers which files of the repository each part brought."""

    def __init__(self, name: str, repository: Path) -> None:
        tags = (f"set={name}", f"policy={POLICIES[name]}")
        super().__init__(str(binary("restic")), tags, "cloud", progress=silent())
        self.files: dict[str, frozenset[str]] = {}
        self._repository = repository

    @override
    def save(self, part: Part) -> tuple[StepResult, Mapping[str, str], int]:
        before = stored_files(self._repository)
        result = super().save(part)
        self.files[part.name] = stored_files(self._repository) - before
        return result


def silent() -> Progress:
    """Return a progress that is written nowhere."""
    return Progress(write=lambda _: None)


def stored_files(repository: Path) -> frozenset[str]:
    """Return the packs and indexes of a repository, as paths below it."""
    found = [*repository.glob("data/*/*"), *repository.glob("index/*")]
    return frozenset(str(path.relative_to(repository)) for path in found)


@contextlib.contextmanager
def opened(repository: Path, password: str = PASSWORD) -> Iterator[None]:
    """Have restic find a repository in the environment."""
    values = {
        "RESTIC_REPOSITORY": str(repository),
        "RESTIC_PASSWORD": password,
        "RESTIC_PACK_SIZE": str(_PACK_MEBIBYTES),
    }
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def restic(*arguments: str, data: bytes = b"") -> str:
    """Run restic as a person would who has the password; return its output."""
    command = [str(binary("restic")), "--no-cache", "--quiet", *arguments]
    done = subprocess.run(command, input=data, capture_output=True, check=True)
    return done.stdout.decode()


def recovery_set(name: str) -> RecoverySet:
    """Return a set as the reader has it."""

    def repository(meanwhile: Any) -> Restic:
        program = str(binary("restic"))
        return Restic(program, stall=60.0, progress=silent(), meanwhile=meanwhile)

    return RecoverySet(name, POLICIES[name], repository)


def make_bed(folder: Path, seed: int) -> Bed:
    """Make the repositories; those of one seed hold the same data under other keys.

    Raises:
        AssertionError: a run failed.
    """
    chance = random.Random(seed)
    twice, once, other = (folder / name for name in ("twice", "once", "other"))
    with opened(twice):
        earlier = _take("one", twice, chance)
        # The last one, since each run begins with a prune, which packs anew what is small.
        sets = {name: _take(name, twice, chance) for name in ("two", "one")}
        key = identity_of(Restic(str(binary("restic")), progress=silent()))
    shutil.copytree(twice, once)
    with opened(once):
        restic("forget", *earlier.snapshots.values())
    with opened(other):
        foreign = _take("one", other, chance)
    return Bed(folder, sets, earlier, foreign, key)


def _take(name: str, repository: Path, chance: random.Random) -> TakenSet:
    parts = tuple(_part(part, chance.randbytes(size)) for part, size in _SIZES.items())
    versions = Versions(operator="0.1.0", release="2025.1", images={"ovn": "r/ovn:1"})
    began = datetime.now(UTC).isoformat(timespec="seconds")
    keep = RetentionInput(rules=RetentionRules(last=9), backups=())
    work = Plan(name, "cloud", POLICIES[name], versions, parts, keep, began, "uid-c", "uid-p")
    recording = _Recording(name, repository)
    outcome = run(work, recording, lambda: datetime.now(UTC))
    assert outcome.ok, outcome.message
    snapshots = recording.snapshots("test")
    last = next(found for found in snapshots if found["id"] == outcome.snapshot)
    text, _ = recovery_set(name).manifest(lambda: None)
    return TakenSet(
        text,
        tuple(last["tags"]),
        {step.name: str(step.snapshot) for step in outcome.steps},
        recording.files,
        {step.name: str(step.sha256) for step in outcome.steps[:-1]},
    )


def _part(name: str, data: bytes) -> Part:
    def write(sink: Sink) -> Mapping[str, str]:
        for start in range(0, len(data), _CHUNK):
            sink.write(data[start : start + _CHUNK])
        return {"position": "u:7"} if name == "database" else {}

    return Part(name, f"{name}.bin", write)

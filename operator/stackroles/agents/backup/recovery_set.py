"""One recovery set of a repository, to be read: its manifest, and its parts as streams.

Runs inside role pods: standard library only. No reading takes a lock or writes, so that the
repository may be mounted read-only.
"""

import contextlib
import threading
from collections.abc import Callable, Generator
from datetime import UTC, datetime

from stackroles.agents.backup.keys import identity_of
from stackroles.agents.backup.manifest import ManifestError, check, check_part, decode
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.reader_protocol import (
    MANIFEST_FILE,
    SET_MISSING,
    SET_UNFINISHED,
    Manifest,
    ManifestPart,
)
from stackroles.agents.backup.repository import Restic, StepFailed
from stackroles.agents.backup.sets import newest_set, snapshots_of, uid_of
from stackroles.agents.backup.streams import HashingSink

Meanwhile = Callable[[], None]


def open_repository(meanwhile: Meanwhile) -> Restic:
    """Return the repository that restic finds in its environment.

    Args:
        meanwhile: see `Restic`.
    """
    return Restic(progress=Progress(write=lambda _: None), meanwhile=meanwhile)


class RecoverySet:
    """One set: its manifest, read once, and its parts.

    Args:
        name: the Backup that it is of; empty for the policy's newest set that has a manifest.
        policy: its BackupPolicy.
        repository: opens the repository for one request.
        now: returns the time.
        uid: of the Backup, where that is known: a set of another of its name is not this one.
    """

    def __init__(
        self,
        name: str,
        policy: str,
        repository: Callable[[Meanwhile], Restic] = open_repository,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        uid: str = "",
    ) -> None:
        self._name, self._policy, self._repository = name, policy, repository
        self._now, self._uid = now, uid
        self._lock = threading.Lock()
        self._found: tuple[bytes, Manifest] | None = None

    def manifest(self, meanwhile: Meanwhile) -> tuple[bytes, Manifest]:
        """Return the manifest as it is stored, and what it says, once that is proven.

        Raises:
            StepFailed: it cannot be read at present, or is not what it should be.
        """
        with self._lock:
            if self._found is None:
                meanwhile()
                self._found = self._load(self._repository(meanwhile))
            return self._found

    def part(self, part: ManifestPart, meanwhile: Meanwhile) -> Generator[bytes, None, None]:
        """Yield what the repository holds of a part.

        Raises:
            StepFailed: it cannot be read; after its last byte, it is not as the manifest says.
        """
        restic, sink = self._repository(meanwhile), HashingSink()
        chunks = restic.dump(part.name, part.snapshot, part.filename, "--no-lock")
        with contextlib.closing(chunks):
            for chunk in chunks:
                sink.write(chunk)
                yield chunk
        try:
            check_part(part, sink.bytes, sink.sha256)
        except ManifestError as error:
            raise StepFailed(part.name, str(error), error.reason) from error

    def _load(self, restic: Restic) -> tuple[bytes, Manifest]:
        what = f"set {self._name or 'with a manifest'} of policy {self._policy}"
        config = restic.config()
        if config is None:
            raise StepFailed(
                "manifest",
                f"there is no repository where {what} is looked for: name the one that it is in",
                SET_MISSING,
            )
        snapshots = restic.snapshots("manifest")
        name = self._name or newest_set(snapshots, self._policy, self._now())
        manifests, parts = snapshots_of(snapshots, self._policy, name, self._uid)
        if not manifests and not parts:
            raise StepFailed(
                "manifest",
                f"the repository holds no {what}: name another Backup, or the repository that "
                "this one is in",
                SET_MISSING,
            )
        if not manifests:
            raise StepFailed(
                "manifest",
                f"{what} has no manifest: its run broke off, it is being removed, or the snapshot "
                "of its manifest is damaged (see restic check). It was never verified or is no "
                "longer whole: restore another Backup",
                SET_UNFINISHED,
            )
        what = f"set {name} of policy {self._policy}"
        key = identity_of(restic, config)
        with contextlib.closing(
            restic.dump("manifest", manifests[-1], MANIFEST_FILE, "--no-lock")
        ) as chunks:
            text = b"".join(chunks)
        tags = next(found["tags"] for found in snapshots if found["id"] == manifests[-1])
        try:
            found = decode(text, tags, key)
            uid = uid_of(tags)
            # Who names the Backup by its uid may have an older one than another of its name.
            seen = [s for s in snapshots if not self._uid or uid_of(s.get("tags") or ()) == uid]
            check(found, name, self._policy, key, seen, uid=uid)
        except ManifestError as error:
            raise StepFailed("manifest", f"{what}: {error}", error.reason) from error
        return text, found

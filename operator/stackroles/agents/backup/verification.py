"""Verifies one recovery set of a restic repository, long after it was taken.

The main program of a verification's Job; standard library only. At level Repository restic checks
the repository and every part of the set is read back and compared with its checksum. At level
Database the copy of the database is unpacked and made consistent, a server is started on it, all
its tables are checked, and compared with what the member recorded when it was copied.

It writes nothing into the repository and takes no lock. The outcome, good or bad, is one line of
JSON in the termination message, which the API shows to the operator, and in the log. It
distinguishes a set that is damaged from a verification that could not be made.
"""

import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import NoReturn

from stackroles.agents import wire
from stackroles.agents.backup import scratch_server
from stackroles.agents.backup.comparison import FoundTable, compare, series
from stackroles.agents.backup.damage import is_of_data, unreadable
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import from_environment
from stackroles.agents.backup.reader_protocol import (
    MANIFEST_FORGED,
    MANIFEST_OF_ANOTHER_SET,
    MANIFEST_SUPERSEDED,
    PART_DAMAGED,
    PART_MISSING,
    SET_UNFINISHED,
    Manifest,
    ManifestPart,
)
from stackroles.agents.backup.recovery_set import RecoverySet
from stackroles.agents.backup.repository import Restic, StepFailed
from stackroles.agents.backup.scratch_server import ScratchServer
from stackroles.agents.backup.verification_protocol import (
    SET_DAMAGED,
    VERIFICATION_BROKE_OFF,
    Level,
    VerificationOutcome,
    VerificationSettings,
)
from stackroles.agents.galera import tables
from stackroles.agents.galera.physical_copy import CopyFailed, CopyPart, make_consistent, unpack
from stackroles.agents.galera.tables_protocol import Tables
from stackroles.agents.text import shorten_encoded

DATABASE_PART, TABLES_PART = "database", "tables"
_NAMES = 5
_NAME_BYTES = 200
_MESSAGE_BYTES = 2000
# A set of which these are true is none that can be restored. One that is not there says more of the
# address of the repository than of the set.
_OF_SET = frozenset(
    {
        SET_UNFINISHED,
        MANIFEST_FORGED,
        MANIFEST_OF_ANOTHER_SET,
        MANIFEST_SUPERSEDED,
        PART_MISSING,
        PART_DAMAGED,
    }
)


class Damaged(Exception):  # noqa: N818 - what was found
    """The set is not what was taken; says in what."""


class Verification:
    """One verification of a set.

    Args:
        settings: what is to be done.
        restic: the repository.
        progress: how far it is.
    """

    def __init__(self, settings: VerificationSettings, restic: Restic, progress: Progress) -> None:
        self._settings, self._restic, self._progress = settings, restic, progress
        self._set = RecoverySet(settings.name, settings.policy, lambda _: restic)

    def run(self) -> VerificationOutcome:
        """Verify the set; never raises StepFailed, CopyFailed, Damaged or OSError."""
        began = time.monotonic()
        outcome = VerificationOutcome(level=self._settings.level, set=self._settings.name)
        try:
            manifest = self._manifest()
            if self._settings.level is Level.DATABASE:
                outcome = self._database(manifest, outcome)
            else:
                self._repository(manifest)
                outcome = replace(outcome, ok=True)
        except StepFailed as error:
            damaged = error.reason in _OF_SET
            outcome = replace(outcome, damaged=damaged, reason=error.reason, message=str(error))
        except Damaged as error:
            outcome = replace(outcome, damaged=True, reason=SET_DAMAGED, message=str(error))
        except OSError as error:
            message = f"the verification could not be made: {error}"
            outcome = replace(outcome, reason=VERIFICATION_BROKE_OFF, message=message)
        return replace(outcome, seconds=round(time.monotonic() - began, 2))

    def _manifest(self) -> Manifest:
        """Return the manifest; raises StepFailed where it cannot be read, or is not as it was."""

        def read() -> Manifest:
            return self._set.manifest(lambda: None)[1]

        try:
            return read()
        except StepFailed as error:
            if is_of_data(self._restic, error, read):
                raise unreadable("manifest", error) from error
            raise

    def _repository(self, manifest: Manifest) -> None:
        """Have restic check the repository, and read each part back.

        The parts are read also where the check fails: it does not say which sets are concerned.
        """
        subset = (
            (f"--read-data-subset={self._settings.percent}%",) if self._settings.percent else ()
        )
        complaint: StepFailed | None = None
        try:
            self._restic.run("check", "check", "--no-lock", *subset)
        except StepFailed as error:
            if not error.complained:
                raise
            complaint = error
        damaged = [found for part in manifest.parts if (found := self._damage(part))]
        if damaged:
            names = ", ".join(found.step for found in damaged)
            message = f"of {len(manifest.parts)} parts these are damaged: {names}; {damaged[0]}"
            raise StepFailed(damaged[0].step, message, damaged[0].reason)
        if complaint is not None:
            raise StepFailed(
                "check",
                f"restic complains of the repository: {complaint}. All parts of this set read as "
                "they were written, other sets may not: run restic check --read-data",
            )

    def _damage(self, part: ManifestPart) -> StepFailed | None:
        """Read a part; return in what it is damaged, None where it is as it was taken."""
        try:
            for _ in self._read(part):
                pass
        except StepFailed as error:
            if error.reason not in _OF_SET:
                raise
            return error
        return None

    def _read(self, part: ManifestPart) -> Generator[bytes, None, None]:
        """Yield a part; raises StepFailed where it ends as another than was taken."""
        self._progress.begin(f"verify {part.name}")
        try:
            for chunk in self._chunks(part):
                self._progress.count(len(chunk))
                yield chunk
        except StepFailed as error:
            if is_of_data(self._restic, error, lambda: sum(map(len, self._chunks(part)))):
                raise unreadable(part.name, error) from error
            raise

    def _chunks(self, part: ManifestPart) -> Generator[bytes, None, None]:
        with contextlib.closing(self._set.part(part, lambda: None)) as chunks:
            yield from chunks

    def _database(self, manifest: Manifest, outcome: VerificationOutcome) -> VerificationOutcome:
        """Start a server on the database's copy and compare its tables; raises Damaged."""
        parts = manifest.by_name()
        if DATABASE_PART not in parts:
            raise Damaged("the set holds no copy of the database")
        recorded = self._recorded(parts.get(TABLES_PART))
        data = Path(self._settings.scratch) / "data"
        # What a former container of this pod left.
        shutil.rmtree(data, ignore_errors=True)
        data.mkdir(mode=0o750)
        copy = parts[DATABASE_PART]
        wanted = CopyPart(bytes=copy.bytes, sha256=copy.sha256)
        taken_by = ""
        try:
            with contextlib.closing(self._read(copy)) as chunks:
                unpack(self._settings.mbstream, data, chunks, wanted, lambda _: None)
            taken_by = recorded.server or scratch_server.taken_by(data)
            self._progress.begin("prepare")
            make_consistent(self._settings.backup, data)
            self._progress.begin("start")
            with scratch_server.serving(self._settings, data) as server:
                return self._compare(server, recorded, outcome)
        except CopyFailed as error:
            if _is_full(data):
                raise OSError(f"the node's disk, which holds the copy, is full: {error}") from error
            if not error.proven:
                raise OSError(f"{error}. It may need more memory: spec.resources") from error
            # The copy itself was as it was taken: a server of its own series may open it.
            if taken_by and series(taken_by) != series(here := self._version()):
                raise OSError(
                    f"the set was taken by MariaDB {taken_by}, which the server here, {here}, does "
                    f"not open: {error}. A set of the present series says more"
                ) from error
            raise Damaged(str(error)) from error

    def _version(self) -> str:
        return scratch_server.version(self._settings)

    def _recorded(self, part: ManifestPart | None) -> Tables:
        if part is None:
            why = "the set was taken by a version that did not record tables"
            return Tables(server="", missing=why, tables=())
        text = b"".join(self._read(part))
        try:
            return wire.loads(Tables, text)
        except wire.WireError as error:
            raise StepFailed(
                TABLES_PART, f"this version does not understand the record of the tables: {error}"
            ) from error

    def _compare(
        self, server: ScratchServer, recorded: Tables, outcome: VerificationOutcome
    ) -> VerificationOutcome:
        """Check all tables, and compare them with the record."""
        counted = {(each.schema, each.name) for each in recorded.tables if each.comparable}
        engines = {(each.schema, each.name): each.engine for each in recorded.tables}
        found, complaints = {}, []
        for table, (definition, shown) in server.definitions().items():
            self._progress.begin(f"check {table[0]}.{table[1]}"[:80])
            # One that cannot be opened has none, but the record may know it.
            engine = shown or engines.get(table, "")
            checked = not engine or engine in tables.CHECKED_ENGINES
            if checked and (complaint := server.complaint(table)):
                complaints.append(f"{table[0]}.{table[1]}: {complaint}")
            elif table in counted:
                found[table] = server.found(table, definition)
            else:
                found[table] = FoundTable(definition=definition)
        version = server.version()
        result = compare(_without(recorded, complaints), found, version)
        different = (*complaints, *result.different)
        outcome = replace(
            outcome,
            compared=result.compared,
            skipped=result.skipped,
            different=len(different),
            names=tuple(shorten_encoded(name, _NAME_BYTES) for name in different[:_NAMES]),
        )
        if different:
            message = (
                f"{len(different)} tables of the copy are not as they were taken, the first is "
                f"{different[0]}. Do not restore this set; see whether the next one is good"
            )
            return replace(outcome, damaged=True, reason=SET_DAMAGED, message=message)
        without = f"No rows were compared: {recorded.missing}." if recorded.missing else ""
        if recorded.server and series(recorded.server) != series(version):
            without = (
                f"The set was taken by MariaDB {recorded.server}, and opened by {version}: of rows "
                "only the numbers were compared, and no columns."
            )
        return replace(outcome, ok=True, message=without)


def _without(recorded: Tables, complaints: list[str]) -> Tables:
    """Return a record without the tables that CHECK TABLE has condemned."""
    names = {complaint.partition(": ")[0] for complaint in complaints}
    left = tuple(each for each in recorded.tables if f"{each.schema}.{each.name}" not in names)
    return replace(recorded, tables=left)


def _is_full(path: Path) -> bool:
    """Return whether less than a hundredth of a file system is left."""
    found = os.statvfs(path)
    return found.f_bavail * 100 < found.f_blocks


def _stop(number: int, _: FrameType | None) -> NoReturn:
    """End in order: Python as the first process of a container would not end at all."""
    signal.signal(number, signal.SIG_IGN)
    raise StepFailed(
        "stopped",
        f"the verification was asked to end ({signal.Signals(number).name}): its Job was deleted "
        "or reached its deadline, or its node was drained",
        VERIFICATION_BROKE_OFF,
    )


def main() -> int:
    """Run one verification; return 0 only for a set that is as it was taken."""
    signal.signal(signal.SIGTERM, _stop)
    settings = from_environment(VerificationSettings, os.environ)
    progress = Progress()
    progress.start()
    outcome = Verification(settings, Restic(progress=progress), progress).run()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    progress.stop()
    short = replace(outcome, message=shorten_encoded(outcome.message, _MESSAGE_BYTES))
    message = wire.dumps(short, separators=(",", ":"))
    path = Path(os.environ.get("BACKUP_RESULT", "/dev/termination-log"))
    path.write_text(message, encoding="utf-8")
    print(message, flush=True)
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())

"""Takes one recovery set of a cloud into a restic repository and proves that it can be read back.

The main program of a Backup's Job; standard library only. The manifest is the last snapshot of a
set and is written only after the repository's own check passed and every part was read back with
the same checksum: a set without a manifest is unfinished, whatever else is there.

The outcome, good or bad, is one line of JSON in the termination message, which the API shows to the
operator: nothing in this pod needs a credential for the Kubernetes API.
"""

import json
import os
import resource
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from stackroles.agents import wire
from stackroles.agents.backup.database_copy import DatabaseMember
from stackroles.agents.backup.keys import identity_of, key_id
from stackroles.agents.backup.manifest import Identity, encode, signature_tag
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import (
    EXPIRED_LIMIT,
    RESOURCES_FILE,
    RETENTION_FILE,
    STATE_FILE,
    VERSIONS_FILE,
    RetentionInput,
    RunOutcome,
    RunSettings,
    StepResult,
    Versions,
    from_environment,
)
from stackroles.agents.backup.reader_protocol import MANIFEST_FILE, Manifest, ManifestPart
from stackroles.agents.backup.repository import (
    Part,
    Restic,
    SourceBrokeOff,
    StepFailed,
    directory,
    file,
)
from stackroles.agents.backup.retention import RecoverySet, retain, unfinished
from stackroles.agents.backup.sets import ids_of, set_tags, sets_of
from stackroles.agents.backup.streams import Sink
from stackroles.agents.galera.tables_protocol import TABLES_FILE
from stackroles.agents.text import shorten

TERMINATION_LIMIT = 4000


def termination_message(outcome: RunOutcome) -> str:
    """Return an outcome as one line that fits a termination message.

    Of the expired Backups the oldest are in it, as many as there is room for: the next run names
    those that are left.
    """
    line = _line(outcome)
    if len(line.encode()) <= TERMINATION_LIMIT:
        return line
    outcome = replace(outcome, message=shorten(outcome.message, 500))
    for count in range(len(outcome.expired), -1, -1):
        line = _line(replace(outcome, expired=outcome.expired[:count]))
        if len(line.encode()) <= TERMINATION_LIMIT:
            break
    return line


def _line(outcome: RunOutcome) -> str:
    """Return an outcome as JSON; steps leave out what they do not have, to be short."""
    content = wire.encode(outcome)
    content["steps"] = [{k: v for k, v in step.items() if v} for step in content["steps"]]
    return json.dumps(content, separators=(",", ":"))


@dataclass(frozen=True)
class Plan:
    """What a run has to do: its settings, parts that read its mounted inputs, when it began."""

    name: str
    cloud: str
    policy: str
    versions: Versions
    parts: tuple[Part, ...]
    retention: RetentionInput
    began: str = ""
    cloud_uid: str = ""
    policy_uid: str = ""
    uid: str = ""


def plan(settings: RunSettings, now: datetime) -> Plan:
    """Return the plan of a run that begins now.

    Raises:
        OSError: an input is not there.
        WireError: the versions, or what retention goes by, are none.
    """
    inputs = Path(settings.inputs)
    token = Path(settings.token_file).read_text(encoding="utf-8").strip()
    member = DatabaseMember(settings.source, token)
    parts = [
        Part("database", "mariadb.mbstream", member.copy, again=True),
        # What a verification compares the copy with: it is about the copy before it.
        Part("tables", TABLES_FILE, member.tables),
    ]
    parts += [
        Part(path.stem, path.name, file(path))
        for path in sorted(Path(settings.copies).iterdir())
        if path.is_file()
    ]
    parts += [
        Part("secrets", "secrets.tar", directory(Path(settings.secrets))),
        Part("resources", RESOURCES_FILE, file(inputs / RESOURCES_FILE)),
        Part("state", STATE_FILE, file(inputs / STATE_FILE)),
    ]
    return Plan(
        name=settings.name,
        cloud=settings.cloud,
        policy=settings.policy,
        versions=wire.loads(Versions, (inputs / VERSIONS_FILE).read_bytes()),
        parts=tuple(parts),
        retention=wire.loads(RetentionInput, (inputs / RETENTION_FILE).read_bytes()),
        began=now.isoformat(timespec="seconds"),
        cloud_uid=settings.cloud_uid,
        policy_uid=settings.policy_uid,
        uid=settings.uid,
    )


def verify(restic: Restic, steps: Iterable[StepResult], parts: tuple[Part, ...]) -> None:
    """Check the repository and read every part back; raises StepFailed on any difference."""
    restic.run("verify", "check")
    names = {part.name: part.filename for part in parts}
    for step in steps:
        found = restic.read(step, names[step.name])
        if found != step.sha256:
            raise StepFailed(
                "verify", f"{step.name} was written as {step.sha256} and reads back as {found}"
            )


def manifest(work: Plan, outcome: RunOutcome, key: Identity, opened_by: str) -> Part:
    """Return the manifest of the set: what it holds, where, and how each part is checked.

    Args:
        work: what was to be taken.
        outcome: what was taken.
        key: signs it.
        opened_by: restic's id of the key that opened the repository.
    """
    filenames = {part.name: part.filename for part in work.parts}
    content = Manifest(
        name=work.name,
        cloud=work.cloud,
        policy=work.policy,
        versions=work.versions,
        position=outcome.position,
        time=work.began,
        repository=key.repository,
        key_id=opened_by,
        cloud_uid=work.cloud_uid,
        policy_uid=work.policy_uid,
        uid=work.uid,
        parts=tuple(ManifestPart.of(step, filenames[step.name]) for step in outcome.steps),
    )
    text = encode(content)

    def write(sink: Sink) -> Mapping[str, str]:
        sink.write(text)
        return {}

    return Part("manifest", MANIFEST_FILE, write, (signature_tag(text, key),))


def leftovers(snapshots: list[dict[str, Any]], work: Plan) -> tuple[str, ...]:
    """Return what runs left that broke off, as ids of snapshots, while none is at work.

    Raises:
        StepFailed: a snapshot has no time.
    """
    return ids_of(snapshots, work.policy, unfinished(_sets(snapshots, work)))


def retention(
    snapshots: list[dict[str, Any]], work: Plan, now: datetime
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return what retention removes, as ids of snapshots, and the Backups that have no set then.

    Args:
        snapshots: all of the repository.
        work: the plan of the run, whose own set stays, with the rules and the Backups.
        now: the time of the decision.

    Raises:
        StepFailed: a snapshot has no time.
    """
    live = {(work.name, work.uid)}
    retained = retain(_sets(snapshots, work), work.retention.rules, now, live)
    kept = {each.name for each in retained.kept}
    expired = (name for name in work.retention.backups if name not in kept)
    return ids_of(snapshots, work.policy, retained.removed), tuple(expired)


def _sets(snapshots: list[dict[str, Any]], work: Plan) -> tuple[RecoverySet, ...]:
    try:
        return sets_of(snapshots, work.policy, work.retention.quarantined)
    except ValueError as error:
        message = f"{error}: restic forget it, or wait for a version that reads it"
        raise StepFailed("retention", message) from error


def run(work: Plan, restic: Restic, now: Callable[[], datetime]) -> RunOutcome:
    """Take the set, prove it, and only then write its manifest; never raises StepFailed."""
    outcome = RunOutcome()
    try:
        if not restic.open():
            # No rule is applied before there is a new set: runs that fail cost no older one.
            restic.clean(leftovers(restic.all_snapshots("repository"), work))
        for part in work.parts:
            step, facts, stored = _save(restic, part)
            position = facts.get("position") or outcome.position
            outcome = _with(outcome, step, stored, position=position)
        verify(restic, outcome.steps, work.parts)
        sealed = manifest(work, outcome, identity_of(restic), key_id(restic))
        last, _, stored = restic.save(sealed)
        if restic.read(last, MANIFEST_FILE) != last.sha256:
            raise StepFailed("manifest", "the manifest does not read back as it was written")
        outcome = _with(outcome, last, stored, snapshot=last.snapshot, verified=True, ok=True)
        surplus, expired = retention(restic.all_snapshots("retention"), work, now())
        if surplus:
            restic.forget("retention", surplus)
        return replace(outcome, expired=expired[:EXPIRED_LIMIT])
    except StepFailed as error:
        # What was verified stays verified: a failed retention is reported, and the set is there.
        failed = replace(outcome, reason=error.reason, message=str(error))
        return failed if failed.ok else _with(failed, StepResult(error.step, message=str(error)))


def _save(restic: Restic, part: Part) -> tuple[StepResult, Mapping[str, str], int]:
    """Store a part, of one that may be read again in a second try; see `Restic.save`.

    A member of the database that was restarted, or had to end a copy for its own sake, has nothing
    against another one, and a run that fails costs the policy a set. One that breaks off twice has
    a reason that a person should see.
    """
    try:
        return restic.save(part)
    except SourceBrokeOff as error:
        if not part.again:
            raise
        print(f"{part.name} is read once more: {error}", flush=True)
    # Of the restic that was ended: the check of the repository would stop at its lock.
    restic.unlock()
    return restic.save(part)


def _with(outcome: RunOutcome, step: StepResult, stored: int = 0, **changed: Any) -> RunOutcome:
    """Return an outcome with one more step, which stored some bytes."""
    steps = (*outcome.steps, step)
    return replace(outcome, steps=steps, stored=outcome.stored + stored, **changed)


def stop(number: int, _: FrameType | None) -> NoReturn:
    """End the run in order: Python as the first process of a container would not end at all.

    Raises:
        StepFailed: always; says what may have asked for it.
    """
    raise StepFailed(
        "stopped",
        f"the run was asked to end ({signal.Signals(number).name}): its Job was deleted or reached "
        "its deadline, or its node was drained; apply a new Backup",
    )


def _peak(whose: int) -> int:
    """Return the most memory that this process, or the largest of its children, held, in MiB."""
    return resource.getrusage(whose).ru_maxrss // 1024  # in KiB: getrusage(2)


def main() -> int:
    """Run one backup; return 0 only for a verified set."""
    signal.signal(signal.SIGTERM, stop)
    work = plan(from_environment(RunSettings, os.environ), datetime.now(UTC))
    progress = Progress()
    tags = set_tags(work.name, work.policy, work.uid)
    restic = Restic(tags=tags, host=work.cloud, progress=progress)
    progress.start()
    outcome = run(work, restic, lambda: datetime.now(UTC))
    progress.stop()
    return report(outcome)


def report(outcome: RunOutcome) -> int:
    """Leave an outcome in the log and as the termination message; return the exit code."""
    print(
        f"peak memory: {_peak(resource.RUSAGE_SELF)} MiB, "
        f"of restic {_peak(resource.RUSAGE_CHILDREN)} MiB",
        flush=True,
    )
    message = termination_message(outcome)
    Path(os.environ.get("BACKUP_RESULT", "/dev/termination-log")).write_text(
        message, encoding="utf-8"
    )
    print(message, flush=True)
    return 0 if outcome.ok else 1


if __name__ == "__main__":
    sys.exit(main())

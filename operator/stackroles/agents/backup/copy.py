"""Copies one recovery set into another repository, as a run takes it from the cloud.

The main program of a copy's Job; standard library only. restic finds the repository that is written
in its own variables, and this program that which is read in variables that begin with SOURCE. All
of a run holds: the destination is cleaned first, each part has its own checksum, is read back, and
the manifest, which is signed with the destination's key, comes last (backup/run.py). Nothing of the
source is written before its manifest is proven, and no part counts that is not as that says.
"""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.protocol import (
    RETENTION_FILE,
    CopySettings,
    RetentionInput,
    RunOutcome,
    from_environment,
)
from stackroles.agents.backup.reader_protocol import (
    MANIFEST_FORGED,
    MANIFEST_OF_ANOTHER_SET,
    MANIFEST_SUPERSEDED,
    PART_MISSING,
    Manifest,
    ManifestPart,
)
from stackroles.agents.backup.recovery_set import Meanwhile, RecoverySet
from stackroles.agents.backup.repository import Part, Restic, StepFailed
from stackroles.agents.backup.run import Plan, report, run, stop
from stackroles.agents.backup.sets import set_tags, snapshots_of
from stackroles.agents.backup.streams import Sink

SOURCE = "SOURCE_"
# Of a set that is there, and no set that could be restored.
NOT_WHOLE = frozenset({MANIFEST_FORGED, MANIFEST_OF_ANOTHER_SET, MANIFEST_SUPERSEDED, PART_MISSING})
# What only one of the two repositories may have, such as an authority, the other must not inherit.
_OF_REPOSITORY = ("RESTIC_", "AWS_", "REPOSITORY_")


def source_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the environment in which restic finds the repository that is read.

    Args:
        variables: this process' environment.
    """
    others = {
        name: value
        for name, value in variables.items()
        if not name.startswith((*_OF_REPOSITORY, SOURCE))
    }
    own = {
        name.removeprefix(SOURCE): value
        for name, value in variables.items()
        if name.startswith(SOURCE)
    }
    return others | own


def plan(source: RecoverySet, manifest: Manifest, retention: RetentionInput) -> Plan:
    """Return the plan of a run that takes its parts from a set.

    Args:
        source: the set.
        manifest: what it has.
        retention: what stays in the destination.
    """
    return Plan(
        name=manifest.name,
        cloud=manifest.cloud,
        policy=manifest.policy,
        versions=manifest.versions,
        parts=tuple(
            Part(part.name, part.filename, _writer(source, part, manifest))
            for part in manifest.parts
        ),
        retention=retention,
        began=manifest.time,
        cloud_uid=manifest.cloud_uid,
        policy_uid=manifest.policy_uid,
        uid=manifest.uid,
    )


def _writer(
    source: RecoverySet, part: ManifestPart, manifest: Manifest
) -> Callable[[Sink], Mapping[str, str]]:
    def write(sink: Sink) -> Mapping[str, str]:
        for chunk in source.part(part, _pass):
            sink.write(chunk)
        return {"position": manifest.position} if manifest.position else {}

    return write


def copy(
    source: RecoverySet,
    destination: Callable[[Manifest], Restic],
    retention: RetentionInput,
    now: Callable[[], datetime],
) -> RunOutcome:
    """Copy a set; never raises StepFailed.

    Args:
        source: the set.
        destination: returns the repository for the set with a manifest.
        retention: what stays there.
        now: returns the time.
    """
    try:
        _, manifest = source.manifest(_pass)
    except StepFailed as error:
        return RunOutcome(reason=error.reason, message=f"The set cannot be read: {error}")
    repository = destination(manifest)
    try:
        if there := _stored(repository, manifest):
            return RunOutcome(ok=True, verified=True, snapshot=there, position=manifest.position)
    except StepFailed as error:
        return RunOutcome(reason=error.reason, message=str(error))
    return run(plan(source, manifest, retention), repository, now)


def _stored(repository: Restic, wanted: Manifest) -> str:
    """Return the snapshot of the manifest by which a repository has a set whole, "" without one.

    What it has of another set of this name, or of a copy that broke off after its manifest, is
    removed: parts of two sets must not share a name.

    Raises:
        StepFailed: the repository does not answer.
    """
    if not repository.exists():
        return ""
    snapshots = repository.all_snapshots("repository")
    manifests, parts = snapshots_of(snapshots, wanted.policy, wanted.name, wanted.uid)
    if not manifests:
        return ""
    there = RecoverySet(wanted.name, wanted.policy, lambda _: repository, uid=wanted.uid)
    try:
        _, found = there.manifest(_pass)
        if _content(found) == _content(wanted):
            return manifests[-1]
    except StepFailed as error:
        if error.reason not in NOT_WHOLE:
            raise
    repository.forget("repository", (*manifests, *parts))
    return ""


def _content(manifest: Manifest) -> tuple[str, dict[str, str]]:
    return manifest.time, {part.name: part.sha256 for part in manifest.parts}


def _pass() -> None:
    """Nothing is to be looked at while restic is waited for."""


def main() -> int:
    """Copy the set that the environment names; return 0 only for a verified copy."""
    signal.signal(signal.SIGTERM, stop)
    settings = from_environment(CopySettings, os.environ)
    retention = wire.loads(RetentionInput, (Path(settings.inputs) / RETENTION_FILE).read_bytes())
    variables = source_environment(os.environ)
    progress = Progress()

    def read(meanwhile: Meanwhile) -> Restic:
        quiet = Progress(write=lambda _: None)
        return Restic(progress=quiet, meanwhile=meanwhile, environment=variables)

    def written(manifest: Manifest) -> Restic:
        tags = set_tags(manifest.name, manifest.policy, manifest.uid)
        return Restic(tags=tags, host=manifest.cloud, progress=progress)

    progress.start()
    source = RecoverySet(settings.name, settings.policy, read)
    outcome = copy(source, written, retention, lambda: datetime.now(UTC))
    progress.stop()
    return report(outcome)


if __name__ == "__main__":
    sys.exit(main())

"""What a restore would do, and what it lacks; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from stackroles.agents.backup.reader_protocol import Manifest
from stackroles.api.v1alpha1.backup import Quarantine
from stackroles.api.v1alpha1.restore import Preflight
from stackroles.config.cloud import Cloud
from stackroles.domains.restore.former import FormerCloud, describe, find_missing_secrets
from stackroles.domains.restore.point_in_time import Asked, find_missing, history_of, stored
from stackroles.quantity import amount
from stackroles.roles import mariadb
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.manifests.workload import build_claim_template

# The name of the part that is the copy of the database (agents/backup/run.py).
DATABASE_PART: Final = "database"
# What a server writes besides when it is started on a copy: redo logs, undo logs, Galera's cache.
_OVERHEAD_BYTES: Final = 512 * 2**20
_GUESTS: Final = (
    "Guests run on. Those of servers that were made since are not known to nova afterwards; "
    "servers that were deleted since are listed again, and have no guest."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a preflight looks at.

    Attributes:
        cloud: the cloud that is restored.
        manifest: what the recovery set says of itself.
        copied_at: when it was begun, None where that is not known.
        capacity: size of each database member's volume as Kubernetes writes quantities, by claim;
            "" for one that has no volume and gets none, None for one that does not exist, or gets
            its volume with its first pod.
        away: the node of each database member whose node is not ready, by pod.
        former: what is to be made of the cloud; None where it exists.
        rests: whether a former Restore has made the cloud, whose database has never started.
        secrets: Secrets of the user's, named by a cloud that is to be made, that exist.
        unsaved: the BackupPolicy under which a safety backup is asked for and which does not exist;
            empty where none is asked for, or it does.
        quarantine: what verifications found wrong with the set, one for each level.
        asked: the point in time that is asked for, None where the set's own is.
        allowed: the Backup whose set may be restored though it is in quarantine; empty for none.
    """

    cloud: Cloud
    manifest: Manifest
    copied_at: datetime | None
    capacity: Mapping[str, str | None]
    away: Mapping[str, str] = field(default_factory=dict)
    former: FormerCloud | None = None
    rests: bool = False
    secrets: tuple[str, ...] = ()
    unsaved: str = ""
    quarantine: tuple[Quarantine, ...] = ()
    allowed: str = ""
    asked: Asked | None = None


def assess(observed: Observed) -> Preflight:
    """Return what a restore would do and what it lacks, all of it at once."""
    manifest = observed.manifest
    copy = next((part for part in manifest.parts if part.name == DATABASE_PART), None)
    size = copy.bytes if copy else 0
    missing = [*_of_set(observed), *_of_volumes(observed, size)]
    if observed.asked is not None:
        missing += find_missing(observed.asked, history_of(manifest), observed.copied_at)
    if observed.former is not None:
        missing += observed.former.lacks
        missing += find_missing_secrets(observed.cloud, observed.secrets)
    missing += [
        f"Node {node} of {pod} is not ready, and the volume there has to be worked on: bring it "
        f"back, or replace the member first (spec.roles.{DEFAULT.database.name}.replaceMember)."
        for pod, node in sorted(observed.away.items())
    ]
    if observed.unsaved:
        missing.append(
            f"BackupPolicy {observed.unsaved}, under which what is overwritten would be backed up, "
            "does not exist: apply it, or set spec.safetyBackup to Never."
        )
    if copy is None:
        missing.append("The recovery set holds no copy of the database: restore another one.")
    return Preflight(
        missing=tuple(missing),
        overwrites=_overwrites(observed),
        makes=(describe(observed.former),) if observed.former is not None else (),
        recovery_set=manifest.name,
        taken_at=observed.copied_at,
        set_bytes=sum(part.bytes for part in manifest.parts),
        database_bytes=size,
        position=manifest.position,
        release=manifest.versions.release,
    ).model_copy(update=stored(observed.asked))


def _of_set(observed: Observed) -> list[str]:
    cloud, manifest = observed.cloud, observed.manifest
    refused = observed.quarantine if observed.allowed != manifest.name else ()
    missing = [
        f"The verification of level {found.level} that ended at "
        f"{found.last_time or found.since:%Y-%m-%d %H:%M:%S} UTC found the recovery set damaged: "
        "restore another Backup, or let the next verification of this level pass it; to restore "
        f"it all the same, set spec.allowQuarantined to {manifest.name}. It found: {found.message}"
        for found in refused
    ]
    if manifest.cloud != cloud.name:
        missing.append(
            f"The recovery set is of the cloud {manifest.cloud}, and its policy names "
            f"{cloud.name}: restore a Backup of this cloud."
        )
    release = manifest.versions.release
    if release != cloud.spec.release:
        missing.append(
            f"The recovery set is of release {release}, the cloud of {cloud.spec.release}: set "
            f"spec.release of CloudController {cloud.name} to {release}, and upgrade it after."
        )
    if cloud.spec.suspend:
        missing.append(
            f"CloudController {cloud.name} is suspended, so that nothing would be started again: "
            "set its spec.suspend to false."
        )
    return missing


def _of_volumes(observed: Observed, size: int) -> list[str]:
    """Return what volumes lack; the copy is made beside what is there, which goes only then."""
    declared = build_claim_template(observed.cloud, mariadb.MARIADB)["spec"]["resources"]
    missing = []
    for claim, found in observed.capacity.items():
        capacity = declared["requests"]["storage"] if found is None else found
        if not capacity:
            missing.append(
                f"Volume claim {claim} has no volume: see its events, and whether its class can "
                "make one."
            )
        elif amount(capacity) < size + _OVERHEAD_BYTES:
            missing.append(
                f"Volume claim {claim} has {capacity}, and the copy needs "
                f"{-(-(size + _OVERHEAD_BYTES) // 2**20)} MiB: raise "
                f"spec.roles.{DEFAULT.database.name}.storage.size."
            )
    return missing


def _overwrites(observed: Observed) -> tuple[str, ...]:
    name = observed.cloud.name
    began = observed.asked.at if observed.asked else observed.copied_at
    if observed.former is not None or observed.rests:
        left = [claim for claim, found in observed.capacity.items() if found is not None]
        return tuple(f"The data on volume claim {claim}, of a former {name}." for claim in left)
    since = f"since {began:%Y-%m-%d %H:%M:%S} UTC" if began else "since the set was taken"
    return (
        f"The databases of {name}: what was written {since} is lost.",
        _GUESTS,
    )

"""What the reader of a recovery set and its clients exchange, and what a set's manifest says.

The operator gives ReaderSettings as environment variables (backup/protocol.py). The reader answers
the Manifest and the parts it names, or a ReaderProblem.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackroles.agents.backup.protocol import StepResult, Versions
from stackroles.agents.wire import OPTIONAL, key

PORT = 9305
# What is answered by GET; each part is below PARTS_PATH by its name.
HEALTH_PATH = "/healthz"
MANIFEST_PATH = "/manifest"
PARTS_PATH = "/parts/"

MANIFEST_FILE = "manifest.json"
MANIFEST_VERSION = "stackroles.io/recovery-set/v2"
# The former version, whose manifests are not signed.
UNSIGNED_VERSION = "stackroles.io/recovery-set/v1"

# Reasons of a ReaderProblem besides those of the steps of a run.
SET_MISSING = "SetMissing"
SET_UNFINISHED = "SetUnfinished"
MANIFEST_UNREADABLE = "ManifestUnreadable"
MANIFEST_FORGED = "ManifestForged"
MANIFEST_OF_ANOTHER_SET = "ManifestOfAnotherSet"
MANIFEST_SUPERSEDED = "ManifestSuperseded"
PART_MISSING = "PartMissing"
PART_DAMAGED = "PartDamaged"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderSettings:
    """Which set is served.

    Attributes:
        name: the Backup that it is of; empty for the policy's newest set that has a manifest.
        policy: its BackupPolicy.
        token_file: the file with the token that a client must show.
        uid: uid of the Backup, where that is known: no other set of its name is served then.
    """

    name: str
    policy: str
    token_file: str
    uid: str = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestPart:
    """One part of a set.

    Attributes:
        name: the part.
        filename: the file's name in its snapshot.
        bytes: its size.
        seconds: the time it took to take it.
        sha256: its checksum, hexadecimal.
        snapshot: restic's snapshot of it.
    """

    name: str
    filename: str
    bytes: int
    seconds: float = field(default=0.0, metadata=OPTIONAL)
    sha256: str
    snapshot: str

    @classmethod
    def of(cls, step: StepResult, filename: str) -> "ManifestPart":
        """Return the part that a step of a run stored."""
        return cls(
            name=step.name,
            filename=filename,
            bytes=step.bytes,
            seconds=step.seconds,
            sha256=step.sha256 or "",
            snapshot=step.snapshot or "",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a set holds, where, and how each part is checked.

    Attributes:
        api_version: the form of the manifest; MANIFEST_VERSION or UNSIGNED_VERSION.
        name: the Backup.
        cloud: the cloud that it is of.
        policy: the BackupPolicy.
        versions: what it was made by.
        position: where in the replicated history the database's copy stands, `uuid:seqno`.
        time: when the set was begun, ISO 8601, UTC; empty in sets of former versions.
        repository: restic's id of the repository; empty where it is not signed.
        key_id: restic's id of the key that opened the repository; empty where it is not signed.
        cloud_uid: uid of the CloudController; empty where it was not known.
        policy_uid: uid of the BackupPolicy; empty where it was not known.
        uid: uid of the Backup; empty where it was not known.
        parts: in the order in which they were taken.
    """

    api_version: str = field(default=MANIFEST_VERSION, metadata=key("apiVersion"))
    name: str
    cloud: str
    policy: str
    versions: Versions
    position: str | None
    time: str = field(default="", metadata=OPTIONAL)
    repository: str = field(default="", metadata=OPTIONAL)
    key_id: str = field(default="", metadata=key("keyId", optional=True))
    cloud_uid: str = field(default="", metadata=key("cloudUid", optional=True))
    policy_uid: str = field(default="", metadata=key("policyUid", optional=True))
    uid: str = field(default="", metadata=OPTIONAL)
    parts: tuple[ManifestPart, ...]

    @property
    def signed(self) -> bool:
        """Whether it is of a version whose manifests are signed."""
        return self.api_version != UNSIGNED_VERSION

    def by_name(self) -> Mapping[str, ManifestPart]:
        """Return the parts by their names."""
        return {part.name: part for part in self.parts}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderProblem:
    """Why the set cannot be read at present.

    Attributes:
        reason: what kind of failure it is, as a condition's reason.
        message: what is wrong, and what to do.
    """

    reason: str
    message: str

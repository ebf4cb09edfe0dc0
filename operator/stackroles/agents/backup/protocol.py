"""What a backup's Jobs and the operator exchange.

The operator gives RunSettings or RemovalSettings as environment variables, and files of JSON, of
which a run reads the Versions and the RetentionInput. A run writes a ProgressLine now and then into
its log, and at last its RunOutcome as its termination message.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from stackroles.agents.environment import from_variables, to_variables
from stackroles.agents.wire import OPTIONAL, key

T = TypeVar("T")

_PREFIX = "BACKUP_"

# Files of the inputs. Resources and state are copied as they are: nobody reads them here.
RESOURCES_FILE = "resources.json"
STATE_FILE = "state.json"
VERSIONS_FILE = "versions.json"
RETENTION_FILE = "retention.json"
# How many Backups a run names at most whose sets are gone.
EXPIRED_LIMIT = 20
# What a line of the log begins with that holds a ProgressLine.
PROGRESS_PREFIX = "progress "


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """What a run has to do, and where its inputs are.

    Attributes:
        name: the Backup.
        cloud: the cloud that it is of.
        policy: the BackupPolicy, whose sets are counted together.
        source: URL of the database member's stream.
        inputs: folder of the files of JSON.
        copies: folder of what was copied before, a part for each file.
        secrets: folder of the Secrets, each a folder.
        token_file: the file with the token that the database member asks for.
        cloud_uid: uid of the CloudController; empty where it is not known.
        policy_uid: uid of the BackupPolicy; empty where it is not known.
        uid: uid of the Backup; empty where it is not known.
    """

    name: str
    cloud: str
    policy: str
    source: str
    inputs: str
    copies: str
    secrets: str
    token_file: str
    cloud_uid: str = field(default="", metadata=OPTIONAL)
    policy_uid: str = field(default="", metadata=OPTIONAL)
    uid: str = field(default="", metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RemovalSettings:
    """Which set is removed.

    Attributes:
        name: the Backup that it is of.
        policy: its BackupPolicy.
    """

    name: str
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CopySettings:
    """Which set is copied into another repository.

    Attributes:
        name: the Backup that it is of.
        policy: its BackupPolicy.
        inputs: folder of the files of JSON, of which a copy reads the RetentionInput.
    """

    name: str
    policy: str
    inputs: str


def to_environment(settings: object) -> dict[str, str]:
    """Return settings as environment variables."""
    return to_variables(settings, _PREFIX)


def from_environment(kind: type[T], variables: Mapping[str, str]) -> T:
    """Return the settings in environment variables.

    Raises:
        ValueError: one is missing, or no number where it has to be.
    """
    return from_variables(kind, variables, _PREFIX)


@dataclass(frozen=True, slots=True, kw_only=True)
class Versions:
    """What a set was made by, for whoever restores it.

    Attributes:
        operator: the operator's version.
        release: the release of OpenStack.
        images: the cloud's images by role.
    """

    operator: str
    release: str
    images: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """How many verified sets each rule keeps; one stays that any of them keeps.

    Attributes:
        last: the newest ones.
        hourly: of so many hours that have one, the newest of each.
        daily: the same of days.
        weekly: the same of weeks.
        monthly: the same of months.
        yearly: the same of years.
        within_days: all that are at most so many days older than the newest; 0 where age keeps
            none.
    """

    last: int
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within_days: int = field(default=0, metadata=key("withinDays"))


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionInput:
    """What a run's retention goes by.

    Attributes:
        rules: what stays.
        backups: the policy's Backups whose sets should be in the repository, the oldest first.
        quarantined: the policy's Backups whose sets a verification found damaged.
    """

    rules: RetentionRules
    backups: tuple[str, ...]
    quarantined: tuple[str, ...] = field(default=(), metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgressLine:
    """How far a part is.

    Attributes:
        part: what is copied or read back.
        bytes: bytes of it so far.
        bytes_per_second: the rate since the last line.
        trouble: what the repository fails with; empty while it does not.
    """

    part: str
    bytes: int
    bytes_per_second: int = field(metadata=key("bytesPerSecond"))
    trouble: str


@dataclass(frozen=True, slots=True)
class StepResult:
    """What became of one part; one of a part that failed has a message.

    Attributes:
        name: the part.
        bytes: bytes read.
        seconds: the time it took.
        sha256: checksum of what was read, hexadecimal.
        snapshot: restic's snapshot of it.
        message: what went wrong.
    """

    name: str
    bytes: int = field(default=0, metadata=OPTIONAL)
    seconds: float = field(default=0.0, metadata=OPTIONAL)
    sha256: str | None = field(default=None, metadata=OPTIONAL)
    snapshot: str | None = field(default=None, metadata=OPTIONAL)
    message: str | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """How a run ended.

    Attributes:
        ok: whether there is a verified set.
        reason: what kind of failure it was, as a condition's reason; empty without one.
        message: what failed; the set may be there all the same.
        verified: whether the repository's own check passed and every part reads back as written.
        snapshot: restic's snapshot of the manifest.
        position: where in the replicated history the database's copy stands, `uuid:seqno`.
        stored: bytes that the run added to the repository.
        expired: the oldest of the Backups named to the run that have no verified set in the
            repository after retention; empty where that did not run to its end.
        steps: the parts, the one that failed last.
    """

    ok: bool = False
    reason: str = ""
    message: str = ""
    verified: bool = False
    snapshot: str | None = None
    position: str | None = None
    stored: int = 0
    expired: tuple[str, ...] = field(default=(), metadata=OPTIONAL)
    steps: tuple[StepResult, ...] = ()

    @property
    def size(self) -> int:
        """Bytes read in all."""
        return sum(step.bytes for step in self.steps)

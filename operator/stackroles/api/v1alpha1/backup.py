"""BackupPolicy and Backup: recovery sets of a cloud."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic.config import JsonDict

from stackroles.agents.backup.protocol import EXPIRED_LIMIT
from stackroles.agents.backup.verification_protocol import Level
from stackroles.agents.binlog.protocol import ShippingState
from stackroles.api.v1alpha1.common import (
    Children,
    Conditions,
    DeletionPolicy,
    Model,
    Name,
    Quantity,
    Resources,
    Status,
    StatusPart,
    list_map,
)
from stackroles.api.v1alpha1.schedule import Schedule, TimeZone


class VolumeRepository(Model):
    """A repository on a volume."""

    claim_name: Name | None = Field(
        None,
        description="An existing claim; left out, the operator makes one and never deletes it.",
    )
    size: Quantity = Field(
        "10Gi",
        description="Size of a claim the operator makes; it grows where its class can, and never "
        "shrinks.",
    )
    storage_class_name: Name | None = Field(None, description="Its storage class.")


class S3Repository(Model):
    """A repository in a bucket."""

    endpoint: str = Field(
        max_length=512, pattern=r"^https?://", description="Address of the S3 API."
    )
    bucket: str = Field(min_length=3, max_length=63, description="The bucket.")
    prefix: str = Field("", max_length=512, description="Path in the bucket.")
    region: str | None = Field(
        None, max_length=64, description="Region, where the server wants one."
    )
    credentials_secret: Name = Field(description="Secret with accessKeyId and secretAccessKey.")
    ca_secret: Name | None = Field(
        None, description="Secret with ca.crt of the server's authority."
    )


class Bandwidth(Model):
    """How much of the way to a repository may be used.

    A run gives up a repository that takes nothing for four minutes; at the least of these limits
    what restic has under way (agents/backup/restic_process.py) takes less than two.
    """

    upload_mebibytes: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="MiB a second that each pod may write; no limit when left out.",
    )
    download_mebibytes: int | None = Field(
        None,
        ge=1,
        le=100_000,
        description="MiB a second that each pod may read, also those of a Restore; no limit when "
        "left out.",
    )


class Repository(Model):
    """Where recovery sets are kept."""

    volume: VolumeRepository | None = Field(None, description="On a volume.")
    s3: S3Repository | None = Field(None, description="In a bucket.")
    bandwidth: Bandwidth = Field(
        default_factory=Bandwidth,
        description="Limits of what is written to it and read from it in a second.",
    )


ONE_REPOSITORY: JsonDict = {
    "rule": "has(self.volume) != has(self.s3)",
    "message": "name exactly one of volume and s3",
}


CLAIM_OF_A_COPY: JsonDict = {
    "rule": "!has(self.volume) || has(self.volume.claimName)",
    "message": "name the claim of a copy's volume: the operator makes none for it",
}


class Verification(Model):
    """A level of verification, and when."""

    level: Level = Field(
        description="Repository: restic checks the repository, and every part of the set is read "
        "and compared with its checksum. Database: a server is started on the copy of the "
        "database, away from the cloud; its tables are checked, and compared with what was "
        "recorded when the copy was taken."
    )
    schedule: Schedule = Field(
        description="When, as a cron line of five fields in the policy's time zone. The newest "
        "verified set is taken; while it is at work no run of the repository begins."
    )
    read_percent: int = Field(
        10,
        ge=0,
        le=100,
        description="At level Repository: how much of all the repository's data is read besides "
        "the set, chosen anew each time.",
    )
    resources: Resources = Field(
        default_factory=Resources,
        description="What the container of this level may use, value by value in place of the "
        "policy's resources.",
    )


class RepositoryCopy(Model):
    """Another repository that gets every new recovery set of a policy."""

    name: Name = Field(description="Its name, by which the status speaks of it.")
    repository: Repository = Field(
        description="Where it is; one on a volume names its claim.",
        json_schema_extra={"x-kubernetes-validations": [ONE_REPOSITORY, CLAIM_OF_A_COPY]},
    )
    encryption_secret: Name | None = Field(
        None,
        description="Secret whose key `password` encrypts it; the policy's own when left out.",
    )


class PointInTime(Model):
    """How binary logs are shipped between recovery sets."""

    interval_seconds: int = Field(
        15,
        ge=5,
        le=300,
        description="Seconds from one shipment to the next: about what the loss of all database "
        "members costs.",
    )


def _of_periods(periods: str, most: int) -> Any:
    """Return the field of a rule that keeps one set of each of the newest periods.

    All rules of this kind keep fewer sets than a run is asked about (domains/backup/decide.py).
    """
    return Field(
        0,
        ge=0,
        le=most,
        description=f"Of so many {periods} that have a verified set, the newest ones in UTC, keep "
        "the newest set of each.",
    )


class BackupPolicySpec(Model):
    """What is backed up when, and where to."""

    controller: Name = Field(
        description="The CloudController to back up, in the same namespace.",
        json_schema_extra={
            "x-kubernetes-validations": [
                {
                    "rule": "self == oldSelf",
                    "message": "controller cannot change: make a new policy",
                }
            ]
        },
    )
    schedule: Schedule = Field(description="When, as a cron line of five fields.")
    time_zone: TimeZone | None = Field(None, description="IANA time zone; UTC when left out.")
    repository: Repository = Field(
        description="Where recovery sets are kept.",
        json_schema_extra={"x-kubernetes-validations": [ONE_REPOSITORY]},
    )
    encryption_secret: Name = Field(
        description="Secret of the user's whose key `password` encrypts the repository; without it "
        "no backup can ever be read again."
    )
    deadline_seconds: int = Field(
        3600, ge=60, le=86400, description="A run that takes longer failed."
    )
    degraded_patience_seconds: int = Field(
        1800,
        ge=0,
        le=86400,
        description="While the cloud is degraded (its condition Available is False, or "
        "QuorumAtRisk or DatabaseDegraded is True), a Backup that the schedule made waits up to so "
        "long, since a copy costs a member of the database much of its disk; then it begins all "
        "the same. A Backup that a person applied does not wait.",
    )
    keep_last: int = Field(
        14,
        ge=1,
        le=1000,
        description="Newest verified recovery sets of this policy to keep, counted in the "
        "repository: also those whose Backup is gone. A set stays that any of the keep fields "
        "keeps, and the newest verified one always does. With a set that none keeps goes the "
        "Backup that the schedule made of it; one that a person applied stays, and says "
        "BackupExpired.",
    )
    keep_hourly: int = _of_periods("hours", 336)
    keep_daily: int = _of_periods("days", 366)
    keep_weekly: int = _of_periods("ISO weeks, which begin on Monday,", 104)
    keep_monthly: int = _of_periods("months", 120)
    keep_yearly: int = _of_periods("years", 50)
    keep_within_days: int = Field(
        0,
        ge=0,
        le=3660,
        description="Keep all verified sets that are at most so many days older than the newest "
        "one; with 0 none is kept for its age.",
    )
    deletion_policy: DeletionPolicy = Field(
        DeletionPolicy.DELETE,
        description="What becomes of the recovery set when its Backup is deleted: Delete removes "
        "it first; Retain leaves it in the repository, where it counts for the keep fields. It "
        "also stays when this policy, its CloudController, Secrets or volume are gone, or the "
        "repository does not answer three times: an Event of the policy, RecoverySetLeft, then "
        "says so.",
    )
    verification: tuple[Verification, ...] = Field(
        (),
        max_length=4,
        description="Verifications of stored sets, by level; none unless it is asked for, since "
        "each takes as much memory and scratch space of a node as a restore would. A set that is "
        "found damaged is not restored.",
        json_schema_extra=list_map("level"),
    )
    copies: tuple[RepositoryCopy, ...] = Field(
        (),
        max_length=4,
        description="Other repositories into which the newest verified set is copied, part by part "
        "and proven as in a run; each is restored from by itself. The keep fields hold for each.",
        json_schema_extra=list_map("name"),
    )
    point_in_time: PointInTime | None = Field(
        None,
        description="With it, {} suffices, the database's transactions are shipped into the "
        "repository all the time, by a pod of its own, so that a Restore can set the cloud back "
        "to any time since the oldest set that they follow. Without it only sets are restored.",
    )
    resources: Resources = Field(
        default_factory=Resources,
        description="What each container of a run, of a verification, of a copy and of the "
        "shipping of binary logs may use; a level of verification may say otherwise.",
    )
    suspend: bool = Field(False, description="No scheduled runs while true.")


class VerificationResult(StrEnum):
    """How a verification ended."""

    PASSED = "Passed"
    DAMAGED = "Damaged"
    FAILED = "Failed"


class VerificationTables(StatusPart):
    """Tables of a verification of level Database."""

    compared: int = Field(0, ge=0, description="Tables whose rows were compared.")
    skipped: int = Field(
        0, ge=0, description="Tables whose rows were not: they changed while they were copied."
    )
    different: int = Field(0, ge=0, description="Tables that are not as they were recorded.")


class VerificationAgain(StatusPart):
    """Another verification of a set in quarantine."""

    backup: str = Field(max_length=253, description="The Backup.")
    job: str = Field(max_length=253, description="Its Job, whose log says more.")
    scheduled_time: datetime = Field(description="The schedule's mark that it follows.")
    last_time: datetime | None = Field(None, description="When it ended; none while it is at work.")
    result: VerificationResult | None = Field(
        None, description="Passed, which takes this level's mark back; Damaged; or Failed."
    )
    message: str | None = Field(None, max_length=4096, description="What it found.")


class VerificationStatus(StatusPart):
    """The verifications of a level."""

    level: Level = Field(description="The level.")
    last_scheduled_time: datetime | None = Field(
        None, description="The schedule's newest mark that was acted on."
    )
    job: str | None = Field(
        None, max_length=253, description="The Job of the newest one, whose log says more."
    )
    running: str | None = Field(
        None, max_length=253, description="The Backup that is being verified."
    )
    again: VerificationAgain | None = Field(
        None,
        description="The last verification of an older set that this level has put into "
        "quarantine; each time that the level is due one follows that of the newest set.",
    )
    waits: str | None = Field(None, max_length=1024, description="What one that is due waits for.")
    schedule: str | None = Field(
        None, max_length=256, description="Its schedule; none while the policy is suspended."
    )
    schedule_since: datetime | None = Field(
        None, description="Since when the schedule is as it is; earlier ones are not overdue."
    )
    last_time: datetime | None = Field(None, description="When the last one ended.")
    backup: str | None = Field(None, max_length=253, description="The Backup that it verified.")
    result: VerificationResult | None = Field(
        None,
        description="Passed; Damaged, where the set is not as it was taken; Failed, where it could "
        "not be made, which says nothing of the set.",
    )
    seconds: float | None = Field(None, ge=0, description="The time it took.")
    size_bytes: int | None = Field(
        None,
        ge=0,
        description="Bytes that were to be verified: of the set, at level Database of its copy of "
        "the database; none where its Backup is gone.",
    )
    tables: VerificationTables | None = Field(None, description="At level Database: its tables.")
    message: str | None = Field(None, max_length=4096, description="What it found.")


class CopyStatus(StatusPart):
    """What became of a policy's sets in another repository."""

    name: str = Field(max_length=253, description="The copy.")
    job: str | None = Field(
        None, max_length=253, description="The Job of the newest one, whose log says more."
    )
    running: str | None = Field(
        None, max_length=253, description="The Backup that is being copied."
    )
    waits: str | None = Field(None, max_length=1024, description="What one that is due waits for.")
    backup: str | None = Field(
        None, max_length=253, description="The Backup whose set was copied last, and verified."
    )
    copied_at: datetime | None = Field(None, description="When that was done.")
    bytes: int | None = Field(None, ge=0, description="What it added to the repository.")
    failed: str | None = Field(
        None, max_length=253, description="The Backup whose copy failed last, until one succeeds."
    )
    failed_at: datetime | None = Field(None, description="When that was; it is tried again.")
    message: str | None = Field(None, max_length=4096, description="Why it failed.")


class PointInTimeStatus(StatusPart):
    """The shipping of binary logs."""

    state: ShippingState | None = Field(
        None,
        description="Starting, Shipping, Waiting for a member or the repository, or Gap, after "
        "which only a new set can be followed; none while the shipper does not answer.",
    )
    message: str | None = Field(
        None, max_length=4096, description="What it waits for, or what is wrong and what to do."
    )
    member: str | None = Field(
        None, max_length=253, description="The database member that is followed."
    )
    history: str | None = Field(
        None, max_length=64, description="Uuid of the replicated history that is stored."
    )
    first: int | None = Field(
        None, ge=0, description="Sequence number of the first stored transaction."
    )
    last: int | None = Field(
        None, ge=0, description="Sequence number of the last stored transaction."
    )
    since: datetime | None = Field(None, description="Time of the first stored transaction.")
    until: datetime | None = Field(
        None, description="Time up to which all transactions are stored."
    )
    lag_seconds: float | None = Field(
        None,
        ge=0,
        description="The longest time from a transaction to its storage, since the report before.",
    )
    bytes: int = Field(
        0, ge=0, description="Bytes of binary logs that were stored since the shipper started."
    )
    pieces: int = Field(0, ge=0, description="Pieces of binary logs in the repository.")


class RecoverableWindow(StatusPart):
    """What a Restore can set the cloud back to."""

    since: datetime = Field(
        description="The oldest time: when the oldest set that the stored transactions follow was "
        "completed."
    )
    until: datetime = Field(
        description="The newest recoverable point. Without stored transactions after a set both "
        "times are those of the newest verified set."
    )


class BackupPolicyStatus(Status):
    """What the operator saw and did."""

    observed_generation: int = Field(0, ge=0, description="The generation the status speaks of.")
    conditions: Conditions = Field((), description="Conditions of the policy.")
    last_scheduled_time: datetime | None = Field(
        None,
        description="The schedule's newest mark that was acted on. Marks that came meanwhile share "
        "one Backup, and none is made while one still waits to begin.",
    )
    schedule_since: datetime | None = Field(
        None, description="Since when the schedule is as it is; earlier runs are not missed."
    )
    last_backup: str | None = Field(None, max_length=253, description="The newest Backup.")
    last_successful_backup: str | None = Field(
        None, max_length=253, description="The newest verified Backup."
    )
    last_successful_time: datetime | None = Field(None, description="When that was completed.")
    verifications: tuple[VerificationStatus, ...] = Field(
        (),
        max_length=4,
        description="Verifications of stored sets.",
        json_schema_extra=list_map("level"),
    )
    copies: tuple[CopyStatus, ...] = Field(
        (),
        max_length=4,
        description="Copies of the sets in other repositories.",
        json_schema_extra=list_map("name"),
    )
    point_in_time: PointInTimeStatus | None = Field(
        None, description="The shipping of binary logs, where it is asked for."
    )
    recoverable: RecoverableWindow | None = Field(
        None,
        description="Which points in time a Restore can choose, where binary logs are shipped; "
        "none before the first verified set.",
    )
    children: Children = Field((), description="Children as last applied.")


class BackupSpec(Model):
    """One run of a policy; an on-demand run is just this, applied."""

    policy: Name = Field(description="The BackupPolicy to run.")


class BackupStep(StatusPart):
    """One part of a recovery set."""

    name: str = Field(
        max_length=63,
        description="database, tables, ovn-nb, ovn-sb, secrets, state, resources, verify ...",
    )
    bytes: int = Field(0, ge=0, description="Bytes read.")
    seconds: float = Field(0, ge=0, description="Time taken.")
    sha256: str | None = Field(None, max_length=64, description="Checksum of what was read.")
    snapshot: str | None = Field(None, max_length=64, description="restic's snapshot id.")
    message: str | None = Field(None, max_length=4096, description="What went wrong.")


class BackupProgress(StatusPart):
    """How far a run is."""

    part: str = Field(
        "",
        max_length=80,
        description="What is being done: the name of a part while it is copied, `verify` and the "
        "name while it is read back, `repository`, `verify`, `retention`.",
    )
    bytes: int = Field(0, ge=0, description="Bytes of this part so far.")
    bytes_per_second: int = Field(0, ge=0, description="Rate over the last ten seconds.")
    message: str | None = Field(
        None, max_length=1024, description="What the repository fails with at this time."
    )


class Quarantine(StatusPart):
    """Why a set is not restored."""

    level: Level = Field(description="The level of the verification that found it damaged.")
    since: datetime = Field(description="When the first one that did so ended.")
    last_time: datetime | None = Field(None, description="When the last one that did so ended.")
    message: str = Field("", max_length=4096, description="What the last one found.")


def _marks(value: Any) -> Any:
    """Return marks of quarantine as a list: a former version had one for all levels."""
    return [value] if isinstance(value, dict) else value


class BackupStatus(Status):
    """What became of the run."""

    observed_generation: int = Field(0, ge=0, description="The generation the status speaks of.")
    conditions: Conditions = Field((), description="Conditions: Reconciled, Complete, Ready.")
    started_at: datetime | None = Field(None, description="When the run began.")
    completed_at: datetime | None = Field(None, description="When it ended, either way.")
    duration_seconds: int | None = Field(None, ge=0, description="Seconds it took.")
    size_bytes: int | None = Field(None, ge=0, description="Bytes read in all.")
    stored_bytes: int | None = Field(
        None, ge=0, description="Bytes this run added to the repository."
    )
    snapshot: str | None = Field(
        None, max_length=64, description="restic's snapshot id of the manifest."
    )
    source: str | None = Field(
        None, max_length=253, description="The database member it was taken from."
    )
    position: str | None = Field(
        None, max_length=256, description="wsrep uuid:seqno of the database copy."
    )
    verified: bool = Field(
        False, description="The repository's own check passed and checksums agreed."
    )
    quarantine: Annotated[tuple[Quarantine, ...], BeforeValidator(_marks)] = Field(
        (),
        max_length=4,
        description="The levels whose last verification found the set damaged: a Restore of it "
        "does not begin without a consent. One of the same level that passes takes its mark back.",
        json_schema_extra=list_map("level"),
    )
    expired_backups: tuple[Annotated[str, Field(max_length=253)], ...] = Field(
        (),
        max_length=EXPIRED_LIMIT,
        description="Older Backups of the policy that were verified, and whose sets are not in the "
        "repository any more, as this run found after retention; the oldest ones, where there are "
        "more: the next run names the others.",
    )
    progress: BackupProgress | None = Field(
        None, description="How far the run is, at most ten seconds old; none once it has ended."
    )
    steps: tuple[BackupStep, ...] = Field(
        (),
        max_length=32,
        description="Parts of the recovery set.",
        json_schema_extra=list_map("name"),
    )
    children: Children = Field((), description="Children as last applied.")


IMMUTABLE = [{"rule": "self == oldSelf", "message": "a Backup cannot change: apply a new one"}]

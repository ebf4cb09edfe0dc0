"""BackupPolicy: what the operator saw and did."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from stackroles.agents.backup.verification_protocol import Level
from stackroles.agents.binlog.protocol import ShippingState
from stackroles.api.v1alpha1.common import (
    Children,
    Conditions,
    Status,
    StatusPart,
    list_map,
)


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

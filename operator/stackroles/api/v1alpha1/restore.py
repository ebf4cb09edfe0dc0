"""Restore: a recovery set takes the place of what a cloud has."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from stackroles.api.v1alpha1.common import (
    Children,
    Conditions,
    Model,
    Name,
    Status,
    StatusPart,
    list_map,
)
from stackroles.api.v1alpha1.repository import ONE_REPOSITORY, Repository


class SafetyBackup(StrEnum):
    """Whether what is about to be overwritten is backed up first."""

    WHEN_SERVING = "WhenServing"
    NEVER = "Never"


class RecoverySet(Model):
    """A recovery set whose Backup is not there, as after the loss of its cluster."""

    policy: Name = Field(
        description="The BackupPolicy under which it was taken. It names repository, key and cloud "
        "where `repository` does not."
    )
    name: Name | None = Field(
        None,
        description="The set: the name that its Backup had; left out, the policy's newest whole "
        "one.",
    )
    repository: Repository | None = Field(
        None,
        description="Where the set is kept, so that no BackupPolicy is needed. A CloudController "
        "that does not exist is made as the set has it, with its ComputePools, BackupPolicies and "
        "Secrets.",
        json_schema_extra={"x-kubernetes-validations": [ONE_REPOSITORY]},
    )
    encryption_secret: Name | None = Field(
        None, description="Secret of the user's whose key `password` opens that repository."
    )


class RestoreSpec(Model):
    """Which recovery set comes back, and what may be overwritten for it."""

    backup: Name | None = Field(
        None,
        description="The Backup whose recovery set is restored; its BackupPolicy names the "
        "repository and the CloudController.",
    )
    recovery_set: RecoverySet | None = Field(
        None,
        description="A recovery set of a repository in place of `backup`, where there is no Backup "
        "of it any more.",
    )
    point_in_time: datetime | None = Field(
        None,
        description="A time after the set was completed, RFC 3339: the transactions before it are "
        "applied to the copy, from the binary logs that the policy's pointInTime ships. With a "
        "recoverySet without a name the newest Backup of the policy that was completed by then is "
        "taken. Whole seconds count.",
    )
    dry_run: bool = Field(
        False,
        description="Only find out what a restore would do and what it lacks; status.preflight has "
        "the answer. Set it to false and the restore begins.",
    )
    overwrite: Name | None = Field(
        None,
        description="Consent to lose what the cloud has written since the recovery set: the name "
        "of the CloudController. Nothing is stopped before it is given; a cloud that has no data "
        "needs none.",
    )
    allow_quarantined: Name | None = Field(
        None,
        description="Consent to restore a set that a verification found damaged: the name of its "
        "Backup.",
    )
    safety_backup: SafetyBackup = Field(
        SafetyBackup.WHEN_SERVING,
        description="WhenServing: a Backup of what is about to be overwritten is made and verified "
        "first, unless the database does not serve. Never: it is not.",
    )


def _unchanged(field: str) -> str:
    """Return the rule that a field of the spec stays as it is."""
    return (
        f"has(self.{field}) == has(oldSelf.{field}) && "
        f"(!has(self.{field}) || self.{field} == oldSelf.{field})"
    )


SOURCE_RULES = (
    {
        "rule": "has(self.backup) != has(self.recoverySet)",
        "message": "name exactly one of backup and recoverySet",
    },
    {
        "rule": "!has(self.recoverySet) || "
        "has(self.recoverySet.repository) == has(self.recoverySet.encryptionSecret)",
        "message": "recoverySet.repository and recoverySet.encryptionSecret come together",
    },
    {
        "rule": f"{_unchanged('backup')} && {_unchanged('recoverySet')} && "
        f"{_unchanged('pointInTime')}",
        "message": "what is restored cannot change: apply a new Restore",
    },
)


class Preflight(StatusPart):
    """What a restore would do, and what it lacks."""

    missing: tuple[str, ...] = Field(
        (), max_length=32, description="What is missing, each with what to do; sentences."
    )
    overwrites: tuple[str, ...] = Field(
        (), max_length=32, description="What is lost by the restore; sentences."
    )
    makes: tuple[str, ...] = Field(
        (), max_length=32, description="What is made that does not exist; sentences."
    )
    recovery_set: str | None = Field(
        None, max_length=253, description="The recovery set that was read."
    )
    taken_at: datetime | None = Field(None, description="When the recovery set was begun.")
    set_bytes: int = Field(0, ge=0, description="Bytes of the recovery set.")
    database_bytes: int = Field(0, ge=0, description="Bytes of its copy of the database.")
    position: str | None = Field(
        None, max_length=256, description="wsrep uuid:seqno of the database copy."
    )
    transactions_since: datetime | None = Field(
        None,
        description="With pointInTime: the time of the first stored transaction of the set's "
        "history.",
    )
    transactions_until: datetime | None = Field(
        None,
        description="With pointInTime: the time up to which all transactions are stored.",
    )
    release: str | None = Field(
        None, max_length=64, description="The release of OpenStack that the set was made of."
    )


class RestorePhase(StatusPart):
    """One phase of a restore."""

    name: str = Field(max_length=63, description="The phase.")
    started_at: datetime = Field(description="When it began.")
    completed_at: datetime | None = Field(None, description="When it was done.")
    message: str | None = Field(None, max_length=1024, description="What it waits for, or did.")


class RestoreStatus(Status):
    """How far the restore is."""

    observed_generation: int = Field(0, ge=0, description="The generation the status speaks of.")
    conditions: Conditions = Field((), description="Conditions: Reconciled, Complete, Ready.")
    phase: str | None = Field(None, max_length=63, description="The phase under way.")
    phases: tuple[RestorePhase, ...] = Field(
        (), max_length=16, description="Phases so far.", json_schema_extra=list_map("name")
    )
    controller: str | None = Field(None, max_length=253, description="The CloudController.")
    recovery_set: str | None = Field(
        None, max_length=253, description="The recovery set, by the name of its Backup."
    )
    preflight: Preflight | None = Field(None, description="What was found before anything stopped.")
    safety_backup: str | None = Field(
        None,
        max_length=253,
        description="The Backup of what was overwritten; restore it to take the restore back.",
    )
    position: str | None = Field(
        None, max_length=256, description="wsrep uuid:seqno at which the restored history begins."
    )
    added_keys: int | None = Field(
        None, ge=0, description="Keys of key repositories that came from the set."
    )
    tables: int | None = Field(None, ge=0, description="Tables of services in the restored copy.")
    recovery_point: datetime | None = Field(
        None,
        description="The time that the cloud was set back to: when the copy was begun, or with "
        "pointInTime that of the last transaction that was applied.",
    )
    transactions: int | None = Field(
        None, ge=0, description="Transactions that were applied to the copy, with pointInTime."
    )
    started_at: datetime | None = Field(None, description="When the restore began.")
    stopped_at: datetime | None = Field(None, description="When the APIs were paused.")
    completed_at: datetime | None = Field(None, description="When it ended, either way.")
    recovery_seconds: int | None = Field(
        None, ge=0, description="Seconds from the pause of the APIs until they served again."
    )
    children: Children = Field((), description="Children as last applied.")

"""BackupPolicy: what is backed up when, where to, and what becomes of it."""

from typing import Any

from pydantic import Field
from pydantic.config import JsonDict

from stackroles.agents.backup.verification_protocol import Level
from stackroles.api.v1alpha1.common import (
    DeletionPolicy,
    Model,
    Name,
    Resources,
    list_map,
)
from stackroles.api.v1alpha1.repository import ONE_REPOSITORY, Repository
from stackroles.api.v1alpha1.schedule import Schedule, TimeZone

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

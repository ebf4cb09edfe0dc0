"""Backup: one recovery set of a cloud."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from stackroles.agents.backup.protocol import EXPIRED_LIMIT
from stackroles.agents.backup.verification_protocol import Level
from stackroles.api.v1alpha1.common import (
    Children,
    Conditions,
    Model,
    Name,
    Status,
    StatusPart,
    list_map,
)


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

"""Housekeeping of a CloudController: what becomes of rows that its services marked as deleted."""

from datetime import datetime
from enum import StrEnum
from typing import Final

from pydantic import Field

from stackroles.api.v1alpha1.common import Model, StatusPart
from stackroles.api.v1alpha1.schedule import Schedule, TimeZone

DAYS: Final = 90
"""How long rows are kept by default."""


class HousekeepingMode(StrEnum):
    """What a run does with deleted rows."""

    REPORT = "Report"
    PURGE = "Purge"


class HousekeepingResult(StrEnum):
    """How a run of one service ended."""

    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class Housekeeping(Model):
    """What becomes of rows that services marked as deleted."""

    schedule: Schedule = Field(
        description="When, as a cron line of five fields. A Job that is made of the CronJob by "
        "hand is a run as well."
    )
    time_zone: TimeZone | None = Field(None, description="IANA time zone; UTC when left out.")
    older_than_days: int = Field(
        DAYS,
        ge=1,
        le=3650,
        description="Rows that were deleted longer ago count. glance's images are kept for 180 "
        "days at least; keystone's deleted trusts count at once.",
    )
    mode: HousekeepingMode = Field(
        HousekeepingMode.REPORT,
        description="Report counts the rows and changes nothing. Purge removes them for good, of "
        "each service whose rows a Report has counted for this olderThanDays.",
    )
    suspend: bool = Field(False, description="No runs while true; one under way goes on.")


class ServiceHousekeeping(StatusPart):
    """The last run of one service."""

    service: str = Field(max_length=63, description="The service.")
    mode: HousekeepingMode = Field(description="What the run did.")
    older_than_days: int = Field(0, ge=0, description="The age that it was asked for.")
    last_time: datetime = Field(description="When it was due.")
    result: HousekeepingResult = Field(description="How it ended.")
    rows: int = Field(0, ge=0, description="Rows that it counted, or removed.")
    left: int = Field(0, ge=0, description="Rows of those it counted that are left.")
    seconds: float = Field(0, ge=0, description="Seconds it took.")
    reported_days: int | None = Field(
        None,
        ge=0,
        description="The olderThanDays of the last Report that succeeded: what a Purge needs.",
    )
    message: str | None = Field(
        None, max_length=2048, description="The tables with most rows, or what failed."
    )

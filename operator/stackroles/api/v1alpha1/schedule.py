"""When something is done again and again: a cron line and its time zone."""

from typing import Annotated

from pydantic import Field

_STEP = r"(/[1-9][0-9]?)?"


def _cron_field(value: str) -> str:
    """Return the pattern of one cron field: values, ranges, steps and lists of them."""
    item = rf"(\*|{value}(-{value})?){_STEP}"
    return rf"{item}(,{item})*"


_MINUTE = _cron_field(r"([0-5]?[0-9])")
_HOUR = _cron_field(r"(2[0-3]|[01]?[0-9])")
_DAY = _cron_field(r"(3[01]|[12][0-9]|0?[1-9])")
_MONTH = _cron_field(r"(1[0-2]|0?[1-9]|(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))")
_WEEKDAY = _cron_field(r"([0-6]|(?i:sun|mon|tue|wed|thu|fri|sat))")
# The standard cron line as the CronJob controller reads it: five fields, or a macro. Sunday is 0
# only (the API server refuses a CronJob with 7).
CRON = (
    r"^(@(yearly|annually|monthly|weekly|daily|midnight|hourly)|"
    rf"{_MINUTE} +{_HOUR} +{_DAY} +{_MONTH} +{_WEEKDAY})$"
)
Schedule = Annotated[str, Field(max_length=128, pattern=CRON)]
TimeZone = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_+/-]+$")]

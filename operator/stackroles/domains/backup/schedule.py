"""When a schedule's runs are due, to find that one did not come.

The cluster's CronJob controller makes the runs; this only looks whether it did. It reads a line as
that controller does: github.com/robfig/cron v3, which CRON in api/v1alpha1/schedule.py describes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

_MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
# The most days that each month has.
_LENGTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
# 29 February may be eight years away.
_HORIZON = 8 * 366
# A run may begin late: the CronJob's startingDeadlineSeconds, and some for a busy control plane.
_GRACE = timedelta(minutes=15)
# Clocks of the API server and of who made the trigger may differ a little.
_SKEW = timedelta(minutes=1)
# Local times are taken as UTC, so that no table of time zones is needed: they are this far apart.
_ZONES = timedelta(hours=14)


@dataclass(frozen=True, slots=True)
class _Field:
    values: frozenset[int]
    free: bool


def _field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> _Field:
    values: set[int] = set()
    free = False

    def number(word: str) -> int:
        return names.index(word.lower()) + low if word.lower() in names else int(word)

    for item in text.split(","):
        span, _, step = item.partition("/")
        first, _, last = span.partition("-")
        width = int(step or 1)
        if first == "*":
            begin, end = low, high
            free = free or width == 1
        else:
            begin = number(first)
            end = number(last) if last else high if step else begin
        values.update(range(begin, end + 1, width))
    return _Field(frozenset(values), free)


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron line."""

    minutes: _Field
    hours: _Field
    days: _Field
    months: _Field
    weekdays: _Field

    @classmethod
    def of(cls, line: str) -> "Schedule":
        """Return the schedule of a line that CRON accepts."""
        minute, hour, day, month, weekday = _MACROS.get(line, line).split()
        return cls(
            _field(minute, 0, 59),
            _field(hour, 0, 23),
            _field(day, 1, 31),
            _field(month, 1, 12, _MONTHS),
            _field(weekday, 0, 6, _DAYS),
        )

    @property
    def is_never_due(self) -> bool:
        """Whether none of the months has one of the days, and no given weekday is due instead.

        A range that ends before it begins is another matter: the API server refuses its CronJob.
        """
        longest = max((_LENGTHS[month - 1] for month in self.months.values), default=31)
        return self.weekdays.free and min(self.days.values, default=0) > longest

    def latest(self, at: datetime) -> datetime | None:
        """Return the last due time at or before `at`, None when there is none in eight years."""
        limit = at.replace(second=0, microsecond=0)
        for back in range(_HORIZON):
            day = (limit - timedelta(days=back)).date()
            if day.month not in self.months.values or not self._is_day(day.day, day.isoweekday()):
                continue
            for hour in sorted(self.hours.values, reverse=True):
                for minute in sorted(self.minutes.values, reverse=True):
                    found = datetime.combine(day, time(hour, minute), UTC)
                    if found <= limit:
                        return found
        return None

    def _is_day(self, day: int, weekday: int) -> bool:
        of_month, of_week = day in self.days.values, weekday % 7 in self.weekdays.values
        if self.days.free or self.weekdays.free:
            return of_month and of_week
        return of_month or of_week


def fell_behind(line: str, *, local: bool, since: datetime, now: datetime) -> datetime | None:
    """Return when the first of two runs in a row was due that did not end, None for no such.

    Args:
        line: the cron line.
        local: whether it is in a time zone of its own; it is then reported a day later.
        since: when the last one ended, or the line came into force.
        now: the time of the observation.
    """
    slack = _ZONES if local else timedelta()
    schedule = Schedule.of(line)
    last = schedule.latest(now - _GRACE - slack)
    first = schedule.latest(last - timedelta(minutes=1)) if last else None
    return first if first and first - slack > since else None


def missed(
    line: str, *, local: bool, since: datetime, last: datetime | None, now: datetime
) -> datetime | None:
    """Return when a run was due that did not come, None when all came.

    Args:
        line: the cron line.
        local: whether it is in a time zone of its own; a missed run is then reported a day later.
        since: when the line came into force.
        last: the newest run that came.
        now: the time of the observation.
    """
    slack = _ZONES if local else timedelta()
    due = Schedule.of(line).latest(now - _GRACE - slack)
    if due is None or due - slack < since:
        return None
    return due if last is None or last < due - slack - _SKEW else None

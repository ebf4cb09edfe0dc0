"""Which recovery sets of a policy stay: the newest ones, young ones, and those of past periods.

Pure. Runs inside role pods: standard library only.
"""

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from stackroles.agents.backup.protocol import RetentionRules


@dataclass(frozen=True, slots=True)
class RecoverySet:
    """A recovery set as retention sees it.

    Attributes:
        name: its name, unique among the sets of a policy.
        time: when its newest snapshot was begun, in UTC.
        verified: whether it has a manifest.
    """

    name: str
    time: datetime
    verified: bool


@dataclass(frozen=True, slots=True)
class Retained:
    """What retention decides, as names of sets.

    Attributes:
        kept: the verified sets that stay, the newest first.
        removed: verified sets that no rule keeps, and unfinished ones.
    """

    kept: tuple[str, ...]
    removed: tuple[str, ...]


def retain(
    sets: Iterable[RecoverySet], rules: RetentionRules, now: datetime, live: Collection[str] = ()
) -> Retained:
    """Return which sets of one policy stay: each that any of its rules keeps.

    The newest verified set stays whatever the rules are. Where a clock was ahead, so that sets have
    times to come, the newest of the others stays as well. One run is at work at a time, so a set
    without a manifest is of a run that broke off, unless it is of the run itself.

    Args:
        sets: all sets of the policy, in any order.
        rules: what to keep.
        now: the time of the decision.
        live: the sets of runs at work, finished or not: they are never removed.
    """
    known = tuple(sets)
    verified = sorted(
        (each for each in known if each.verified),
        key=lambda each: (each.time, each.name),
        reverse=True,
    )
    kept = {each.name for each in _kept(verified, rules, now)} | set(live)
    return Retained(
        tuple(each.name for each in verified if each.name in kept),
        tuple(each.name for each in known if each.name not in kept),
    )


def _kept(
    verified: list[RecoverySet], rules: RetentionRules, now: datetime
) -> Iterator[RecoverySet]:
    """Yield the verified sets that a rule keeps, some of them twice.

    Args:
        verified: the newest first.
        rules: what to keep.
        now: the time of the decision.
    """
    yield from verified[: max(rules.last, 1)]
    yield from [each for each in verified if each.time <= now][:1]
    if rules.within_days:
        oldest = now - timedelta(days=rules.within_days)
        yield from (each for each in verified if each.time >= oldest)
    for count, period in (
        (rules.hourly, _hour),
        (rules.daily, _day),
        (rules.weekly, _week),
        (rules.monthly, _month),
        (rules.yearly, _year),
    ):
        yield from _newest_of(verified, count, period)


def _newest_of(
    verified: list[RecoverySet], count: int, period: Callable[[datetime], Hashable]
) -> list[RecoverySet]:
    """Return the newest set of each of the newest periods that have one."""
    newest: dict[Hashable, RecoverySet] = {}
    for each in verified:
        newest.setdefault(period(each.time), each)
    return list(newest.values())[:count]


def _hour(time: datetime) -> Hashable:
    return time.date(), time.hour


def _day(time: datetime) -> Hashable:
    return time.date()


def _week(time: datetime) -> Hashable:
    """Return the year and number of a week that begins on Monday (ISO 8601)."""
    return time.isocalendar()[:2]


def _month(time: datetime) -> Hashable:
    return time.year, time.month


def _year(time: datetime) -> Hashable:
    return time.year

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
        name: the Backup that it is of.
        time: when its newest manifest's snapshot was begun, in UTC; of an unfinished set that of
            its newest part.
        verified: whether it has a manifest.
        damaged: whether a verification found it damaged since, so that it is in quarantine.
        uid: of the Backup, which tells it from another of the same name; empty in sets of former
            versions.
    """

    name: str
    time: datetime
    verified: bool
    damaged: bool = False
    uid: str = ""

    @property
    def key(self) -> "Key":
        """Unique among the sets of a policy."""
        return self.name, self.uid


Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Retained:
    """What retention decides.

    Attributes:
        kept: the verified sets that stay, the newest first.
        removed: verified sets that no rule keeps, and unfinished ones.
    """

    kept: tuple[RecoverySet, ...]
    removed: tuple[RecoverySet, ...]


def retain(
    sets: Iterable[RecoverySet], rules: RetentionRules, now: datetime, live: Collection[Key] = ()
) -> Retained:
    """Return which sets of one policy stay: each that any of its rules keeps.

    The newest verified set stays whatever the rules are, and the newest that is not damaged. Where
    a clock was ahead, so that sets have times to come, the newest of the others stays as well. A
    damaged set takes no other's place, and stays itself as long as if it were not: a later
    verification may take it back. One run is at work at a time, so a set without a manifest is of
    a run that broke off, unless it is of the run itself.

    What stays depends on `now` only where a set has a time to come: without a new set nothing more
    is removed, however often this is asked.

    Args:
        sets: all sets of the policy, in any order.
        rules: what to keep.
        now: the time of the decision.
        live: the sets of runs at work, finished or not: they are never removed.
    """
    known = tuple(sets)
    verified = sorted(
        (each for each in known if each.verified),
        key=lambda each: (each.time, each.key),
        reverse=True,
    )
    good = [each for each in verified if not each.damaged]
    kept = {each.key for each in (*_kept(good, rules, now), *_kept(verified, rules, now))}
    kept |= set(live)
    return Retained(
        tuple(each for each in verified if each.key in kept),
        tuple(each for each in known if each.key not in kept),
    )


def unfinished(sets: Iterable[RecoverySet]) -> tuple[RecoverySet, ...]:
    """Return the sets that runs left which broke off, while none is at work."""
    return tuple(each for each in sets if not each.verified)


def _kept(
    verified: list[RecoverySet], rules: RetentionRules, now: datetime
) -> Iterator[RecoverySet]:
    """Yield the sets that a rule keeps, some of them twice.

    Args:
        verified: the newest first.
        rules: what to keep.
        now: the time of the decision.
    """
    yield from verified[: max(rules.last, 1)]
    past = [each for each in verified if each.time <= now]
    yield from past[:1]
    if rules.within_days and verified:
        # As restic counts: from the newest set, so that a pause of the runs costs none.
        oldest = (past or verified)[0].time - timedelta(days=rules.within_days)
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

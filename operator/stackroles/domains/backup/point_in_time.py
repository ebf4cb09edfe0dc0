"""What follows from the shipping of binary logs: the recoverable window, and its condition; pure.

A verified set lies inside the chain of stored transactions when its copy was begun after the first
of them: the copy ends in a transaction that came later, and all that follow it are stored.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from stackroles import naming
from stackroles.agents.binlog.protocol import Coverage, ShipperReport, ShippingState
from stackroles.api.v1alpha1.backup_policy_status import PointInTimeStatus, RecoverableWindow
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding

# An older newest point is no continuous shipping any more; the alert has the same limit.
STALE: Final = timedelta(minutes=5)
# A full backup that failed is asked for again after this.
_PAUSE: Final = timedelta(minutes=15)
_KEY: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredSet:
    """A Backup of the policy, as the shipping sees it.

    Attributes:
        name: the Backup.
        created: when it was made.
        history: the history that its copy is of, by its uuid; empty where that is not known.
        began: when its run began, None before.
        completed: when that ended, None before.
        verified: whether it ended with a verified set, which is still there.
    """

    name: str
    created: datetime
    history: str = ""
    began: datetime | None = None
    completed: datetime | None = None
    verified: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipping:
    """What is known of the shipping.

    Attributes:
        report: the shipper's newest report, None where it does not answer.
        problem: why it does not, or why it is stopped.
        stopped: whether it is stopped on purpose.
        former: what the policy's status says so far, which stays true of the repository.
    """

    report: ShipperReport | None
    problem: str = ""
    stopped: bool = False
    former: PointInTimeStatus | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a policy says of its points in time.

    Attributes:
        status: of the shipping.
        window: what can be recovered, None where nothing can.
        finding: the condition PointInTimeReady.
    """

    status: PointInTimeStatus
    window: RecoverableWindow | None
    finding: Finding


def judge(shipping: Shipping, sets: Sequence[StoredSet], now: datetime) -> Judgement:
    """Return what a policy says of its points in time.

    Args:
        shipping: what is known of the shipping.
        sets: all Backups of the policy.
        now: the time of the observation.
    """
    status = _status(shipping)
    window = _chained(status, sets)
    finding = _finding(shipping, status, window, now)
    return Judgement(status=status, window=window or _newest(sets), finding=finding)


def _status(shipping: Shipping) -> PointInTimeStatus:
    report, former = shipping.report, shipping.former or PointInTimeStatus()
    if report is None:
        gone = {"state": None, "message": shipping.problem or None, "lag_seconds": None}
        return former.model_copy(update=gone)
    coverage = report.coverage
    stored = bool(coverage.history)
    if report.state is ShippingState.STARTING and not stored:
        # It has not read yet what it stored before.
        return former.model_copy(update={"state": report.state, "message": report.message or None})
    return PointInTimeStatus(
        state=report.state,
        message=report.message or None,
        member=report.member or None,
        history=coverage.history or None,
        first=coverage.first if stored else None,
        last=coverage.last if stored else None,
        since=_time(coverage.since) if stored else None,
        until=_time(coverage.until) if stored else None,
        lag_seconds=report.lag,
        bytes=report.bytes,
        pieces=report.pieces,
    )


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _chained(status: PointInTimeStatus, sets: Iterable[StoredSet]) -> RecoverableWindow | None:
    """Return the window from the oldest set inside the chain to the chain's end, None without.

    A copy is of the time at which it ended, so that times before its set was completed are not
    promised.
    """
    if status.since is None or status.until is None:
        return None
    completed = [
        one.completed
        for one in sets
        if one.verified
        and one.history == status.history
        and one.began is not None
        and one.completed is not None
        and status.since <= one.began
        and one.completed <= status.until
    ]
    return RecoverableWindow(since=min(completed), until=status.until) if completed else None


def _newest(sets: Iterable[StoredSet]) -> RecoverableWindow | None:
    """Return the newest verified set as the only point, None without one."""
    began = [one.began for one in sets if one.verified and one.began is not None]
    return RecoverableWindow(since=max(began), until=max(began)) if began else None


def _finding(
    shipping: Shipping,
    status: PointInTimeStatus,
    window: RecoverableWindow | None,
    now: datetime,
) -> Finding:
    if shipping.stopped:
        return Finding(Reason.SHIPPING_WAITS, shipping.problem)
    match status.state:
        case None:
            return Finding(Reason.SHIPPER_MISSING, shipping.problem)
        case ShippingState.STARTING:
            return Finding(Reason.SHIPPING_STARTS, status.message or "The shipper starts.")
        case ShippingState.WAITING:
            return Finding(Reason.SHIPPING_WAITS, status.message or "It waits for a member.")
        case ShippingState.GAP:
            return Finding(
                Reason.BINLOG_GAP,
                f"{status.message or 'Transactions are missing.'} No time after the gap can be "
                "recovered before a recovery set was begun after it: a Backup is made at once, "
                "unless spec.suspend is set; apply one then.",
            )
        case ShippingState.SHIPPING:
            return _of_window(status, window, now)


def _of_window(
    status: PointInTimeStatus, window: RecoverableWindow | None, now: datetime
) -> Finding:
    if window is None:
        return Finding(
            Reason.NO_SET,
            f"Transactions of history {status.history or 'unknown'} are stored up to "
            f"{_until(status)}, and no verified recovery set has been completed inside of them: "
            "without one they cannot be applied. A Backup is made, unless spec.suspend is set; "
            "apply one then.",
        )
    if now - window.until > STALE:
        return Finding(
            Reason.SHIPPING_WAITS,
            f"The newest stored transactions are of {_until(status)}: see the log of the "
            "shipper's pod, and whether the members' clocks are right.",
        )
    return Finding(
        Reason.WINDOW_OPEN,
        "Any time since the first verified set inside of the stored transactions can be restored: "
        "status.recoverable.",
    )


def _until(status: PointInTimeStatus) -> str:
    return f"{status.until:%Y-%m-%d %H:%M:%S} UTC" if status.until else "now"


def backup_wanted(
    policy: str, report: ShipperReport | None, sets: Sequence[StoredSet], now: datetime
) -> str | None:
    """Return the name of the Backup without which nothing new can be recovered, None of none.

    One is wanted for a chain that no set lies inside of: it begins after a gap, or with a new
    history, or when the shipping itself begins. While another is under way that is awaited, and a
    verified one that was made for the same chain and does not help is not followed by another: it
    would only push out good sets.

    Args:
        policy: the BackupPolicy.
        report: the shipper's newest report, None where it does not answer.
        sets: all Backups of the policy.
        now: the time of the decision.
    """
    if report is None or report.state not in (ShippingState.SHIPPING, ShippingState.GAP):
        return None
    coverage = report.coverage
    if not coverage.history or _is_followed(coverage, sets):
        return None
    if any(one.completed is None for one in sets):
        return None
    prefix = f"{policy}-gap-{naming.digest([coverage.history, coverage.first], _KEY)}-"
    asked = [one for one in sets if one.name.startswith(prefix)]
    if any(one.verified or now - one.created < _PAUSE for one in asked):
        return None
    return f"{prefix}{int(now.timestamp()) // 60}"


def _is_followed(coverage: Coverage, sets: Iterable[StoredSet]) -> bool:
    """Return whether a verified set lies inside the chain, or will once that has passed it."""
    since = _time(coverage.since)
    return any(
        one.verified
        and one.began is not None
        and since <= one.began
        and one.history == coverage.history
        for one in sets
    )

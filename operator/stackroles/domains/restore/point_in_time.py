"""A point in time that a Restore asks for: which set comes before it, and what it lacks; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from stackroles.agents.backup.reader_protocol import Manifest
from stackroles.agents.binlog.protocol import Coverage
from stackroles.api.v1alpha1.backup import BackupStatus

Object = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A point in time that is asked for.

    Attributes:
        at: the time.
        completed: when the set was completed, None where that is not known.
        coverage: which transactions of the set's history are stored.
    """

    at: datetime
    completed: datetime | None
    coverage: Coverage


def newest_before(backups: Iterable[Object], at: datetime) -> str | None:
    """Return the newest verified Backup that was completed by a time, None without one."""
    found = []
    for backup in backups:
        status = BackupStatus.model_validate(backup.get("status") or {})
        if status.verified and status.completed_at and status.completed_at <= at:
            found.append((status.completed_at, str(backup["metadata"]["name"])))
    return max(found)[1] if found else None


def history_of(manifest: Manifest) -> str:
    """Return the uuid of the history that a set is of, empty where it does not say."""
    return (manifest.position or "").partition(":")[0]


def completed_at(manifest: Manifest, backup: Object | None) -> datetime | None:
    """Return when a set was completed: as its Backup says, or at the earliest by its parts."""
    status = BackupStatus.model_validate((backup or {}).get("status") or {})
    if status.verified and status.completed_at:
        return status.completed_at
    if not manifest.time:
        return None
    took = timedelta(seconds=sum(part.seconds for part in manifest.parts))
    return datetime.fromisoformat(manifest.time) + took


def find_missing(asked: Asked, history: str, began: datetime | None) -> list[str]:
    """Return what a point in time lacks, a sentence each.

    Args:
        asked: what is asked for.
        history: the history that the set is of.
        began: when the set was begun, None where that is not known.
    """
    missing, at, coverage = [], _text(asked.at), asked.coverage
    if asked.completed is not None and asked.at < asked.completed:
        missing.append(
            f"spec.pointInTime {at} is before the recovery set was completed, at "
            f"{_text(asked.completed)}: restore an earlier Backup, or a time after that."
        )
    if not coverage.history or coverage.history != history:
        missing.append(
            f"No transactions of the recovery set's history {history or '(unknown)'} are stored: "
            "restore the set without spec.pointInTime, or a Backup that the binary logs follow "
            "(status.recoverable of its BackupPolicy)."
        )
        return missing
    since, until = _time(coverage.since), _time(coverage.until)
    if began is not None and began < since:
        missing.append(
            f"Transactions are stored since {_text(since)} without a gap, and the recovery set was "
            f"begun before, at {_text(began)}: restore a Backup that was begun later."
        )
    if asked.at > until:
        missing.append(
            f"spec.pointInTime {at} is after what is stored, which is up to {_text(until)}: choose "
            "a time up to that, or wait until it is stored."
        )
    return missing


def stored(asked: Asked | None) -> dict[str, datetime | None]:
    """Return the fields of a preflight that say what is stored."""
    if asked is None or not asked.coverage.history:
        return {}
    since, until = _time(asked.coverage.since), _time(asked.coverage.until)
    return {"transactions_since": since, "transactions_until": until}


def achieved(at: datetime, until: int) -> datetime:
    """Return what the cloud was set back to.

    Args:
        at: what was asked for.
        until: the time of the last transaction that was applied, seconds since 1970; 0 where the
            copy was of that time already.
    """
    return datetime.fromtimestamp(until, UTC) if until else at


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(int(seconds), UTC)


def _text(time: datetime) -> str:
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"

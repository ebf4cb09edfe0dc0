"""The recovery points of a cloud: its verified Backups; pure, and the form of `-o json`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from stackroles.api.v1alpha1.conditions import ConditionType
from stackroles.workloads.pod import condition_of, time_of

Object = dict[str, Any]
# With this phase of a Restore begins what cannot be taken back.
_DATA: Final = "Data"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointView:
    """A recovery point.

    Attributes:
        name: the Backup.
        policy: its BackupPolicy.
        taken: when its copy was begun, RFC 3339: what a Restore sets the cloud back to.
        age_seconds: how long ago that was.
        bytes: what was read.
        stored_bytes: what was added to the repository.
        position: wsrep uuid:seqno of the database copy.
        restores: the Restores that put it back, or are at it.
    """

    name: str
    policy: str
    taken: str
    age_seconds: int
    bytes: int
    stored_bytes: int
    position: str
    restores: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowView:
    """Times between sets that can be chosen, where binary logs are shipped.

    Attributes:
        policy: the BackupPolicy.
        since: the oldest time, RFC 3339.
        until: the newest one.
        reason: of its condition PointInTimeReady.
        message: what that says.
    """

    policy: str
    since: str
    until: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsView:
    """The recovery points of a cloud.

    Attributes:
        name: the CloudController.
        namespace: its namespace.
        policies: its BackupPolicies, by name.
        points: its recovery points, the newest first.
        windows: of its policies that ship binary logs, by name.
        unreadable: what could not be read, a sentence each.
    """

    name: str
    namespace: str
    policies: Sequence[str]
    points: Sequence[PointView]
    windows: Sequence[WindowView]
    unreadable: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPoints:
    """What was read, as the API serves it.

    Attributes:
        cloud: the CloudController.
        policies: all BackupPolicies of the namespace.
        backups: all Backups of the namespace.
        restores: all Restores of the namespace.
        unreadable: what could not be read, a sentence each.
    """

    cloud: Object
    policies: Sequence[Object]
    backups: Sequence[Object]
    restores: Sequence[Object] = ()
    unreadable: Sequence[str] = ()


def points_of(found: FoundPoints, now: datetime) -> PointsView:
    """Return the recovery points of a cloud."""
    metadata = found.cloud["metadata"]
    policies = sorted(
        policy["metadata"]["name"]
        for policy in found.policies
        if policy["spec"]["controller"] == metadata["name"]
    )
    dated = [
        (taken, backup)
        for backup in found.backups
        if backup["spec"]["policy"] in policies and (taken := _taken(backup))
    ]
    dated.sort(key=lambda pair: (pair[0], pair[1]["metadata"]["name"]), reverse=True)
    return PointsView(
        name=metadata["name"],
        namespace=metadata.get("namespace", ""),
        policies=policies,
        points=[_point(backup, taken, found.restores, now) for taken, backup in dated],
        windows=[
            window
            for policy in sorted(found.policies, key=lambda policy: policy["metadata"]["name"])
            if policy["metadata"]["name"] in policies and (window := _window(policy))
        ],
        unreadable=found.unreadable,
    )


def _window(policy: Object) -> WindowView | None:
    """Return what a policy says of points in time, None where it ships no binary logs."""
    status = policy.get("status") or {}
    condition = condition_of(status, ConditionType.POINT_IN_TIME_READY.value)
    if condition is None:
        return None
    window = status.get("recoverable") or {}
    return WindowView(
        policy=policy["metadata"]["name"],
        since=window.get("since", ""),
        until=window.get("until", ""),
        reason=condition.get("reason", ""),
        message=condition.get("message", ""),
    )


def _taken(backup: Object) -> datetime | None:
    """Return when the copy of a verified Backup was begun, None of another."""
    status = backup.get("status") or {}
    return time_of(status.get("startedAt")) if status.get("verified") else None


def _point(backup: Object, taken: datetime, restores: Iterable[Object], now: datetime) -> PointView:
    name, status = backup["metadata"]["name"], backup["status"]
    return PointView(
        name=name,
        policy=backup["spec"]["policy"],
        taken=status["startedAt"],
        age_seconds=max(0, round((now - taken).total_seconds())),
        bytes=status.get("sizeBytes") or 0,
        stored_bytes=status.get("storedBytes") or 0,
        position=status.get("position") or "",
        restores=sorted(r["metadata"]["name"] for r in restores if _uses(r, backup)),
    )


def _uses(restore: Object, backup: Object) -> bool:
    """Return whether a Restore put a recovery set back, or is at it."""
    spec, status = restore["spec"], restore.get("status") or {}
    name, bare = backup["metadata"]["name"], spec.get("recoverySet") or {}
    chosen = bare.get("name") or status.get("recoverySet")
    named = bare.get("policy") == backup["spec"]["policy"] and chosen == name
    phases = status.get("phases") or ()
    mine = spec.get("backup") == name or named
    return mine and any(phase["name"] == _DATA for phase in phases)


def nothing_found(view: PointsView) -> str:
    """Return the sentence about a cloud without a recovery point, with what to do."""
    if not view.policies:
        return (
            f"{view.name} has no recovery point, and no BackupPolicy of namespace "
            f"{view.namespace} names it: apply one, then `kubectl stackroles backup POLICY` makes "
            "a recovery set at once."
        )
    return (
        f"{view.name} has no recovery point yet: `kubectl stackroles backup {view.policies[0]}` "
        "makes one."
    )

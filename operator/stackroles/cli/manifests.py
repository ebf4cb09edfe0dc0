"""The Backups and Restores that the command makes; pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from stackroles import naming
from stackroles.api.v1alpha1.registry import RESOURCES
from stackroles.api.v1alpha1.restore import SafetyBackup
from stackroles.cli.units import stamp_of
from stackroles.constants import GROUP_VERSION

Object = dict[str, Any]
_LIMITS: Final = {found.kind: found.name_limit or 253 for found in RESOURCES}


def name_of(kind: str, parent: str, now: datetime) -> str:
    """Return the name of a Backup or a Restore that is made now."""
    return naming.child(parent, stamp_of(now), limit=_LIMITS[kind])


def new_backup(name: str, policy: str) -> Object:
    """Return a Backup to make."""
    return _new("Backup", name, {"policy": policy})


def new_restore(
    name: str, source: Mapping[str, Any], *, overwrite: str | None, safety_backup: bool = True
) -> Object:
    """Return a Restore to make; a dry run without the consent to overwrite.

    Args:
        name: its name.
        source: what it restores, as fields of its spec.
        overwrite: the CloudController that may be overwritten.
        safety_backup: whether what is there is backed up first.
    """
    spec: Object = {**source, "dryRun": overwrite is None}
    if overwrite is not None:
        spec["overwrite"] = overwrite
    if not safety_backup:
        spec["safetyBackup"] = SafetyBackup.NEVER.value
    return _new("Restore", name, spec)


def at_time(source: Mapping[str, Any], at: str | None) -> Object:
    """Return what a Restore restores, at a point in time where one is given.

    Raises:
        ValueError: it is no time, or has no time zone.
    """
    if at is None:
        return dict(source)
    try:
        time = datetime.fromisoformat(at)
    except ValueError:
        raise ValueError(f"--at {at} is no time: 2026-11-28T14:05:00Z is one.") from None
    if time.tzinfo is None:
        raise ValueError(f"--at {at} has no time zone: {at}Z is in UTC.")
    text = time.astimezone(UTC).isoformat(timespec="seconds")
    return {**source, "pointInTime": text.replace("+00:00", "Z")}


def _new(kind: str, name: str, spec: Object) -> Object:
    return {"apiVersion": GROUP_VERSION, "kind": kind, "metadata": {"name": name}, "spec": spec}

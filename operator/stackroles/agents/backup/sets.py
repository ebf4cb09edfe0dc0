"""Which snapshots of a repository a recovery set has, by their tags.

Runs inside role pods: standard library only.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from stackroles.agents.backup.retention import RecoverySet

Snapshots = Iterable[Mapping[str, Any]]
MANIFEST_TAG = "part=manifest"
# What the tag of a manifest's snapshot begins with that signs the manifest.
SIGNATURE_TAG = "signature=hmac-sha256:"
_SET, _PART = "set=", "part="


def newest_set(snapshots: Iterable[Mapping[str, Any]], policy: str, now: datetime) -> str:
    """Return the name of a policy's newest set that has a manifest, empty where none has one.

    One from a time to come, of a node whose clock was ahead, hides none that was taken later.

    Args:
        snapshots: of the repository, in any order.
        policy: the policy.
        now: the time.
    """
    wanted = {f"policy={policy}", MANIFEST_TAG}
    whole = [(_moment(s), s) for s in snapshots if wanted <= set(s.get("tags") or ())]
    _, newest = max(whole, key=lambda found: (found[0] <= now, found[0]), default=(now, {}))
    tags = (tag for tag in newest.get("tags") or () if tag.startswith(_SET))
    return next((str(tag).removeprefix(_SET) for tag in tags), "")


def _moment(snapshot: Mapping[str, Any]) -> datetime:
    """Return when a snapshot was begun; one without a time that can be read is the oldest."""
    try:
        return _time(snapshot)
    except ValueError:
        return datetime.min.replace(tzinfo=UTC)


def snapshots_of(
    snapshots: Snapshots, policy: str, name: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of a set's manifest, the newest last, and those of its other parts."""
    found = list(_of_set(snapshots, policy, name))
    manifests = sorted((s for s in found if MANIFEST_TAG in s["tags"]), key=_moment)
    ids = tuple(str(s["id"]) for s in manifests)
    return ids, tuple(str(s["id"]) for s in found if str(s["id"]) not in ids)


def parts_of(
    snapshots: Iterable[Mapping[str, Any]], policy: str, name: str
) -> dict[str, dict[str, str]]:
    """Return `part` and `time` of a set's snapshots other than its manifest, by their ids."""
    return {
        str(s["id"]): {"part": _part(s), "time": str(s["time"])}
        for s in _of_set(snapshots, policy, name)
        if MANIFEST_TAG not in s["tags"]
    }


def _of_set(
    snapshots: Iterable[Mapping[str, Any]], policy: str, name: str
) -> Iterable[Mapping[str, Any]]:
    tags = {f"policy={policy}", f"set={name}"}
    return (s for s in snapshots if tags <= set(s.get("tags") or ()))


def _part(snapshot: Mapping[str, Any]) -> str:
    parts = [tag for tag in snapshot["tags"] if tag.startswith(_PART)]
    return parts[0].removeprefix(_PART) if len(parts) == 1 else ""


def sets_of(snapshots: Snapshots, policy: str) -> tuple[RecoverySet, ...]:
    """Return the sets of a policy, whose snapshots may be in any order.

    Raises:
        ValueError: a snapshot has no time that can be read.
    """
    found: dict[str, RecoverySet] = {}
    for snapshot in snapshots:
        tags = snapshot.get("tags") or ()
        if f"policy={policy}" in tags:
            name, when = _name(tags), _time(snapshot)
            known = found.get(name, RecoverySet(name, when, False))
            verified = known.verified or MANIFEST_TAG in tags
            found[name] = RecoverySet(name, max(known.time, when), verified)
    return tuple(found.values())


def ids_of(snapshots: Snapshots, policy: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the ids of all snapshots of some sets of a policy."""
    return tuple(
        str(snapshot["id"])
        for snapshot in snapshots
        if f"policy={policy}" in (tags := snapshot.get("tags") or ()) and _name(tags) in names
    )


def _name(tags: Iterable[str]) -> str:
    return next((tag[4:] for tag in tags if tag.startswith("set=")), "")


def _time(snapshot: Mapping[str, Any]) -> datetime:
    """Return when restic began a snapshot: RFC 3339, in the time zone of where it ran."""
    text = str(snapshot.get("time"))
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"snapshot {snapshot['id']} has the time {text}, which is none") from error

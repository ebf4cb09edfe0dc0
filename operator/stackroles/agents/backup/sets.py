"""Which snapshots of a repository a recovery set has, by their tags.

Runs inside role pods: standard library only.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from stackroles.agents.backup.retention import Key, RecoverySet

Snapshots = Iterable[Mapping[str, Any]]
MANIFEST_TAG = "part=manifest"
# What the tag of a manifest's snapshot begins with that signs the manifest.
SIGNATURE_TAG = "signature=hmac-sha256:"
# What the tag begins with that says of which Backup a snapshot is, where names are used again.
UID_TAG = "backup-uid="
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
    snapshots: Snapshots, policy: str, name: str, uid: str = ""
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of a set's manifest, the newest last, and those of its other parts.

    Args:
        snapshots: all of the repository.
        policy: whose set it is.
        name: the Backup that it is of.
        uid: of the Backup, where that is known: what others of its name left does not count then,
            unless there is nothing of this one, as where a former version took its set.
    """
    found = list(_of_set(snapshots, policy, name))
    if uid:
        own = [s for s in found if uid_of(s["tags"]) == uid]
        found = own or [s for s in found if not uid_of(s["tags"])]
    manifests = sorted((s for s in found if MANIFEST_TAG in s["tags"]), key=_moment)
    ids = tuple(str(s["id"]) for s in manifests)
    return ids, tuple(str(s["id"]) for s in found if str(s["id"]) not in ids)


def parts_of(
    snapshots: Iterable[Mapping[str, Any]], policy: str, name: str
) -> dict[str, dict[str, str]]:
    """Return `part`, `time` and `uid` of the snapshots of a name, by their ids.

    They are those of all Backups of that name, their manifests included.
    """
    return {
        str(s["id"]): {
            "part": "manifest" if MANIFEST_TAG in s["tags"] else _part(s),
            "time": str(s["time"]),
            "uid": uid_of(s["tags"]),
        }
        for s in _of_set(snapshots, policy, name)
    }


def set_tags(name: str, policy: str, uid: str) -> tuple[str, ...]:
    """Return the tags of all snapshots of a set.

    Args:
        name: the Backup that it is of.
        policy: its BackupPolicy.
        uid: of the Backup; empty where it is not known.
    """
    return f"{_SET}{name}", f"policy={policy}", *([UID_TAG + uid] if uid else [])


def uid_of(tags: Iterable[str]) -> str:
    """Return the uid of the Backup that a snapshot is of, empty where its tags name none."""
    found = [tag for tag in tags if tag.startswith(UID_TAG)]
    return found[0].removeprefix(UID_TAG) if len(found) == 1 else ""


def _of_set(
    snapshots: Iterable[Mapping[str, Any]], policy: str, name: str
) -> Iterable[Mapping[str, Any]]:
    tags = {f"policy={policy}", f"set={name}"}
    return (s for s in snapshots if tags <= set(s.get("tags") or ()))


def _part(snapshot: Mapping[str, Any]) -> str:
    parts = [tag for tag in snapshot["tags"] if tag.startswith(_PART)]
    return parts[0].removeprefix(_PART) if len(parts) == 1 else ""


def sets_of(
    snapshots: Snapshots, policy: str, quarantined: Collection[str] = ()
) -> tuple[RecoverySet, ...]:
    """Return the sets of a policy, whose snapshots may be in any order.

    Backups of the same name have a set each. One is as old as its newest manifest: what came to be
    under its tags later is not in it.

    Args:
        snapshots: all of the repository.
        policy: whose sets are asked for.
        quarantined: the Backups whose sets were found damaged.

    Raises:
        ValueError: a snapshot has no time that can be read.
    """
    found: dict[Key, RecoverySet] = {}
    for snapshot in snapshots:
        tags = snapshot.get("tags") or ()
        if f"policy={policy}" not in tags:
            continue
        name, uid, verified = _name(tags), uid_of(tags), MANIFEST_TAG in tags
        one = RecoverySet(name, _time(snapshot), verified, name in quarantined, uid)
        known = found.get(one.key, one)
        found[one.key] = max(one, known, key=lambda each: (each.verified, each.time))
    return tuple(found.values())


def ids_of(snapshots: Snapshots, policy: str, sets: Collection[RecoverySet]) -> tuple[str, ...]:
    """Return the ids of all snapshots of some sets of a policy."""
    keys = {each.key for each in sets}
    return tuple(
        str(snapshot["id"])
        for snapshot in snapshots
        if f"policy={policy}" in (tags := snapshot.get("tags") or ())
        and (_name(tags), uid_of(tags)) in keys
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

"""Which snapshots of a repository a recovery set has, by their tags.

Runs inside role pods: standard library only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

MANIFEST_TAG = "part=manifest"
_SET = "set="


def newest_set(snapshots: Iterable[Mapping[str, Any]], policy: str) -> str:
    """Return the name of a policy's newest set that has a manifest, empty where none has one."""
    wanted = {f"policy={policy}", MANIFEST_TAG}
    whole = [s for s in snapshots if wanted <= set(s.get("tags") or ())]
    newest = max(whole, key=lambda s: str(s.get("time")), default={})
    tags = (tag for tag in newest.get("tags") or () if tag.startswith(_SET))
    return next((str(tag).removeprefix(_SET) for tag in tags), "")


def snapshots_of(
    snapshots: Iterable[Mapping[str, Any]], policy: str, name: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the ids of a set's manifest, the newest last, and those of its other parts."""
    tags = {f"policy={policy}", f"set={name}"}
    found = [s for s in snapshots if tags <= set(s.get("tags") or ())]
    manifests = sorted(
        (s for s in found if MANIFEST_TAG in s["tags"]), key=lambda s: str(s.get("time"))
    )
    ids = tuple(str(s["id"]) for s in manifests)
    return ids, tuple(str(s["id"]) for s in found if str(s["id"]) not in ids)

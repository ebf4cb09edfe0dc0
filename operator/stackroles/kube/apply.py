"""Pure parts of writing: hashes, the no-op gate, merge patches, whose an object is."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from stackroles.constants import (
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    MANAGED_BY,
)
from stackroles.errors import NotOwned, NotReady
from stackroles.kube.kinds import ObjectRef, kind_of, ref_of, uid_of

Object = dict[str, Any]

# Written anew at every assessment; alone they are no reason to write a status.
_VOLATILE: Final = frozenset(
    {"lastTransitionTime", "lastHeartbeatTime", "lastProbeTime", "lastUpdateTime"}
)


class AppliedRecord(NamedTuple):
    """What we know of our last apply of one child; kept in `status.children`.

    Attributes:
        kind: the child's kind.
        namespace: its namespace, "" for the owner's own.
        name: its name.
        uid: its uid after the apply.
        hash: hash of the manifest that was applied.
        generation: its generation after the apply, None for kinds without one.
        resource_version: its resourceVersion after the apply, for kinds without a generation.
    """

    kind: str
    name: str
    uid: str
    hash: str
    namespace: str = ""
    generation: int | None = None
    resource_version: str | None = None

    def to_dict(self) -> Object:
        """Return the record as it is written into `status.children`."""
        record: Object = {"kind": self.kind, "name": self.name, "uid": self.uid, "hash": self.hash}
        if self.namespace:
            record["namespace"] = self.namespace
        if self.generation is not None:
            record["generation"] = self.generation
        if self.resource_version is not None:
            record["resourceVersion"] = self.resource_version
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "AppliedRecord":
        """Return the record that `to_dict` wrote."""
        return cls(
            kind=record["kind"],
            name=record["name"],
            uid=record.get("uid", ""),
            hash=record.get("hash", ""),
            namespace=record.get("namespace", ""),
            generation=record.get("generation"),
            resource_version=record.get("resourceVersion"),
        )

    @classmethod
    def of(cls, applied: Object, manifest_hash: str, owner_namespace: str) -> "AppliedRecord":
        """Return the record of an object as the API server answered our apply."""
        ref = ref_of(applied)
        generation = applied["metadata"].get("generation")
        version = applied["metadata"].get("resourceVersion")
        return cls(
            kind=ref.kind,
            name=ref.name,
            uid=uid_of(applied),
            hash=manifest_hash,
            namespace="" if ref.namespace == owner_namespace else ref.namespace,
            generation=generation,
            resource_version=None if generation is not None else version,
        )


def manifest_hash(manifest: Object) -> str:
    """Return the hash of a manifest: 16 hexadecimal digits, the same for equal content."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def is_settled(
    manifest: Object, digest: str, record: AppliedRecord | None, seen: Object | None
) -> bool:
    """Return whether applying `manifest` again would change nothing.

    Args:
        manifest: the desired object.
        digest: its hash.
        record: what we noted after our last apply.
        seen: the object as the cache holds it.
    """
    if record is None or seen is None or record.hash != digest or record.uid != uid_of(seen):
        return False
    if not contains(seen["metadata"], _owned_metadata(manifest)):
        return False
    generation = seen["metadata"].get("generation")
    if generation is not None and record.generation is not None:
        return bool(generation == record.generation)
    if record.resource_version == seen["metadata"].get("resourceVersion"):
        return True
    # A kind without a generation was written by somebody, perhaps only its status.
    return "spec" in manifest and contains(seen.get("spec"), manifest["spec"])


def _owned_metadata(manifest: Object) -> Object:
    metadata = manifest["metadata"]
    keys = ("labels", "annotations", "ownerReferences", "finalizers")
    return {key: metadata[key] for key in keys if metadata.get(key)}


def contains(actual: Any, desired: Any) -> bool:
    """Return whether `actual` holds all that `desired` says; more is fine.

    Lists of references and finalizers may hold others' items between ours; other lists match item
    by item.
    """
    if isinstance(desired, dict):
        return isinstance(actual, dict) and all(
            key in actual and contains(actual[key], value) for key, value in desired.items()
        )
    if isinstance(desired, list | tuple):
        if not isinstance(actual, list | tuple):
            return False
        if len(actual) == len(desired):
            pairs = zip(actual, desired, strict=True)
            if all(contains(have, want) for have, want in pairs):
                return True
        return _is_unordered(desired) and all(
            any(contains(have, want) for have in actual) for want in desired
        )
    return bool(actual == desired)


def _is_unordered(items: Any) -> bool:
    return all(
        isinstance(item, str) or (isinstance(item, dict) and "uid" in item) for item in items
    )


def merge_patch(old: Mapping[str, Any], new: Mapping[str, Any]) -> Object:
    """Return the JSON merge patch (RFC 7386) that turns `old` into `new`; empty when equal."""
    patch: Object = {key: None for key in old if key not in new or new[key] is None}
    patch = {key: None for key in patch if old[key] is not None}
    for key, value in new.items():
        if value is None or (key in old and old[key] == value):
            continue
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping):
            patch[key] = merge_patch(old[key], value)
        else:
            patch[key] = value
    return patch


def is_same_status(old: Any, new: Any) -> bool:
    """Return whether two statuses differ in nothing but volatile times and what is None."""
    if old == new:
        return True
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        fields = {key for key, value in old.items() if value is not None}
        return fields == {key for key, value in new.items() if value is not None} and all(
            key in _VOLATILE or is_same_status(old[key], new[key]) for key in fields
        )
    if isinstance(old, list | tuple) and isinstance(new, list | tuple):
        return len(old) == len(new) and all(map(is_same_status, old, new))
    return False


def records_of(owner: Object) -> dict[ObjectRef, AppliedRecord]:
    """Return the records in `status.children` of an owner, by reference."""
    namespace = owner["metadata"].get("namespace", "")
    records = (AppliedRecord.from_dict(r) for r in owner.get("status", {}).get("children") or ())
    return {ObjectRef(r.kind, r.namespace or namespace, r.name): r for r in records}


def prepare(owner: Object, manifest: Object) -> Object:
    """Return the manifest with namespace and our labels filled in.

    One that says that it has no owner gets our own label of its owner's name.
    """
    given = manifest["metadata"]
    name_label = LABEL_OWNER_NAME if given.get("ownerReferences") == [] else LABEL_INSTANCE
    namespace = owner["metadata"].get("namespace", "")
    labels = {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_OWNER_KIND: owner["kind"],
        name_label: owner["metadata"]["name"],
        **given.get("labels", {}),
    }
    metadata = {**given, "labels": labels}
    if kind_of(manifest["kind"]).namespaced:
        metadata.setdefault("namespace", namespace)
    return {**manifest, "metadata": metadata}


def check_owner(owner: Object, seen: Object) -> None:
    """Refuse to take over what another owner, or nobody of ours, made."""
    ref, metadata = ref_of(seen), seen["metadata"]
    labels = metadata.get("labels", {})
    if labels.get(LABEL_MANAGED_BY) != MANAGED_BY:
        raise NotOwned(
            f"{ref} exists and is not managed by {MANAGED_BY}: rename or delete it, or rename "
            f"{owner['kind']} {owner['metadata']['name']}",
            409,
        )
    for reference in metadata.get("ownerReferences", ()):
        if not reference.get("controller") or reference["uid"] == uid_of(owner):
            continue
        if (reference["kind"], reference["name"]) == (owner["kind"], owner["metadata"]["name"]):
            raise NotReady(f"{ref} of the deleted {owner['kind']} of this name is still there", 2.0)
        raise NotOwned(f"{ref} belongs to {reference['kind']} {reference['name']}", 409)


def to_ref(item: AppliedRecord | ObjectRef | Object, namespace: str) -> ObjectRef:
    """Return the reference of a record or manifest, in `namespace` unless it says another."""
    if isinstance(item, ObjectRef):
        return item
    if isinstance(item, AppliedRecord):
        return ObjectRef(item.kind, item.namespace or namespace, item.name)
    scoped = namespace if kind_of(item["kind"]).namespaced else ""
    metadata = item["metadata"]
    return ObjectRef(item["kind"], metadata.get("namespace") or scoped, metadata["name"])

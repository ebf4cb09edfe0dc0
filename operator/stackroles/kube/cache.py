"""What we watch of the cluster: trimmed objects with indexes by owner and by label."""

import hashlib
import json
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from stackroles.kube.difference import is_explained
from stackroles.kube.kinds import OWN_KINDS, ObjectRef, ref_of, uid_of, version_of
from stackroles.kube.ownership import parent_of

Object = dict[str, Any]
Objects = list[Object]
Listener = Callable[[Object | None, Object | None, bool], None]
"""Gets each difference: the object before (None: new) and after (None: gone), both trimmed, and
whether a write of ours is all that made it."""

# The fields by which our resources name one another.
_REFERENCES: Final = ("controller", "policy", "pool")
_TOMBSTONES: Final = 4096
_METADATA: Final = (
    "name", "namespace", "uid", "resourceVersion", "generation", "creationTimestamp", "finalizers",
    "deletionTimestamp", "labels", "annotations", "ownerReferences",
)  # fmt: skip
# Set by kubectl apply with a whole copy of the object, which may hold a Secret's data.
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
_WORKLOAD_SPEC: Final = (
    "replicas", "suspend", "completions", "parallelism", "schedule", "timeZone",
)  # fmt: skip
_SPEC_KEPT: Final[dict[str, tuple[str, ...]]] = {
    "Pod": ("nodeName",),
    "Node": ("taints", "unschedulable"),
    "PodDisruptionBudget": (),
    **dict.fromkeys(("StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob"), _WORKLOAD_SPEC),
}
# Small, and without a generation: drift is seen by comparing the spec itself.
_SPEC_WHOLE: Final = frozenset({"Service", "PersistentVolumeClaim"})
# What may be done, by kinds that have no spec.
_TOP_KEPT: Final[dict[str, tuple[str, ...]]] = {
    "ServiceAccount": ("automountServiceAccountToken",),
    "Role": ("rules",),
    "RoleBinding": ("roleRef", "subjects"),
}
_NODE_STATUS: Final = ("conditions", "addresses", "allocatable", "nodeInfo")


def trim(obj: Object) -> Object:
    """Return the part of an object that decisions need; never the data of a Secret or ConfigMap.

    Args:
        obj: a whole object as the API serves it, with kind and apiVersion.

    Returns:
        A new dict. Secrets and ConfigMaps keep `dataKeys` and `dataDigest` in place of their data.
    """
    kind = obj["kind"]
    metadata = {key: obj["metadata"][key] for key in _METADATA if key in obj["metadata"]}
    if _LAST_APPLIED in metadata.get("annotations", {}):
        annotations = metadata["annotations"]
        metadata["annotations"] = {k: v for k, v in annotations.items() if k != _LAST_APPLIED}
    trimmed: Object = {"apiVersion": obj["apiVersion"], "kind": kind, "metadata": metadata}
    if kind in OWN_KINDS:
        return trimmed | {key: obj[key] for key in ("spec", "status") if key in obj}
    return trimmed | _content(kind, obj)


def _content(kind: str, obj: Object) -> Object:
    """Return what is kept of an object besides its metadata."""
    spec, status = obj.get("spec", {}), obj.get("status", {})
    if kind in ("ConfigMap", "Secret"):
        return _data_digest(obj)
    if kind == "Node":
        status = _pick(status, _NODE_STATUS)
        beats = status.get("conditions", ())
        status["conditions"] = [
            {key: value for key, value in beat.items() if key != "lastHeartbeatTime"}
            for beat in beats
        ]
    if kind in _TOP_KEPT:
        return _pick(obj, _TOP_KEPT[kind])
    if kind in _SPEC_KEPT:
        spec = _pick(spec, _SPEC_KEPT[kind])
    elif kind not in _SPEC_WHOLE:
        return {}
    return {"spec": spec, "status": status}


def _is_same(one: Object, other: Object) -> bool:
    """Return whether two trimmed objects differ in nothing but their version."""
    metadata = {**one["metadata"], "resourceVersion": version_of(other)}
    same = metadata == {**other["metadata"], "resourceVersion": version_of(other)}
    return same and {**one, "metadata": None} == {**other, "metadata": None}


def _data_digest(obj: Object) -> Object:
    data = {**obj.get("data", {}), **obj.get("binaryData", {})}
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return {"dataKeys": sorted(data), "dataDigest": hashlib.sha256(text.encode()).hexdigest()[:16]}


def _pick(source: Mapping[str, Any], keys: Iterable[str]) -> Object:
    return {key: source[key] for key in keys if key in source}


class Cache:
    """Trimmed objects by reference, by owner uid and by our owner labels.

    Returned objects are shared: callers must not change them.
    """

    def __init__(self) -> None:
        self._objects: dict[str, dict[tuple[str, str], Object]] = defaultdict(dict)
        self._by_owner: dict[str, set[ObjectRef]] = defaultdict(set)
        self._by_label: dict[tuple[str, str, str], set[ObjectRef]] = defaultdict(set)
        self._by_reference: dict[tuple[str, str, str, str], set[ObjectRef]] = defaultdict(set)
        self._deleted: OrderedDict[str, int] = OrderedDict()
        self._listener: Listener = lambda _before, _after, _own: None

    def follow(self, listener: Listener) -> None:
        """Notify a listener of all changes from now on: watch, list or own write."""
        self._listener = listener

    def upsert(self, obj: Object, sent: Object | None = None) -> bool:
        """Store an object unless something as new is known; return whether it was a change.

        A version that differs in nothing we keep (a kubelet's heartbeat, a field manager's note) is
        stored but no change. An object whose uid was seen deleted never comes back, whatever order
        events arrive in.

        Args:
            obj: the whole object.
            sent: the write of ours that the API server answered with it, None for anybody else's.

        """
        ref, uid, version = ref_of(obj), uid_of(obj), version_of(obj)
        if uid and uid in self._deleted:
            return False
        known = self.get(*ref)
        if known is not None and uid_of(known) == uid and version_of(known) >= version:
            return False
        if known is not None and version_of(known) > version:
            return False  # the older object of this name
        self._drop(ref)
        self._objects[ref.kind][ref.namespace, ref.name] = trimmed = trim(obj)
        for index, key in self._keys(trimmed):
            index[key].add(ref)
        changed = known is None or not _is_same(known, trimmed)
        if changed:
            self._listener(known, trimmed, sent is not None and is_explained(known, trimmed, sent))
        return changed

    def remove(self, obj: Object) -> bool:
        """Forget an object that was deleted; return whether it was known."""
        ref, uid = ref_of(obj), uid_of(obj)
        if uid:
            self._deleted[uid] = version_of(obj)
            while len(self._deleted) > _TOMBSTONES:
                self._deleted.popitem(last=False)
        known = self.get(*ref)
        if known is None or (uid and uid_of(known) != uid):
            return False
        self._drop(ref)
        self._listener(known, None, False)
        return True

    def replace(self, kind: str, namespace: str, listed: Iterable[Object], version: int) -> int:
        """Take a complete list of one kind as the truth at `version`.

        Args:
            kind: the kind that was listed.
            namespace: the namespace that was listed, "" for all.
            listed: the whole objects.
            version: the list's resourceVersion; objects that are newer in the cache stay.

        Returns:
            How many objects changed or are gone.
        """
        seen: set[ObjectRef] = set()
        changed = 0
        for obj in listed:
            seen.add(ref_of(obj))
            changed += self.upsert(obj)
        for obj in self.list(kind, namespace):
            if ref_of(obj) not in seen and version_of(obj) <= version:
                changed += self.remove(obj)
        return changed

    def get(self, kind: str, namespace: str, name: str) -> Object | None:
        """Return one object, or None."""
        return self._objects.get(kind, {}).get((namespace, name))

    def list(
        self, kind: str, namespace: str = "", labels: Mapping[str, str] | None = None
    ) -> Objects:
        """Return the objects of a kind, sorted by namespace and name.

        Args:
            kind: the kind.
            namespace: only this namespace; "" for all.
            labels: only objects that carry all of these.
        """
        wanted = (labels or {}).items()
        return [
            obj
            for obj in self._candidates(kind, labels or {})
            if (not namespace or obj["metadata"].get("namespace") == namespace)
            and wanted <= obj["metadata"].get("labels", {}).items()
        ]

    def owned(self, uid: str, kind: str = "") -> Objects:
        """Return the objects with an owner reference to `uid`, optionally of one kind."""
        refs = sorted(self._by_owner.get(uid, ()))
        return [self._objects[ref.kind][ref.namespace, ref.name]
                for ref in refs if not kind or ref.kind == kind]  # fmt: skip

    def naming(self, kind: str, namespace: str, field: str, name: str) -> Objects:
        """Return the resources of ours whose `spec.<field>` names an object of their namespace."""
        refs = sorted(self._by_reference.get((kind, namespace, field, name), ()))
        return [self._objects[ref.kind][ref.namespace, ref.name] for ref in refs]

    def count(self) -> dict[str, int]:
        """Return how many objects of each kind are held."""
        return {kind: len(objects) for kind, objects in self._objects.items()}

    def _candidates(self, kind: str, labels: Mapping[str, str]) -> Iterator[Object]:
        objects = self._objects.get(kind, {})
        parent = parent_of(labels)
        if parent is None:
            yield from (objects[key] for key in sorted(objects))
            return
        refs = self._by_label.get((kind, *parent), ())
        yield from (objects[ref.namespace, ref.name] for ref in sorted(refs))

    def _drop(self, ref: ObjectRef) -> None:
        known = self._objects.get(ref.kind, {}).pop((ref.namespace, ref.name), None)
        if known is None:
            return
        for index, key in self._keys(known):
            index[key].discard(ref)
            if not index[key]:
                del index[key]

    def _keys(self, obj: Object) -> Iterator[tuple[dict[Any, set[ObjectRef]], Any]]:
        metadata = obj["metadata"]
        for owner in metadata.get("ownerReferences", ()):
            yield self._by_owner, owner["uid"]
        if obj["kind"] in OWN_KINDS:
            for field in _REFERENCES:
                name = (obj.get("spec") or {}).get(field)
                if isinstance(name, str):
                    yield self._by_reference, (obj["kind"], ref_of(obj).namespace, field, name)
        parent = parent_of(metadata.get("labels", {}))
        if parent is not None:
            yield self._by_label, (obj["kind"], "", parent.name)
            if parent.kind:
                yield self._by_label, (obj["kind"], *parent)

"""What a reconcile function sees of the cluster: reads from the cache, gated writes."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import structlog

from stackroles.constants import (
    FINALIZER,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_OWNER_KIND,
    MANAGED_BY,
)
from stackroles.errors import ClusterError, Conflict, NotReady, OperatorError
from stackroles.kube.apply import (
    ChildRecord,
    is_same_status,
    is_settled,
    manifest_hash,
    merge_patch,
    records_of,
)
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient
from stackroles.kube.events import Happening, Repeats, build_event, transitions
from stackroles.kube.kinds import ObjectRef, kind_of, ref_of, uid_of
from stackroles.kube.reader import Reader
from stackroles.kube.writer import Fence, Writer

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_PARALLEL: Final = 8
# Objects with pods come after what their pods mount and are reached by.
_LATE: Final = frozenset({"StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob"})
# Deleted when no longer wanted, also when no record names them. Jobs are records of what was done,
# volumes hold what cannot be made again: those only go by an explicit delete.
_PRUNED: Final = frozenset(
    {"StatefulSet", "Deployment", "DaemonSet", "CronJob"}
    | {"Service", "PodDisruptionBudget", "NetworkPolicy"}
)
# Deleted when `status.children` names them: among the others are generated passwords and the facts
# that data depends on.
_RECORDED_ONLY: Final = frozenset({"Secret", "ConfigMap"})


class Cluster(Reader):
    """The cluster as reconcile functions use it.

    Reads come from the cache unless a name starts with `read_`. Writes raise the errors of
    errors.py; each first passes the leader's fence.
    """

    def __init__(
        self,
        client: KubeClient,
        cache: Cache,
        fence: Fence,
        *,
        now: Callable[[], datetime],
        instance: str = MANAGED_BY,
    ) -> None:
        super().__init__(client, cache)
        self._writer = Writer(client, cache, fence)
        self._now = now
        self._instance = instance
        self._records: dict[str, dict[ObjectRef, ChildRecord]] = {}
        self._repeats = Repeats()

    async def apply_children(
        self, owner: Object, manifests: Iterable[Object]
    ) -> tuple[ChildRecord, ...]:
        """Bring children to their manifests; no call for those that are there already.

        Each manifest gets the owner's namespace and our labels unless it says otherwise. Owner
        references are the builder's: what shall outlive its owner has none.

        Args:
            owner: the custom resource, from the cache.
            manifests: complete desired objects; not changed.

        Returns:
            One record a child, sorted, for `status.children`. A child that is being deleted has
            none and is made again on the pass after it is gone.

        Raises:
            ClusterError: some child was refused; all others were applied first.
            NotReady: a child still belongs to an earlier owner of this name.
        """
        prepared = [_prepare(owner, manifest) for manifest in manifests]
        known = records_of(owner) | self._records.get(uid_of(owner), {})
        records: dict[ObjectRef, ChildRecord] = {}
        failures: list[Exception] = []
        limit = asyncio.Semaphore(_PARALLEL)

        async def bring(manifest: Object) -> None:
            ref = ref_of(manifest)
            try:
                async with limit:
                    record = await self._bring(owner, manifest, known.get(ref))
            except OperatorError as error:
                failures.append(error)
                record = known.get(ref)
            if record is not None:
                records[ref] = record

        for late in (False, True):
            chosen = [m for m in prepared if (m["kind"] in _LATE) is late]
            await asyncio.gather(*(bring(manifest) for manifest in chosen))
        self._records.setdefault(uid_of(owner), {}).update(records)
        if failures:
            for other in failures[1:]:
                failures[0].add_note(str(other))
            raise failures[0]
        return tuple(records[ref] for ref in sorted(records))

    async def _bring(
        self, owner: Object, manifest: Object, record: ChildRecord | None
    ) -> ChildRecord | None:
        ref, digest = ref_of(manifest), manifest_hash(manifest)
        seen = self.get(*ref)
        if is_settled(manifest, digest, record, seen):
            return record
        if seen is None and record is None:
            seen = await self.read(*ref)
        if seen is not None:
            if seen["metadata"].get("deletionTimestamp"):
                return None
            _check_owner(owner, seen)
        applied = await self._writer.apply(manifest)
        log.info("Applied", child=str(ref), news=seen is None)
        return ChildRecord.of(applied, digest, owner["metadata"].get("namespace", ""))

    async def prune(
        self, owner: Object, keep: Iterable[ChildRecord | ObjectRef | Object]
    ) -> tuple[ObjectRef, ...]:
        """Delete the owner's children that are no longer wanted.

        Workloads, Services, budgets and network policies with a reference to the owner go, and
        Secrets and ConfigMaps that `status.children` names; never Jobs, volumes or our resources.

        Args:
            owner: the custom resource.
            keep: all wanted children: records, references or manifests.

        Returns:
            What was deleted.
        """
        namespace = owner["metadata"].get("namespace", "")
        kept = {_to_ref(item, namespace) for item in keep}
        records = self._records.get(uid_of(owner), {})
        recorded = {**records_of(owner), **records}
        candidates = {ref_of(obj): obj for obj in self.owned(owner) if obj["kind"] in _PRUNED}
        for ref, record in recorded.items():
            if ref.kind not in _PRUNED | _RECORDED_ONLY or ref in kept:
                continue
            obj = self.get(*ref)
            if obj is not None and uid_of(obj) == record.uid:
                candidates[ref] = obj
        gone = [r for r, obj in candidates.items()
                if r not in kept and not obj["metadata"].get("deletionTimestamp")]  # fmt: skip
        for ref in gone:
            await self.delete(candidates[ref])
        for ref in recorded:
            if ref not in kept:
                records.pop(ref, None)
        return tuple(sorted(gone))

    async def create_once(self, manifest: Object, owner: Object | None = None) -> Object:
        """Create an object that is never changed afterwards, such as generated passwords.

        Args:
            manifest: the object; not changed.
            owner: if given, the object gets its namespace and our labels.

        Returns:
            The existing object (trimmed) or the one created.
        """
        wanted = _prepare(owner, manifest) if owner is not None else manifest
        seen = self.get(*ref_of(wanted)) or await self.read(*ref_of(wanted))
        if seen is not None:
            return seen
        try:
            created = await self._writer.create(wanted)
        except Conflict:
            raise NotReady(f"{ref_of(wanted)} was just made by somebody else", delay=1.0) from None
        log.info("Created", child=str(ref_of(wanted)))
        return created

    async def apply(self, manifest: Object) -> Object:
        """Apply one manifest server-side without a gate; returns the stored object."""
        return await self._writer.apply(manifest)

    async def delete(self, obj: Object, propagation: str = "Background") -> None:
        """Delete exactly this object, by uid and resourceVersion.

        Raises:
            Conflict: it changed since it was read; look again.
        """
        await self._writer.delete(obj, propagation)
        log.info("Deleted", child=str(ref_of(obj)))

    async def patch_status(self, obj: Object, status: Object) -> bool:
        """Make `status` the status of a custom resource, if it differs in more than volatile times.

        Conditions that changed are told as Events.

        Returns:
            Whether it was written.

        Raises:
            Conflict: the resource changed since; reconcile again.
        """
        current = self._latest(obj)
        old = current.get("status", {})
        if is_same_status(old, status):
            return False
        await self._writer.patch_status(current, merge_patch(old, status))
        before, after = old.get("conditions") or (), status.get("conditions") or ()
        for happening in transitions(before, after):
            await self._tell(current, happening)
        return True

    async def patch_metadata(
        self,
        obj: Object,
        *,
        labels: Mapping[str, str | None] | None = None,
        annotations: Mapping[str, str | None] | None = None,
    ) -> None:
        """Set labels and annotations of exactly this object (None removes), if they differ."""
        metadata = self._latest(obj)["metadata"]
        patch = {
            part: _missing(metadata.get(part, {}), wanted or {})
            for part, wanted in (("labels", labels), ("annotations", annotations))
        }
        patch = {part: values for part, values in patch.items() if values}
        if patch:
            await self._writer.patch(obj, {"metadata": patch})

    async def annotate_pod(self, pod: Object, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of exactly this pod (None removes)."""
        await self.patch_metadata(pod, annotations=annotations)

    async def label_node(self, node: Object, labels: Mapping[str, str | None]) -> None:
        """Set labels of a node (None removes)."""
        await self.patch_metadata(node, labels=labels)

    async def set_finalizer(self, obj: Object, *, present: bool) -> None:
        """Add or remove our finalizer on exactly this version of an object."""
        current = self._latest(obj)
        finalizers = list(current["metadata"].get("finalizers") or ())
        if (FINALIZER in finalizers) is present:
            return
        wanted = [f for f in finalizers if f != FINALIZER] + ([FINALIZER] if present else [])
        version = current["metadata"]["resourceVersion"]
        metadata = {"finalizers": wanted or None, "resourceVersion": version}
        await self._writer.patch(current, {"metadata": metadata})

    async def event(self, obj: Object, kind: str, reason: str, message: str) -> None:
        """Tell users of `obj` that something happened; the same thing twice in a row is told once.

        Args:
            obj: what it is about.
            kind: "Normal" or "Warning".
            reason: a stable CamelCase word.
            message: a sentence.
        """
        await self._tell(obj, Happening(kind, reason, message))

    async def _tell(self, obj: Object, happening: Happening) -> None:
        if not self._repeats.is_new(uid_of(obj), happening):
            return
        self._repeats.forget_others(uid_of(obj), happening.reason)
        try:
            event = build_event(obj, happening, self._now(), self._instance)
            await self._writer.create(event)
        except ClusterError as error:
            # An Event is a courtesy: the same words stand in the condition.
            log.warning("Event was not recorded", reason=happening.reason, error=str(error))

    def forget(self, obj: Object) -> None:
        """Drop what is remembered of an owner that was deleted."""
        self._records.pop(uid_of(obj), None)


def _prepare(owner: Object, manifest: Object) -> Object:
    """Return the manifest with namespace and our labels filled in."""
    given = manifest["metadata"]
    namespace = owner["metadata"].get("namespace", "")
    labels = {
        LABEL_MANAGED_BY: MANAGED_BY,
        LABEL_OWNER_KIND: owner["kind"],
        LABEL_INSTANCE: owner["metadata"]["name"],
        **given.get("labels", {}),
    }
    metadata = {**given, "labels": labels}
    if kind_of(manifest["kind"]).namespaced:
        metadata.setdefault("namespace", namespace)
    return {**manifest, "metadata": metadata}


def _check_owner(owner: Object, seen: Object) -> None:
    """Refuse to take over what another owner, or nobody of ours, made."""
    ref, metadata = ref_of(seen), seen["metadata"]
    labels = metadata.get("labels", {})
    if labels.get(LABEL_MANAGED_BY) != MANAGED_BY:
        raise Conflict(
            f"{ref} exists and is not managed by {MANAGED_BY}: rename or delete it, or rename "
            f"{owner['kind']} {owner['metadata']['name']}",
            409,
        )
    for reference in metadata.get("ownerReferences", ()):
        if not reference.get("controller") or reference["uid"] == uid_of(owner):
            continue
        if (reference["kind"], reference["name"]) == (owner["kind"], owner["metadata"]["name"]):
            raise NotReady(f"{ref} of the deleted {owner['kind']} of this name is still there", 2.0)
        raise Conflict(f"{ref} belongs to {reference['kind']} {reference['name']}", 409)


def _to_ref(item: ChildRecord | ObjectRef | Object, namespace: str) -> ObjectRef:
    if isinstance(item, ObjectRef):
        return item
    if isinstance(item, ChildRecord):
        return ObjectRef(item.kind, item.namespace or namespace, item.name)
    scoped = namespace if kind_of(item["kind"]).namespaced else ""
    metadata = item["metadata"]
    return ObjectRef(item["kind"], metadata.get("namespace") or scoped, metadata["name"])


def _missing(have: Mapping[str, str], want: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: value for key, value in want.items() if have.get(key) != value}

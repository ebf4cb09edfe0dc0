"""What a reconcile function sees of the cluster: reads from the cache, gated writes."""

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import structlog
from typing_extensions import override

from stackroles.api.v1alpha1.fit import fit
from stackroles.constants import (
    FINALIZER,
    LABEL_INSTANCE,
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    MANAGED_BY,
)
from stackroles.errors import ClusterError, Conflict, NotReady
from stackroles.kube.apply import is_same_status, merge_patch, prepare
from stackroles.kube.cache import Cache
from stackroles.kube.children import Applied, Children
from stackroles.kube.client import KubeClient
from stackroles.kube.events import WARNING, EventDeduplicator, EventRecord, build_event, transitions
from stackroles.kube.kinds import ref_of, uid_of
from stackroles.kube.ownership import OWNERLESS_KINDS, owned_by_label_alone
from stackroles.kube.redact import redact_status
from stackroles.kube.writer import Fence

Object = dict[str, Any]
log = structlog.get_logger(__name__)


class Cluster(Children):
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
        super().__init__(client, cache, fence)
        self._now = now
        self._instance = instance
        self._deduplicator = EventDeduplicator()

    @override
    async def apply_each(self, owner: Object, manifests: Iterable[Object]) -> Applied:
        """Bring children to their manifests, with an Event for each that somebody else changed.

        Raises:
            LeadershipLost: another replica may act by now.
        """
        applied = await super().apply_each(owner, manifests)
        for drift in applied.restored:
            await self.event(owner, WARNING, "ChildRestored", drift)
        return applied

    async def create_once(self, manifest: Object, owner: Object | None = None) -> Object:
        """Create an object that is never changed afterwards, such as generated passwords.

        Args:
            manifest: the object; not changed.
            owner: if given, the object gets its namespace and our labels.

        Returns:
            The existing object (trimmed) or the one created.
        """
        wanted = prepare(owner, manifest) if owner is not None else manifest
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

    async def patch_status(self, obj: Object, status: Object) -> bool:
        """Make `status` the status of a custom resource, if it differs in more than volatile times.

        The one way of any text into a status: what Secrets hold is masked, and what the schema does
        not allow is shortened or left out. Conditions that changed become Events.

        Returns:
            Whether it was written.

        Raises:
            Conflict: the resource changed since; reconcile again.
        """
        current = self._latest(obj)
        old = current.get("status", {})
        if is_same_status(old, status):
            return False
        redact = await self.read_redactor(obj["metadata"].get("namespace", ""))
        status = fit(obj["kind"], redact_status(status, redact))
        if is_same_status(old, status):
            return False
        await self._writer.patch_status(current, merge_patch(old, status))
        before, after = old.get("conditions") or (), status.get("conditions") or ()
        for record in transitions(before, after):
            await self._record(current, record)
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

    async def relabel_ownerless(self, owner: Object) -> None:
        """Move the owner's name to our own label on what has no reference to `owner`.

        Claims get their labels from a StatefulSet, whose template cannot change, and former
        versions used the recommended label everywhere. What could not be changed is logged and
        tried again by the next pass: no database waits for a label.
        """
        name, namespace = owner["metadata"]["name"], owner["metadata"]["namespace"]
        wanted = {LABEL_INSTANCE: name, LABEL_OWNER_KIND: owner["kind"]}
        for kind in OWNERLESS_KINDS:
            for obj in owned_by_label_alone(self.list(kind, namespace, wanted)):
                await self._relabel(obj, {LABEL_OWNER_NAME: name, LABEL_INSTANCE: None})

    async def _relabel(self, obj: Object, labels: Mapping[str, str | None]) -> None:
        try:
            await self.patch_metadata(obj, labels=labels)
        except ClusterError as error:
            log.warning("Labels were not changed", child=str(ref_of(obj)), error=str(error))
        else:
            log.info("Relabelled", child=str(ref_of(obj)))

    async def annotate_pod(self, pod: Object, annotations: Mapping[str, str | None]) -> None:
        """Set annotations of exactly this pod (None removes)."""
        await self.patch_metadata(pod, annotations=annotations)

    async def add_to_secret(self, secret: Object, values: Mapping[str, str]) -> None:
        """Set values of exactly this Secret; others that it holds stay."""
        data = {key: base64.b64encode(value.encode()).decode() for key, value in values.items()}
        await self._writer.patch(secret, {"data": data})

    async def grow_claim(self, claim: Object, size: str) -> None:
        """Have exactly this volume claim ask for a size.

        Raises:
            Forbidden: its storage class cannot, or a quota does not allow it.
        """
        spec = {"resources": {"requests": {"storage": size}}}
        await self._writer.patch(claim, {"spec": spec})

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
        """Record an Event about `obj`; the same one twice in a row is recorded once.

        Args:
            obj: what it is about.
            kind: "Normal" or "Warning".
            reason: a stable CamelCase word.
            message: a sentence.
        """
        await self._record(obj, EventRecord(kind, reason, message))

    async def _record(self, obj: Object, record: EventRecord) -> None:
        redact = await self.read_redactor(obj["metadata"].get("namespace", ""))
        record = replace(record, message=redact(record.message))
        if not self._deduplicator.is_new(uid_of(obj), record):
            return
        self._deduplicator.forget_others(uid_of(obj), record.reason)
        try:
            event = build_event(obj, record, self._now(), self._instance)
            await self._writer.create(event)
        except ClusterError as error:
            # An Event is a courtesy: the same message is in the condition.
            log.warning("Event was not recorded", reason=record.reason, error=str(error))


def _missing(have: Mapping[str, str], want: Mapping[str, str | None]) -> dict[str, str | None]:
    return {key: value for key, value in want.items() if have.get(key) != value}

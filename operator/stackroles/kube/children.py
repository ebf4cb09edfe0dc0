"""Bringing an owner's children to their manifests, and removing those no longer wanted."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from stackroles.errors import LeadershipLost, OperatorError
from stackroles.kube.apply import (
    AppliedRecord,
    check_owner,
    is_settled,
    manifest_hash,
    prepare,
    records_of,
    to_ref,
)
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient
from stackroles.kube.drift import describe_drift
from stackroles.kube.kinds import ObjectRef, ref_of, uid_of
from stackroles.kube.ownership import with_live_claims
from stackroles.kube.reader import Reader
from stackroles.kube.writer import Fence, Writer

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_PARALLEL: Final = 8
# Objects with pods come after what their pods mount, run as and are reached by; a binding after the
# role that it binds, without which the API server cannot tell whether the operator may give it.
_LATER: Final = {
    "RoleBinding": 1,
    **dict.fromkeys(("StatefulSet", "Deployment", "DaemonSet", "Job", "CronJob"), 2),
}
# Deleted when no longer wanted, also when no record names them. Jobs are records of what was done,
# volumes hold what cannot be made again: those only go by an explicit delete.
_PRUNED: Final = frozenset(
    {"StatefulSet", "Deployment", "DaemonSet", "CronJob"}
    | {"Service", "PodDisruptionBudget", "NetworkPolicy"}
    | {"ServiceAccount", "Role", "RoleBinding"}
)
# Deleted when `status.children` names them: among the others are generated passwords and the facts
# that data depends on.
_RECORDED_ONLY: Final = frozenset({"Secret", "ConfigMap"})


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an owner's children.

    Attributes:
        records: one record a child, sorted, for `status.children`; of a rejected one the last.
        failure: the gravest error, the others as its notes; None when there is none.
        restored: what somebody else did to children that were put back, a sentence each.
    """

    records: tuple[AppliedRecord, ...]
    failure: OperatorError | None
    restored: tuple[str, ...] = ()


class Children(Reader):
    """Reads, and gated writes of the objects that a custom resource owns."""

    def __init__(self, client: KubeClient, cache: Cache, fence: Fence) -> None:
        super().__init__(client, cache)
        self._writer = Writer(client, cache, fence)
        self._records: dict[str, dict[ObjectRef, AppliedRecord]] = {}

    async def apply_children(
        self, owner: Object, manifests: Iterable[Object]
    ) -> tuple[AppliedRecord, ...]:
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
            ClusterError: some child was rejected; all others were applied first.
            LeadershipLost: another replica may act by now, whatever else went wrong.
            NotReady: a child still belongs to an earlier owner of this name.
        """
        applied = await self.apply_each(owner, manifests)
        if applied.failure is not None:
            raise applied.failure
        return applied.records

    async def apply_each(self, owner: Object, manifests: Iterable[Object]) -> Applied:
        """Bring children to their manifests as `apply_children` does; errors are returned.

        Raises:
            LeadershipLost: another replica may act by now.
        """
        prepared = [prepare(owner, manifest) for manifest in manifests]
        known = records_of(owner) | self._records.get(uid_of(owner), {})
        records: dict[ObjectRef, AppliedRecord] = {}
        failures: list[OperatorError] = []
        restored: list[str] = []
        limit = asyncio.Semaphore(_PARALLEL)

        async def bring(manifest: Object) -> None:
            ref = ref_of(manifest)
            try:
                async with limit:
                    record = await self._bring(owner, manifest, known.get(ref), restored)
            except OperatorError as error:
                failures.append(error)
                record = known.get(ref)
            if record is not None:
                records[ref] = record

        for turn in range(3):
            chosen = [m for m in prepared if _LATER.get(m["kind"], 0) == turn]
            await asyncio.gather(*(bring(manifest) for manifest in chosen))
        self._records.setdefault(uid_of(owner), {}).update(records)
        failure = _gravest(failures) if failures else None
        if isinstance(failure, LeadershipLost):
            raise failure
        found = tuple(records[ref] for ref in sorted(records))
        return Applied(found, failure, tuple(sorted(restored)))

    async def _bring(
        self,
        owner: Object,
        manifest: Object,
        record: AppliedRecord | None,
        restored: list[str],
    ) -> AppliedRecord | None:
        ref, digest = ref_of(manifest), manifest_hash(manifest)
        seen = self.get(*ref)
        if is_settled(manifest, digest, record, seen):
            return record
        if seen is None and record is None:
            seen = await self.read(*ref)
        if seen is not None:
            if seen["metadata"].get("deletionTimestamp"):
                return None
            check_owner(owner, seen)
        if ref.kind == "StatefulSet" and seen is not None:
            live = await self.read(*ref)
            manifest = with_live_claims(manifest, live) if live else manifest
        # What was applied in this form and is not so any more is somebody else's doing.
        drifted = record is not None and record.hash == digest
        drift = describe_drift(manifest, await self.read(*ref)) if drifted else ""
        applied = await self._writer.apply(manifest)
        log.info("Applied", child=str(ref), new=seen is None)
        if drift:
            log.warning("Put back", child=str(ref), drift=drift)
            restored.append(drift)
        return AppliedRecord.of(applied, digest, owner["metadata"].get("namespace", ""))

    async def prune(
        self,
        owner: Object,
        keep: Iterable[AppliedRecord | ObjectRef | Object],
        *,
        among: Callable[[Object], bool] = lambda _: True,
    ) -> tuple[ObjectRef, ...]:
        """Delete the owner's children that are no longer wanted.

        Workloads, Services, budgets and network policies with a reference to the owner go, and
        Secrets and ConfigMaps that `status.children` names; never Jobs, volumes or our resources.

        Args:
            owner: the custom resource.
            keep: all wanted children: records, references or manifests.
            among: which children the caller answers for; all others stay.

        Returns:
            What was deleted.
        """
        namespace = owner["metadata"].get("namespace", "")
        kept = {to_ref(item, namespace) for item in keep}
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
                if r not in kept and among(obj)
                and not obj["metadata"].get("deletionTimestamp")]  # fmt: skip
        for ref in gone:
            await self.delete(candidates[ref])
            records.pop(ref, None)
        return tuple(sorted(gone))

    async def delete(
        self, obj: Object, propagation: str = "Background", grace_seconds: int | None = None
    ) -> None:
        """Delete exactly this object, by uid and resourceVersion; see `Writer.delete`.

        Raises:
            Conflict: it changed since it was read; retry.
        """
        await self._writer.delete(obj, propagation, grace_seconds)
        log.info("Deleted", child=str(ref_of(obj)))

    def forget(self, obj: Object) -> None:
        """Drop what is remembered of an owner that was deleted."""
        self._records.pop(uid_of(obj), None)


def _gravest(failures: Sequence[OperatorError]) -> OperatorError:
    """Return the failure to raise, the others as its notes: a lost Lease before all else."""
    first, *others = sorted(failures, key=lambda error: not isinstance(error, LeadershipLost))
    for other in others:
        first.add_note(str(other))
    return first

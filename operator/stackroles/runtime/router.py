"""From what was seen in the cluster to the cache and to the keys that must be looked at."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final

from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import OWN_KINDS, ObjectRef, ref_of
from stackroles.kube.ownership import parent_of
from stackroles.runtime.queue import WorkQueue

Object = dict[str, Any]

Watcher = Callable[[Object, Cache], Iterable[ObjectRef]]
"""Which keys to look at when an object changed (trimmed) or is gone (as last known)."""

Watchers = Mapping[str, tuple[Watcher, ...]]
"""Watchers by the kind they watch, besides the parent that labels name."""

PASS: Final[ContextVar[ObjectRef | None]] = ContextVar("PASS", default=None)
"""The key whose pass the present task is part of."""


def keys_of(
    obj: Object, cache: Cache, watchers: Watchers, kinds: Collection[str]
) -> set[ObjectRef]:
    """Return all keys to reconcile when `obj` changed: of `kinds`, since no others are taken."""
    keys = {ref_of(obj)}
    parent = parent_of(obj["metadata"].get("labels", {}))
    if parent is not None:
        keys.add(ObjectRef(parent.kind, obj["metadata"].get("namespace", ""), parent.name))
    for watcher in watchers.get(obj["kind"], ()):
        keys.update(watcher(obj, cache))
    return {key for key in keys if key.kind in kinds}


class Feed:
    """Takes in what watches and lists report, in any order and as often as they like.

    Keys come from the cache's news, which the operator's own writes are too: what a pass writes
    wakes everything it concerns but the key of that pass, which knows, and would wake itself for
    ever.
    """

    def __init__(
        self, cluster: Cluster, queue: WorkQueue, watchers: Watchers, kinds: Collection[str]
    ) -> None:
        """Wire the parts; `kinds` are those that something reconciles."""
        self._kinds = frozenset(kinds)
        self._cluster = cluster
        self._cache = cluster.cache
        self._queue = queue
        self._watchers = watchers
        self._begun = False
        self._cache.follow(self._take)

    def begin(self) -> None:
        """Enqueue from now on, and every custom resource once; before, nobody takes keys."""
        self._begun = True
        self.everything()

    def changed(self, obj: Object) -> None:
        """Take in an object that exists; the keys of both its old and new state are enqueued."""
        self._cache.upsert(obj)

    def deleted(self, obj: Object) -> None:
        """Take in that an object is gone."""
        self._cache.remove(obj)

    def listed(self, kind: str, namespace: str, items: Iterable[Object], version: int) -> int:
        """Take in a complete list; return how many objects the watch had missed."""
        return self._cache.replace(kind, namespace, items, version)

    def everything(self) -> None:
        """Enqueue every custom resource, behind what is waiting already."""
        if not self._begun:
            return
        for kind in sorted(self._kinds):
            for obj in self._cache.list(kind):
                self._queue.add(ref_of(obj), low=True)

    def _take(self, before: Object | None, after: Object | None) -> None:
        if before is not None and after is None and before["kind"] in OWN_KINDS:
            self._cluster.forget(before)
        if not self._begun:
            return
        for obj in (before, after):
            if obj is None:
                continue
            for key in sorted(keys_of(obj, self._cache, self._watchers, self._kinds)):
                if key != PASS.get():
                    self._queue.add(key)

"""From what was seen in the cluster to the cache and to the keys that must be reconciled."""

from collections.abc import Callable, Collection, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final

from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import OWN_KINDS, Key, ObjectRef, controller_of, key_of, ref_of
from stackroles.kube.ownership import parent_of
from stackroles.runtime.queue import WorkQueue

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Watcher:
    """Whom a change of an object concerns.

    Attributes:
        keys: which keys to reconcile when an object (trimmed) changed or is gone.
        reads: what of the object they read; a change of anything else does not concern them.
    """

    keys: Callable[[Object, Cache], Iterable[Key]]
    reads: Callable[[Object], Any] = lambda obj: obj

    def concerns(self, before: Object | None, after: Object | None) -> bool:
        """Return whether a change is one of what is read."""
        if before is None or after is None:
            return True
        return bool(self.reads(before) != self.reads(after))


Watchers = Mapping[str, tuple[Watcher, ...]]
"""Watchers by the kind they watch, besides whom a child belongs to."""

Owners = Callable[[Object, ObjectRef], Iterable[Key]]
"""Returns which keys a child belongs to, from the child and the parent that its labels name."""

CURRENT_KEY: Final[ContextVar[Key | None]] = ContextVar("PASS", default=None)
"""The key whose pass the present task is part of."""


def belongs_to_parent(_: Object, parent: ObjectRef) -> Iterable[Key]:
    """Return the parent: of a resource without parts, all children are its own."""
    return (parent,)


def keys_of(
    obj: Object, cache: Cache, watchers: Iterable[Watcher], owners: Owners = belongs_to_parent
) -> set[Key]:
    """Return all keys to reconcile when `obj` changed in what these watchers read."""
    keys: set[Key] = {ref_of(obj)}
    parent = parent_of(obj["metadata"].get("labels", {}))
    if parent is not None:
        namespace = obj["metadata"].get("namespace", "")
        keys.update(owners(obj, ObjectRef(parent.kind, namespace, parent.name)))
    for watcher in watchers:
        keys.update(watcher.keys(obj, cache))
    return keys


class EventRouter:
    """Takes in what watches and lists report, in any order and as often as they like.

    Keys come from the cache's changes, which the operator's own writes are too: what a pass writes
    wakes everything it concerns but the key of that pass, which knows, and would wake itself for
    ever. Where the answer to a write holds a change of somebody else's too, that key is woken.
    """

    def __init__(
        self,
        cluster: Cluster,
        queue: WorkQueue,
        watchers: Watchers,
        controllers: Collection[str],
        owners: Owners = belongs_to_parent,
    ) -> None:
        """Wire the parts; `controllers` are the names of what is reconciled (`Kind/part`)."""
        self._controllers = frozenset(controllers)
        self._owners = owners
        self._cluster = cluster
        self._cache = cluster.cache
        self._queue = queue
        self._watchers = watchers
        self._begun = False
        self._cache.follow(self._route)

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
        for controller in sorted(self._controllers):
            for obj in self._cache.list(controller.partition("/")[0]):
                self._queue.add(key_of(controller, ref_of(obj)), low=True)

    def _route(self, before: Object | None, after: Object | None, own: bool) -> None:
        if before is not None and after is None and before["kind"] in OWN_KINDS:
            self._cluster.forget(before)
        if not self._begun:
            return
        kind = (after or before or {})["kind"]
        watchers = [w for w in self._watchers.get(kind, ()) if w.concerns(before, after)]
        keys: set[Key] = set()
        for obj in (before, after):
            if obj is not None:
                keys |= keys_of(obj, self._cache, watchers, self._owners)
        writer = CURRENT_KEY.get() if own else None
        for key in sorted(keys):
            if controller_of(key) in self._controllers and key != writer:
                self._queue.add(key)

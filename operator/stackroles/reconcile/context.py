"""What a reconcile function is given, and what it looks like."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any, Protocol

from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import Key, ObjectRef, PartRef, uid_of
from stackroles.workloads.conditions import ObservationTime


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> datetime:
        """Return the wall clock, UTC and timezone-aware."""
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        ...


@dataclass(frozen=True)
class Observation:
    """The last result of a polled call.

    Attributes:
        value: what the last successful call returned, None before the first.
        error: why the last call failed, "" when it did not. `value` then is what was known before.
        at: when the last successful call ended, in `Clock.monotonic()` seconds.
        failing_since: when the first of the failures in a row ended, None without an error.
    """

    value: Any
    error: str
    at: float
    failing_since: float | None = None


class Poller(Protocol):
    """Calls what cannot be watched again and again, and enqueues a resource on a difference."""

    def ensure(
        self,
        name: str,
        call: Callable[[], Awaitable[Any]],
        *,
        interval: float,
        deadline: float,
        notify: Key,
        target: str = "",
    ) -> None:
        """Poll `call` under `name` from now on; a second call with the same name updates the first.

        Args:
            name: unique; starts with what it belongs to, such as "ComputePool/ns/name/services".
            call: returns comparable data; an exception is an observation too.
            interval: seconds between the end of one call and the start of the next.
            deadline: seconds after which a call is given up.
            notify: what to reconcile when value or error differ from the last.
            target: calls to one target share a circuit breaker; `name` by default.
        """
        ...

    def latest(self, name: str) -> Observation | None:
        """Return the last observation, None when there is none yet."""
        ...

    def refresh(self, prefix: str) -> None:
        """Poll everything whose name starts with `prefix` now, also what failed again and again."""
        ...

    def forget(self, prefix: str) -> None:
        """Stop polling everything whose name starts with `prefix`."""
        ...


class Requeue(Protocol):
    """Enqueues the reconcile of a resource or of a part of one."""

    def __call__(self, ref: Key, delay: float = 0.0) -> None:
        """Reconcile `ref` after `delay` seconds, or at once."""
        ...


class Parts:
    """What the parts of resources found last; the resource's own pass makes its status of them.

    Nothing of it survives the process: a part is reconciled at once when an operator begins.
    """

    def __init__(self) -> None:
        self._found: dict[PartRef, tuple[str, Any]] = {}

    def latest(self, ref: PartRef, uid: str) -> Any:
        """Return what a part found last, None before its first pass of this process.

        Args:
            ref: the part.
            uid: identity of the resource: what a former one of this name had counts for none.
        """
        known, found = self._found.get(ref, ("", None))
        return found if known == uid else None

    def update(self, ref: PartRef, uid: str, found: Any) -> bool:
        """Keep what a part found; return whether it differs from the last."""
        before = self.latest(ref, uid)
        self._found[ref] = (uid, found)
        return bool(before != found)

    def forget(self, whole: ObjectRef) -> None:
        """Forget the parts of a resource that is gone."""
        for ref in [ref for ref in self._found if ref.whole == whole]:
            del self._found[ref]


@dataclass(frozen=True)
class Context:
    """Everything a reconcile function may touch.

    Attributes:
        cluster: the Kubernetes API.
        poller: answers of what cannot be watched.
        tasks: what changes something outside of Kubernetes, repeated until it is done; used as the
            poller is.
        clock: time.
        random: randomness, also for passwords (a SystemRandom in production).
        settings: the operator's settings (main's Settings).
        openstack: access to the clouds' own APIs.
        enqueue: reconcile another resource.
        leader: name of this process's leadership; a process leads at most once.
        parts: what the parts of resources found.
        resolved: clouds as resolved from their specs; see `reconcile/clouds.py`.
        active: returns the parts of a resource that are being reconciled now.
        unread: the watched namespaces that may not be read now: what is in them is not known.
    """

    cluster: Cluster
    poller: Poller
    tasks: Poller
    clock: Clock
    random: Random
    settings: Any
    openstack: Any
    enqueue: Requeue
    leader: str
    unread: Callable[[], Collection[str]] = tuple
    active: Callable[[ObjectRef], Collection[Key]] = lambda _: ()
    parts: Parts = field(default_factory=Parts)
    resolved: dict[ObjectRef, Any] = field(default_factory=dict)

    def observed_at(self, resource: Mapping[str, Any]) -> ObservationTime:
        """Return when a resource is observed, and at which generation of it."""
        metadata = resource["metadata"]
        return ObservationTime(
            generation=metadata.get("generation", 0),
            created=datetime.fromisoformat(metadata["creationTimestamp"]),
            # Whole seconds, as the API writes times.
            now=self.clock.now().replace(microsecond=0),
        )

    def latest(self, resource: Mapping[str, Any], part: PartRef) -> Any:
        """Return what a part of exactly this resource found last; see `Parts.latest`."""
        return self.parts.latest(part, uid_of(resource))

    def publish(
        self,
        resource: Mapping[str, Any],
        part: PartRef,
        found: Any,
        readers: Iterable[Key] = (),
    ) -> None:
        """Keep what a part found, and have its readers reconciled when that differs.

        A pass that ends when its resource is gone, or another one has its name, publishes nothing.

        Args:
            resource: the resource as the pass had it.
            part: the part.
            found: what it found; comparable.
            readers: who reads it besides the whole.
        """
        uid, current = uid_of(resource), self.cluster.get(*part.whole)
        if current is None or uid_of(current) != uid:
            return
        if self.parts.update(part, uid, found):
            for key in (part.whole, *readers):
                self.enqueue(key)

    def rest(self, ref: ObjectRef) -> None:
        """Stop the polls and tasks of a resource that is not acted upon."""
        self.poller.forget(f"{ref}/")
        self.tasks.forget(f"{ref}/")

    def forget(self, ref: ObjectRef) -> None:
        """Drop what goes on for a resource that is gone: its polls, its connection."""
        self.rest(ref)
        self.parts.forget(ref)
        self.resolved.pop(ref, None)
        if ref.kind == "CloudController":
            self.openstack.forget(ref.namespace, ref.name)


Reconcile = Callable[[Context, dict[str, Any]], Awaitable[None]]
"""Brings one custom resource (whole, from the cache) to its spec.

Also called for a resource with a deletionTimestamp; not for one that is gone. Raises SpecInvalid to
say so in the conditions and wait for a new spec, NotReady to be called again after a delay;
anything else is retried with backoff.
"""

Reconcilers = Mapping[str, Reconcile]
"""Which function reconciles which kind, or which part of one (`Kind/part`)."""

"""Leader election by a coordination.k8s.io Lease, and the fence that every write passes.

The durations are those of controller-runtime: a Lease holds for 15 s, its holder gives up when it
could not renew for 10 s, and each tries every 2 s. What is between 10 and 15 covers writes
under way; no request outlives the fence (kube/writer.py). Time is CLOCK_BOOTTIME, which also counts
while a machine sleeps, so that a leader that was paused writes nothing when it wakes.
"""

import asyncio
import enum
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import structlog

from stackroles.errors import ClusterError, Conflict, LeadershipLost, NotFound
from stackroles.kube.client import KubeClient
from stackroles.kube.kinds import kind_of

Object = dict[str, Any]
log = structlog.get_logger(__name__)

LEASE_SECONDS: Final = 15.0
RENEW_SECONDS: Final = 10.0
RETRY_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """How long what lasts, in seconds.

    Attributes:
        lease: until another may take a Lease that is not renewed.
        renew: until its holder gives up when it cannot renew; less than `lease`.
        retry: between two tries.
    """

    lease: float = LEASE_SECONDS
    renew: float = RENEW_SECONDS
    retry: float = RETRY_SECONDS


DEFAULT_TIMES: Final = Times()
# One request; an elector repeats it.
_REQUEST_SECONDS: Final = 5.0


class Move(enum.Enum):
    """What to do about the Lease now."""

    CREATE = "create"
    TAKE = "take"
    RENEW = "renew"
    WAIT = "wait"


@dataclass(frozen=True)
class Sighting:
    """A Lease as it was first seen in this state.

    Attributes:
        holder: who holds it, "" when it was given back.
        renewed: its renewTime, only compared, since other machines' clocks cannot be trusted.
        transitions: how often the holder has changed.
        at: our own clock when this state was first seen.
    """

    holder: str
    renewed: str
    transitions: int
    at: float

    @classmethod
    def of(cls, lease: Object, at: float) -> "Sighting":
        """Return the sighting of a Lease at our time `at`."""
        spec = lease.get("spec", {})
        holder, renewed = spec.get("holderIdentity") or "", spec.get("renewTime") or ""
        return cls(holder, renewed, int(spec.get("leaseTransitions") or 0), at)

    def after(self, previous: "Sighting | None") -> "Sighting":
        """Return the earlier of two sightings when both show the same state."""
        if previous is None or (self.holder, self.renewed, self.transitions) != (
            previous.holder,
            previous.renewed,
            previous.transitions,
        ):
            return self
        return previous


def decide(
    seen: Sighting | None,
    me: str,
    *,
    leading: bool,
    now: float,
    lease: float = LEASE_SECONDS,
) -> Move:
    """Return what to do about the Lease.

    Args:
        seen: the Lease, with the time its state was first seen; None when there is none.
        me: our identity.
        leading: whether this process has held it without a break.
        now: our clock.
        lease: for how many seconds a Lease holds.
    """
    if seen is None:
        return Move.CREATE
    if seen.holder == me:
        # The Lease of an earlier process with our identity is taken, not renewed: that is a change.
        return Move.RENEW if leading else Move.TAKE
    if not seen.holder or now >= seen.at + lease:
        return Move.TAKE
    return Move.WAIT


class Leadership:
    """Whether this process leads, and until when."""

    def __init__(self, boottime: Callable[[], float], times: Times = DEFAULT_TIMES) -> None:
        self._boottime = boottime
        self._renew = times.renew
        self._until = -float("inf")
        self._lost = False
        self.started = asyncio.Event()

    @property
    def leading(self) -> bool:
        """Return whether this process may write now."""
        return not self._lost and self._boottime() < self._until

    def fence(self) -> float:
        """Return for how many seconds this process may still write.

        Raises:
            LeadershipLost: for none; this process never leads again.
        """
        left = self._until - self._boottime()
        if self._lost or left <= 0:
            raise LeadershipLost("The Lease was not renewed in time: another replica may lead")
        return left

    def renewed(self, sent: float) -> None:
        """Note a renewal whose request was sent at `sent`."""
        self._until = sent + self._renew
        self.started.set()

    def end(self) -> None:
        """Never lead again."""
        self._lost = True


class Elector:
    """Acquires the Lease, renews it, and gives it back on a clean exit."""

    def __init__(
        self,
        client: KubeClient,
        leadership: Leadership,
        *,
        namespace: str,
        name: str,
        identity: str,
        boottime: Callable[[], float],
        now: Callable[[], datetime],
        times: Times = DEFAULT_TIMES,
    ) -> None:
        self._client = client
        self._times = times
        self._leadership = leadership
        self._path = kind_of("Lease").path(namespace, name)
        self._collection = kind_of("Lease").path(namespace)
        self._metadata = {"name": name, "namespace": namespace}
        self._identity = identity
        self._boottime = boottime
        self._now = now
        self._seen: Sighting | None = None
        self._lease: Object | None = None

    @property
    def holder(self) -> str:
        """Who was last seen to hold the Lease, empty where nobody was."""
        return self._seen.holder if self._seen else ""

    async def run(self) -> None:
        """Compete for the Lease, then hold it until cancelled.

        Raises:
            LeadershipLost: it was held and is no more; the process must end.
        """
        while True:
            try:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    await self.step()
            except (ClusterError, TimeoutError) as error:
                log.warning("Lease could not be renewed", error=str(error) or "timed out")
            if self._leadership.started.is_set():
                self._leadership.fence()
            await asyncio.sleep(self._times.retry)

    async def step(self) -> Move:
        """Read the Lease once and do what it takes.

        Raises:
            ClusterError: the API server did not do it; the next step may.
            LeadershipLost: somebody else took it while we led.
        """
        held = self._leadership.started.is_set()
        # A leader renews what it last wrote and reads only when that fails: half the requests.
        if not held or self._lease is None:
            self._lease = await self._read()
        if self._lease is not None:
            self._seen = Sighting.of(self._lease, self._boottime()).after(self._seen)
        seen = self._seen if self._lease is not None else None
        move = decide(
            seen, self._identity, leading=held, now=self._boottime(), lease=self._times.lease
        )
        if held and move is not Move.RENEW:
            self._leadership.end()
            raise LeadershipLost(f"Lease {self._metadata['name']} is held by another replica")
        if move is not Move.WAIT:
            await self._write(move, seen)
        return move

    async def release(self) -> None:
        """Give the Lease back, so that the other replica need not wait for it to run out."""
        lease = self._lease
        leading = self._leadership.leading
        self._leadership.end()
        if lease is None or not leading:
            return
        spec = {**lease["spec"], "holderIdentity": "", "leaseDurationSeconds": 1}
        try:
            await self._client.request("PUT", self._path, body={**lease, "spec": spec}, timeout=2.0)
        except ClusterError as error:
            log.warning("Lease was not given back", error=str(error))

    async def _read(self) -> Object | None:
        try:
            lease: Object = await self._client.request("GET", self._path, timeout=_REQUEST_SECONDS)
        except NotFound:
            return None
        return lease

    async def _write(self, move: Move, seen: Sighting | None) -> None:
        sent = self._boottime()
        transitions = (seen.transitions if seen else 0) + (0 if move is Move.RENEW else 1)
        body = self._body(move, transitions)
        method = "POST" if move is Move.CREATE else "PUT"
        path = self._collection if move is Move.CREATE else self._path
        try:
            self._lease = await self._client.request(
                method, path, body=body, timeout=_REQUEST_SECONDS
            )
        except Conflict:
            self._lease = None  # read it again: somebody else wrote
            raise
        except ClusterError:
            self._lease = None  # it may have been written all the same
            raise
        if move is not Move.RENEW:
            log.info("Lease acquired", lease=self._metadata["name"], transitions=transitions)
        self._leadership.renewed(sent)

    def _body(self, move: Move, transitions: int) -> Object:
        stamp = self._now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        old = self._lease or {}
        acquired = old.get("spec", {}).get("acquireTime", stamp) if move is Move.RENEW else stamp
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": old.get("metadata", self._metadata),
            "spec": {
                "holderIdentity": self._identity,
                "leaseDurationSeconds": int(self._times.lease),
                "acquireTime": acquired,
                "renewTime": stamp,
                "leaseTransitions": transitions,
            },
        }

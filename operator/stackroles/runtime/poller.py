"""Polls what cannot be watched: answers of services inside the cloud."""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from stackroles.kube.kinds import Key
from stackroles.reconcile.context import Observation

log = structlog.get_logger(__name__)

_THRESHOLD: Final = 5
_COOLDOWN_FACTOR: Final = 3.0
_COOLDOWN_CAP: Final = 60.0


class Breaker:
    """Stops calls to a target that fails again and again, then tries again.

    Opens after five failures in a row, for three intervals (doubling with each trial that fails, a
    minute at most); then the next call decides.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._until = -float("inf")

    def wait(self, now: float) -> float:
        """Return for how many seconds no call may be made; 0 when one may."""
        return max(self._until - now, 0.0)

    def succeeded(self) -> None:
        """Note a call that succeeded."""
        self._failures = 0
        self._until = -float("inf")

    def failed(self, now: float, interval: float) -> None:
        """Note a call that failed, of calls that come every `interval` seconds."""
        self._failures += 1
        if self._failures >= _THRESHOLD:
            doublings = min(self._failures - _THRESHOLD, 8)
            self._until = now + min(interval * _COOLDOWN_FACTOR * 2**doublings, _COOLDOWN_CAP)

    def half_open(self) -> None:
        """Let the next call through."""
        self._until = -float("inf")


@dataclass
class Poll:
    """One thing that is polled."""

    name: str
    call: Callable[[], Awaitable[Any]]
    interval: float
    deadline: float
    notify: Key
    target: str
    seen: Observation | None = None
    poked: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None


class AsyncPoller:
    """Runs polls, each in a task of its own, with bounded concurrency and a breaker per target."""

    def __init__(
        self,
        enqueue: Callable[[Key], None],
        monotonic: Callable[[], float],
        *,
        parallel: int = 16,
    ) -> None:
        self._enqueue = enqueue
        self._monotonic = monotonic
        self._limit = asyncio.Semaphore(parallel)
        self._polls: dict[str, Poll] = {}
        self._breakers: dict[str, Breaker] = {}

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
        """Poll `call` under `name` from now on; see reconcile.context.Poller."""
        poll = self._polls.get(name)
        if poll is None:
            poll = Poll(name, call, interval, deadline, notify, target or name)
            self._polls[name] = poll
            # A context of its own: it must not pass for the pass that happened to begin it.
            poll.task = asyncio.create_task(
                self._run(poll), name=f"poll {name}", context=contextvars.Context()
            )
            return
        sooner = interval < poll.interval
        poll.call, poll.interval, poll.deadline = call, interval, deadline
        poll.notify, poll.target = notify, target or name
        if sooner:
            poll.poked.set()

    def latest(self, name: str) -> Observation | None:
        """Return the last observation, None when there is none yet."""
        poll = self._polls.get(name)
        return poll.seen if poll else None

    def refresh(self, prefix: str) -> None:
        """Poll everything whose name starts with `prefix` now, whatever the breakers say."""
        for name, poll in self._polls.items():
            if name.startswith(prefix):
                self._breaker(poll).half_open()
                poll.poked.set()

    def forget(self, prefix: str) -> None:
        """Stop polling everything whose name starts with `prefix`."""
        for name in [name for name in self._polls if name.startswith(prefix)]:
            task = self._polls.pop(name).task
            if task is not None:
                task.cancel()
        used = {poll.target for poll in self._polls.values()}
        self._breakers = {key: value for key, value in self._breakers.items() if key in used}

    async def stop(self) -> None:
        """Stop all polls and wait for their tasks."""
        tasks = [poll.task for poll in self._polls.values() if poll.task is not None]
        self.forget("")
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _run(self, poll: Poll) -> None:
        with structlog.contextvars.bound_contextvars(resource=str(poll.notify), poll=poll.name):
            while True:
                # Before the call: whoever asks during it wants to know what is true after it.
                poll.poked.clear()
                wait = self._breaker(poll).wait(self._monotonic())
                if wait <= 0:
                    if self._may_call(poll):
                        await self._observe(poll)
                    wait = max(poll.interval, self._breaker(poll).wait(self._monotonic()))
                try:
                    async with asyncio.timeout(wait):
                        await poll.poked.wait()
                except TimeoutError:
                    pass

    def _may_call(self, _: Poll) -> bool:
        """Return whether the call may be made now; one that only reads always may."""
        return True

    async def _observe(self, poll: Poll) -> None:
        """Make the call once, keep its result and enqueue on a difference."""
        before, breaker = poll.seen, self._breaker(poll)
        value, error = (before.value if before else None), ""
        try:
            async with self._limit, asyncio.timeout(poll.deadline):
                value = await poll.call()
        except TimeoutError:
            error = f"no answer within {poll.deadline:g} s"
        except Exception as failure:
            # Whatever a service inside the cloud does wrong is an observation about that service.
            error = str(failure) or type(failure).__name__
        now = self._monotonic()
        if error:
            breaker.failed(now, poll.interval)
            since = before.failing_since if before and before.error else now
            poll.seen = Observation(value, error, before.at if before else -float("inf"), since)
            if before is None or before.error != error:
                log.warning("A poll fails", error=error)
        else:
            breaker.succeeded()
            poll.seen = Observation(value, "", now)
            if before is not None and before.error:
                log.info("A poll succeeds again")
        if before is None or before.value != value or before.error != error:
            self._enqueue(poll.notify)

    def _breaker(self, poll: Poll) -> Breaker:
        return self._breakers.setdefault(poll.target, Breaker())

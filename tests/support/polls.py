"""A clock that the test moves, and a poller that calls when the test says so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from stackroles.errors import OperatorError
from stackroles.reconcile.context import Observation

NEVER = Observation(None, "", 0.0)


@dataclass
class Time:
    at: datetime = datetime(2026, 1, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()


@dataclass
class Polls:
    clock: Time
    calls: dict[str, Callable[[], Awaitable[Any]]] = field(default_factory=dict)
    seen: dict[str, Observation] = field(default_factory=dict)

    def ensure(self, name: str, call: Callable[[], Awaitable[Any]], **_: Any) -> None:
        self.calls[name] = call

    def latest(self, name: str) -> Observation | None:
        return self.seen.get(name)

    def forget(self, prefix: str) -> None:
        for name in [name for name in self.calls if name.startswith(prefix)]:
            del self.calls[name]
            self.seen.pop(name, None)

    def refresh(self, prefix: str) -> None:
        pass

    async def tick(self) -> None:
        """Make every call once."""
        for name, call in list(self.calls.items()):
            try:
                self.seen[name] = Observation(await call(), "", self.clock.monotonic())
            except OperatorError as error:
                before = self.seen.get(name, NEVER)
                since = before.failing_since if before.error else self.clock.monotonic()
                self.seen[name] = replace(before, error=str(error), failing_since=since)

"""Health and metrics over HTTP.

Liveness follows what the operator is for: watches that prove alive and a queue that moves. A server
that only answers would also answer from a process whose watches have died.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from aiohttp import web

from stackroles.runtime.metrics import Metrics
from stackroles.runtime.namespaces import Ages

# kopf reconnects a watch that was silent for 70 s, and retries for 54 s.
WATCH_SECONDS: Final = 180.0
# A reconcile function is cancelled after 300 s; no key can wait this long unless all workers hang.
QUEUE_SECONDS: Final = 900.0
_ANSWER_SECONDS: Final = 60.0


@dataclass(frozen=True)
class HealthSnapshot:
    """What health is judged by.

    Attributes:
        watch_ages: seconds since each watch last proved alive, by namespace and kind.
        answer_age: seconds since the API server last answered our own client.
        longest_wait: seconds the oldest key has been waiting.
        longest_run: seconds the oldest pass has been running.
        working: whether this replica takes keys (it leads).
        synced: whether the cache was filled.
    """

    watch_ages: Ages
    answer_age: float
    longest_wait: float
    longest_run: float
    working: bool
    synced: bool


def failing_checks(snapshot: HealthSnapshot) -> list[str]:
    """Return why this process should be restarted; empty when it should not.

    Silent watches only count while the API server answers others: a restart does not cure an
    outage of the API server.
    """
    found = []
    if snapshot.synced and snapshot.answer_age < _ANSWER_SECONDS:
        for (namespace, kind), age in sorted(snapshot.watch_ages.items()):
            if age > WATCH_SECONDS:
                where = f" in {namespace}" if namespace else ""
                found.append(f"watch of {kind}{where} was silent for {age:.0f} s")
    if snapshot.working and snapshot.longest_wait > QUEUE_SECONDS:
        found.append(f"a key has been waiting for {snapshot.longest_wait:.0f} s")
    if snapshot.longest_run > QUEUE_SECONDS:
        found.append(f"a pass has been running for {snapshot.longest_run:.0f} s")
    return found


class WatchAges:
    """When each watch was last heard of."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._last_alive: Ages = {}

    def expect(self, namespace: str, kind: str) -> None:
        """Count a watch's age from now on."""
        self._last_alive.setdefault((namespace, kind), self._monotonic())

    def proved_alive(self, namespace: str, kind: str) -> None:
        """Note a sign of life: an event, a bookmark, or a stream that was opened."""
        self._last_alive[namespace, kind] = self._monotonic()

    def forget(self, namespace: str) -> None:
        """Expect nothing of a namespace any more."""
        self._last_alive = {key: at for key, at in self._last_alive.items() if key[0] != namespace}

    def ages(self) -> Ages:
        """Return the seconds since the last sign of life."""
        now = self._monotonic()
        return {key: now - at for key, at in self._last_alive.items()}


def build_app(snapshot: Callable[[], HealthSnapshot], metrics: Metrics) -> web.Application:
    """Return the web application with /healthz, /readyz and /metrics."""

    async def healthz(_: web.Request) -> web.Response:
        return _answer(failing_checks(snapshot()))

    async def readyz(_: web.Request) -> web.Response:
        now = snapshot()
        return _answer(
            failing_checks(now) + ([] if now.synced else ["the cache is not filled yet"])
        )

    async def render(_: web.Request) -> web.Response:
        return web.Response(body=metrics.render(), content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", render)
    return app


async def serve(app: web.Application, port: int) -> web.AppRunner:
    """Serve on all addresses; returns the runner, for its `cleanup`."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, None, port).start()
    return runner


def _answer(problems: list[str]) -> web.Response:
    return web.Response(status=503 if problems else 200, text="\n".join(problems) or "ok")

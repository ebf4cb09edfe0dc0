"""Workers that take keys from the queue and reconcile them."""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog

from stackroles.errors import (
    Conflict,
    LeadershipLost,
    NotReady,
    OperatorError,
    SpecInvalid,
    Throttled,
    Unavailable,
)
from stackroles.kube.kinds import Key, PartRef, controller_of
from stackroles.reconcile.blocked import reconcile_reporting_errors
from stackroles.reconcile.context import Context, Reconcile, Reconcilers
from stackroles.runtime.claims import NamespaceClaims
from stackroles.runtime.metrics import Metrics
from stackroles.runtime.queue import WorkQueue
from stackroles.runtime.router import CURRENT_KEY

Object = dict[str, Any]
log = structlog.get_logger(__name__)

RECONCILE_SECONDS: Final = 300.0
# Until a key of a namespace that is not claimed is looked at again.
UNCLAIMED_SECONDS: Final = 0.5


class Dispatcher:
    """Runs reconcile functions; none of their errors ends a worker but lost leadership."""

    def __init__(
        self,
        queue: WorkQueue,
        context: Context,
        reconcilers: Reconcilers,
        metrics: Metrics,
        *,
        claims: NamespaceClaims,
        workers: int,
        monotonic: Callable[[], float],
    ) -> None:
        self._queue = queue
        self._context = context
        self._reconcilers = reconcilers
        self._metrics = metrics
        self._claims = claims
        self._workers = workers
        self._monotonic = monotonic

    async def run(self) -> None:
        """Work until cancelled.

        Raises:
            LeadershipLost: a write was rejected by the fence.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            key = await self._queue.get()
            try:
                await self.process(key)
            finally:
                self._queue.done(key)

    async def process(self, key: Key) -> None:
        """Reconcile one key once and decide when it is reconciled again."""
        whole, controller = key.whole if isinstance(key, PartRef) else key, controller_of(key)
        resource = self._context.cluster.get(*whole)
        reconcile = self._reconcilers.get(controller)
        if resource is None or reconcile is None:
            # Also one whose finalizer a person removed: nothing may go on for it.
            self._context.forget(whole)
            self._queue.forget(key)
            return
        if not self._claims.holds(whole.namespace):
            await self._leave_alone(key, resource)
            return
        started = self._monotonic()
        token = CURRENT_KEY.set(key)
        try:
            with structlog.contextvars.bound_contextvars(resource=str(key)):
                result = await self._attempt(key, reconcile, resource)
        finally:
            CURRENT_KEY.reset(token)
        self._metrics.reconciled(controller, result, self._monotonic() - started)

    async def _leave_alone(self, key: Key, resource: Object) -> None:
        """Do nothing for a resource in a namespace that this installation has not claimed."""
        self._context.rest(key.whole if isinstance(key, PartRef) else key)
        other = self._claims.holder(resource["metadata"].get("namespace", ""))
        if other and not isinstance(key, PartRef):
            await self._context.cluster.event(
                resource,
                "Warning",
                "NamespaceClaimed",
                f"The operator {other} serves this namespace; {self._claims.installation} does "
                "nothing here. Take the namespace from the watchNamespaces of one of them.",
            )
        self._queue.forget(key)
        self._queue.add_after(key, UNCLAIMED_SECONDS)

    async def _attempt(self, key: Key, reconcile: Reconcile, resource: Object) -> str:
        """Run a reconcile function; return `success`, `requeue_after` or `error`."""
        try:
            async with asyncio.timeout(RECONCILE_SECONDS):
                if isinstance(key, PartRef):
                    # What is wrong with the spec is reported by the pass over the whole.
                    await reconcile(self._context, resource)
                else:
                    await reconcile_reporting_errors(self._context, reconcile, resource)
        except LeadershipLost:
            raise
        except SpecInvalid as error:
            log.info("Waits for a new spec", reason=error.reason, error=str(error))
            self._queue.forget(key)
            return "error"
        except NotReady as error:
            log.info("Waits", why=str(error), seconds=round(error.delay, 1))
            self._queue.forget(key)
            self._queue.add_after(key, error.delay)
            return "requeue_after"
        except (Conflict, Throttled, Unavailable) as error:
            delay = self._queue.retry(key, getattr(error, "delay", 0.0))
            log.warning("Reconcile is repeated", error=str(error), seconds=round(delay, 1))
            return "error"
        except OperatorError as error:
            delay = self._queue.retry(key)
            log.error("Reconcile failed", error=str(error), seconds=round(delay, 1))  # noqa: TRY400
            return "error"
        except Exception as error:
            delay = self._queue.retry(key)
            log.exception("Reconcile broke", error=repr(error), seconds=round(delay, 1))
            return "error"
        self._queue.forget(key)
        return "success"

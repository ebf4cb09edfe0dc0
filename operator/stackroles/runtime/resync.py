"""A jittered re-list of everything watched.

kopf yields only what still exists after a re-list of its own, so a deletion during a broken watch
is never reported. Comparing a full list with the cache finds it, and any other event that was lost.
"""

import asyncio
from collections.abc import Sequence
from random import Random
from typing import Final

import structlog

from stackroles.errors import ClusterError, Forbidden, NotFound
from stackroles.kube.client import KubeClient
from stackroles.kube.kinds import Kind
from stackroles.runtime.namespaces import NamespaceScope
from stackroles.runtime.router import EventRouter

log = structlog.get_logger(__name__)

_RETRY_SECONDS: Final = 3.0
_GAP_SECONDS: Final = 2.0
_REGAIN_SECONDS: Final = 15.0


class Resync:
    """Lists every watched kind: once before work starts, then again and again.

    Args:
        client: the Kubernetes API.
        router: takes in the lists.
        kinds: what to list.
        scope: which namespaces.
        shortest: the least seconds between two rounds.
        longest: the most seconds between two rounds.
        random: where in between.
    """

    def __init__(
        self,
        client: KubeClient,
        router: EventRouter,
        *,
        kinds: Sequence[Kind],
        scope: NamespaceScope,
        shortest: float,
        longest: float,
        random: Random,
    ) -> None:
        self._client = client
        self._router = router
        self._kinds = kinds
        self._scope = scope
        self._shortest = shortest
        self._longest = longest
        self._random = random

    async def prime(self) -> None:
        """Fill the cache; a pass that saw only half of it would re-apply the rest.

        Repeats until each kind was listed, saying what is missing: a custom resource definition or
        a right. A namespace that may not be read is left out.
        """
        for kind in self._kinds:
            while True:
                try:
                    await self.list_kind(kind)
                    break
                except NotFound:
                    log.warning("Kind is not served: install the CRDs", kind=kind.name)
                except Forbidden as error:
                    log.warning("Kind may not be listed: grant the right", error=str(error))
                except ClusterError as error:
                    log.warning("List failed", kind=kind.name, error=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def run(self) -> None:
        """Repeat rounds, and look for namespaces that come back, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._rounds())
            group.create_task(self._regain())

    async def _regain(self) -> None:
        while True:
            await asyncio.sleep(_REGAIN_SECONDS)
            for namespace in self._scope.excluded():
                await self.include(namespace)

    async def include(self, namespace: str) -> None:
        """Serve a namespace again, if all of it can be listed."""
        try:
            for kind in self._kinds:
                if kind.namespaced:
                    await self._list(kind, namespace)
        except ClusterError as error:
            log.debug("Namespace stays left out", namespace=namespace, error=str(error))
            return
        self._scope.include(namespace)
        self._router.everything()

    async def _rounds(self) -> None:
        while True:
            await asyncio.sleep(self._random.uniform(self._shortest, self._longest))
            await self.round()

    async def round(self) -> None:
        """List all kinds, then enqueue every custom resource once."""
        for kind in self._kinds:
            try:
                missed = await self.list_kind(kind)
            except ClusterError as error:
                log.warning("List failed", kind=kind.name, error=str(error))
                continue
            if missed:
                log.warning("The watch had missed changes", kind=kind.name, objects=missed)
            await asyncio.sleep(self._random.uniform(0, _GAP_SECONDS))
        self._router.everything()

    async def list_kind(self, kind: Kind) -> int:
        """List one kind; return how many objects the watch had missed."""
        if not kind.namespaced:
            return await self._list(kind, "")
        missed = 0
        for namespace in self._scope.active():
            try:
                missed += await self._list(kind, namespace)
            except Forbidden as error:
                if not namespace:
                    raise
                self._scope.exclude(namespace, str(error))
        return missed

    async def _list(self, kind: Kind, namespace: str) -> int:
        page = await self._client.list(kind, namespace)
        return self._router.listed(kind.name, namespace, page.items, page.version)

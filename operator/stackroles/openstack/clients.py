"""One connection per cloud, kept between passes."""

import asyncio
from typing import Any

from stackroles.config.cloud import Cloud
from stackroles.openstack.access import CloudAccess, Fence, administrator


class Clouds:
    """Access to the APIs of the clouds this operator runs, as their administrators.

    Args:
        fence: the leader's; every change of a cloud passes it.
    """

    def __init__(self, fence: Fence) -> None:
        self._fence = fence
        self._known: dict[tuple[str, str], CloudAccess] = {}
        self._threads: set[asyncio.Future[Any]] = set()

    def access(self, cloud: Cloud, password: str) -> CloudAccess:
        """Return access to a cloud; the same one until its address or password changes.

        Args:
            cloud: the cloud.
            password: key `password` of the Secret `<cloud>-admin`.
        """
        credentials = administrator(cloud, password)
        key = (cloud.namespace, cloud.name)
        known = self._known.get(key)
        if known is None or known.credentials != credentials:
            known = CloudAccess(credentials, self._fence, self._threads)
            self._known[key] = known
        return known

    def forget(self, namespace: str, name: str) -> None:
        """Drop the access to a cloud that is gone."""
        self._known.pop((namespace, name), None)

    async def drain(self, seconds: float) -> bool:
        """Wait for threads whose calls were cancelled; return whether all have ended."""
        if self._threads:
            await asyncio.wait(set(self._threads), timeout=seconds)
        return not self._threads

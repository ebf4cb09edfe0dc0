"""The HTTP session that kopf watches with: our credentials, and a sign of life for each stream."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
from typing_extensions import override

from stackroles.runtime.health import WatchAges
from stackroles.runtime.namespaces import NamespaceScope


class _Listened:
    """A response's content that reports each chunk; everything else is the stream's own."""

    def __init__(self, content: aiohttp.StreamReader, proved_alive: Callable[[], None]) -> None:
        self._content = content
        self._proved_alive = proved_alive

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield chunks, as kopf reads its watches; bookmarks come here too, about once a minute."""
        async for chunk in self._content.iter_chunked(size):
            self._proved_alive()
            yield chunk


def place_of(path: str) -> tuple[str, str]:
    """Return the namespace ("" for the whole cluster) and the plural that a list's URL names."""
    parts = path.strip("/").split("/")
    namespace = parts[-2] if len(parts) > 3 and parts[-3] == "namespaces" else ""
    return namespace, parts[-1]


def response_class(ages: WatchAges, scope: NamespaceScope) -> type[aiohttp.ClientResponse]:
    """Return a response class that notifies `ages` whenever a watch receives anything.

    A rejected watch is reported to `scope`: kopf would retry for a minute and then end the process.
    """

    class WatchedResponse(aiohttp.ClientResponse):
        """A response whose chunks count as signs of life when it is a watch."""

        @override
        async def start(self, connection: Any) -> aiohttp.ClientResponse:
            started = await super().start(connection)
            place = place_of(self.url.path)
            if self.status == 403:
                scope.exclude(place[0], f"{place[1]} may not be watched")
            elif self.url.query.get("watch") == "true" and self.status < 400:
                ages.proved_alive(*place)
                proved_alive = lambda: ages.proved_alive(*place)  # noqa: E731
                self.content = _Listened(self.content, proved_alive)  # type: ignore[assignment]
            return started

    return WatchedResponse

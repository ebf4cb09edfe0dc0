"""The backends that are paused: entries of a map of HAProxy, set where they differ.

HAProxy answers requests for a backend that is in the map itself. A map lives in its memory only:
after a start it is empty.
"""

from collections.abc import Mapping
from typing import Any

from stackroles.agents.endpoint.members import log
from stackroles.agents.endpoint.protocol import EndpointSettings
from stackroles.agents.endpoint.runtime import RuntimeApi, RuntimeApiError
from stackroles.agents.endpoint.slices import paused_by

Slices = Mapping[str, Mapping[str, Any]]


class Pauses:
    """The pauses of all backends; what they are is read from HAProxy, never remembered."""

    def __init__(self, api: RuntimeApi, settings: EndpointSettings) -> None:
        """Take HAProxy's runtime API, the backends and the map."""
        self._api, self._backends, self._map = api, settings.backends, settings.paused_map

    def current(self) -> dict[str, str]:
        """Return the paused backends, each with the name of the Restore.

        Raises:
            OSError: HAProxy did not answer.
        """
        return self._api.entries(self._map) if self._map else {}

    def apply(self, slices: Slices) -> None:
        """Pause the backends whose slices say so, and no others.

        Args:
            slices: EndpointSlices by name.

        Raises:
            OSError: HAProxy did not answer, or did not do it.
        """
        if not self._map:
            return
        before, after = self.current(), self._wanted(slices)
        if before == after:
            return
        self._api.run(*commands(self._map, before, after))
        if (found := self.current()) != after:
            raise RuntimeApiError(f"HAProxy did not take the pauses {after}, it has {found}")
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                log(f"{name} is paused by {after[name]}" if name in after else f"{name} goes on")

    def _wanted(self, slices: Slices) -> dict[str, str]:
        found = {b.name: paused_by(slices.values(), b.service) for b in self._backends}
        return {name: by for name, by in found.items() if by}


def commands(name: str, before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    """Return the commands of HAProxy's runtime API that change a map.

    Args:
        name: the map's.
        before: its entries.
        after: what these shall be.
    """
    gone = [f"del map {name} {key}" for key in sorted(before.keys() - after.keys())]
    return gone + [
        f"{'set' if key in before else 'add'} map {name} {key} {value}"
        for key, value in sorted(after.items())
        if before.get(key) != value
    ]

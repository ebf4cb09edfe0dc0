"""Which of the namespaces to watch can be listed and watched now."""

import asyncio
from collections.abc import Sequence

import structlog

Ages = dict[tuple[str, str], float]
"""Seconds by namespace ("" for the whole cluster) and plural of the kind."""

log = structlog.get_logger(__name__)


class NamespaceScope:
    """The namespaces to watch; one that may not be read is left out until it may.

    A namespace that was deleted takes the operator's Role there with it. All others are served as
    before; what was known of the excluded one stays in the cache.

    Args:
        names: the namespaces; empty for the whole cluster, of which none is ever left out.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self._excluded: set[str] = set()
        self.changed = asyncio.Event()

    def active(self) -> tuple[str, ...]:
        """Return the namespaces that are served; "" for the whole cluster."""
        return tuple(n for n in self.names if n not in self._excluded) if self.names else ("",)

    def excluded(self) -> tuple[str, ...]:
        """Return the namespaces that are left out."""
        return tuple(n for n in self.names if n in self._excluded)

    def exclude(self, namespace: str, why: str) -> None:
        """Leave a namespace out; nothing happens for one that is not watched by its name."""
        if namespace not in self.names or namespace in self._excluded:
            return
        log.warning(
            "Namespace is left out until it may be read: make it and its Role, or take it from "
            "watchNamespaces",
            namespace=namespace,
            error=why,
        )
        self._excluded.add(namespace)
        self.changed.set()

    def include(self, namespace: str) -> None:
        """Serve a namespace again."""
        log.info("Namespace is served again", namespace=namespace)
        self._excluded.discard(namespace)
        self.changed.set()

    def served(self) -> dict[str, bool]:
        """Return of each namespace watched by its name whether it is served."""
        return {name: name not in self._excluded for name in self.names}

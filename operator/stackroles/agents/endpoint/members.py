"""The members as HAProxy shall have them: compared with what it has, and set where they differ."""

import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from stackroles.agents.endpoint.protocol import Backend, EndpointStatus, MemberState
from stackroles.agents.endpoint.runtime import RuntimeApi, RuntimeApiError, Server
from stackroles.agents.endpoint.slices import members
from stackroles.agents.endpoint.slots import Slot, State, assign, commands, unplaced

_WORDS = {State.READY: "has", State.DRAIN: "drains", State.MAINT: "lost"}
Slices = Mapping[str, Mapping[str, Any]]


class MemberServers:
    """The servers of all backends; what they are is read from HAProxy, never remembered."""

    def __init__(self, api: RuntimeApi, backends: Iterable[Backend]) -> None:
        """Take HAProxy's runtime API and the backends."""
        self._api, self._backends = api, tuple(backends)
        self._without_server: dict[str, list[str]] = {}

    def apply(self, slices: Slices) -> None:
        """Give each member a server.

        Args:
            slices: EndpointSlices by name.

        Raises:
            OSError: HAProxy did not answer, or did not do it.
        """
        changes = list(self._changes(slices))
        for backend, name, old, new in changes:
            self._api.run(*commands(name, backend.port, old, new))
            log(f"{name} {_WORDS[new.state]} {new.address}")
        if changes and (left := [name for _, name, _, _ in self._changes(slices)]):
            raise RuntimeApiError(f"HAProxy did not take {', '.join(left)}")

    def settled(self) -> bool:
        """Return whether each member that may serve was checked at least once.

        Raises:
            OSError: HAProxy did not answer.
        """
        servers = self._api.servers()
        return all(
            server.checked
            for backend in self._backends
            for server in _of(servers, backend).values()
            if server.slot.state is State.READY
        )

    def status(self) -> EndpointStatus:
        """Return what the members are.

        Raises:
            OSError: HAProxy did not answer.
        """
        servers = self._api.servers()
        left = [
            f"{name} has no server for {', '.join(addresses)}"
            for name, addresses in sorted(self._without_server.items())
            if addresses
        ]
        return EndpointStatus(
            members={
                backend.name: {
                    server.slot.address: _state(server)
                    for server in _of(servers, backend).values()
                    if server.slot.state is not State.MAINT
                }
                for backend in self._backends
            },
            message="; ".join(left),
        )

    def _changes(self, slices: Slices) -> Iterator[tuple[Backend, str, Slot, Slot]]:
        """Yield the servers that are to be changed: what each is, and what it shall be."""
        servers = self._api.servers()
        for backend in self._backends:
            before = {name: server.slot for name, server in _of(servers, backend).items()}
            wanted = members(slices.values(), backend.service)
            after = assign(list(before.values()), wanted)
            for (name, old), new in zip(before.items(), after, strict=True):
                if commands(name, backend.port, old, new):
                    yield backend, name, old, new
            self._report_unplaced(backend, unplaced(after, wanted))

    def _report_unplaced(self, backend: Backend, left: list[str]) -> None:
        if left and left != self._without_server.get(backend.name):
            log(f"{backend.name} has no server for {', '.join(left)}: it has {backend.slots}")
        self._without_server[backend.name] = left


def _of(servers: Mapping[str, Server], backend: Backend) -> dict[str, Server]:
    """Return the servers of a backend in order.

    Raises:
        RuntimeApiError: HAProxy has one of them not.
    """
    names = [f"{backend.name}/s{number}" for number in range(1, backend.slots + 1)]
    if missing := [name for name in names if name not in servers]:
        raise RuntimeApiError(f"HAProxy has no server {missing[0]}")
    return {name: servers[name] for name in names}


def _state(server: Server) -> MemberState:
    if server.slot.state is State.DRAIN:
        return MemberState.DRAINING
    return MemberState.UP if server.up else MemberState.DOWN


def log(text: str) -> None:
    """Write a line to the log."""
    print(f"endpoint: {text}", file=sys.stderr, flush=True)

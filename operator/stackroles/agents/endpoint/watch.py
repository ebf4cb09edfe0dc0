"""The EndpointSlices of the members, followed by list and watch."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from stackroles.agents.endpoint.members import log
from stackroles.agents.endpoint.protocol import EndpointSettings
from stackroles.agents.kube_api import GONE, ApiError, Event, Object

_LIST_SECONDS: Final = 10.0
# A watch whose server is gone without a word is noticed only at its end.
_WATCH_SECONDS: Final = 15
_PAUSE: Final = 1.0

Publish = Callable[[Mapping[str, Object]], None]


class Api(Protocol):
    """What is needed of the Kubernetes API, as `kube_api.KubeApi` has it."""

    def get(self, path: str, *, seconds: float, **query: str) -> Object:
        """Return a list."""

    def watch(self, path: str, version: str, *, seconds: int, **query: str) -> Any:
        """Yield its changes."""


class SliceWatch:
    """Keeps the EndpointSlices that the API server last sent; while it is away, these stay."""

    def __init__(self, api: Api, settings: EndpointSettings, publish: Publish) -> None:
        """Take where they are.

        Args:
            api: the Kubernetes API.
            settings: the endpoint's.
            publish: takes all slices by name, after each change.
        """
        self._api, self._publish = api, publish
        self._path = f"/apis/discovery.k8s.io/v1/namespaces/{settings.namespace}/endpointslices"
        self._selector = settings.selector
        self._slices: dict[str, Object] = {}
        self._version = ""
        self.problem = ""
        """Why members are not followed at the moment; "" while they are."""

    def run(self, stop: threading.Event) -> None:
        """Follow them until `stop` is set."""
        while not stop.is_set():
            began = time.monotonic()
            try:
                self.follow()
                if time.monotonic() - began < _PAUSE:
                    # A server that ends each watch at once is not asked without a pause.
                    stop.wait(_PAUSE)
            except OSError as error:
                if isinstance(error, ApiError) and error.status == GONE:
                    self._version = ""
                    continue
                self._report(str(error))
                stop.wait(_PAUSE)

    def follow(self) -> None:
        """List them if need be, then take the changes of one watch.

        Raises:
            OSError: the API server refused, or did not answer as it should.
        """
        if not self._version:
            self._list()
        watch = self._api.watch(
            self._path, self._version, seconds=_WATCH_SECONDS, labelSelector=self._selector
        )
        self._report("")
        for event in watch:
            self._take(event)

    def _list(self) -> None:
        listed = self._api.get(self._path, seconds=_LIST_SECONDS, labelSelector=self._selector)
        self._slices = {item["metadata"]["name"]: item for item in listed.get("items") or ()}
        self._publish(dict(self._slices))
        self._version = str(listed.get("metadata", {}).get("resourceVersion", ""))

    def _take(self, event: Event) -> None:
        name = event.object.get("metadata", {}).get("name")
        if event.type in ("ADDED", "MODIFIED"):
            self._slices[name] = event.object
        elif event.type == "DELETED":
            self._slices.pop(name, None)
        self._version = event.version or self._version
        if event.type != "BOOKMARK":
            self._publish(dict(self._slices))

    def _report(self, problem: str) -> None:
        if problem != self.problem:
            log(f"the known members stay: {problem}" if problem else "members are followed again")
        self.problem = problem

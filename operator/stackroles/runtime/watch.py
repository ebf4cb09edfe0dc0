"""kopf as an event pump: low-level event handlers only, which hand objects on and do nothing else.

No create, update, resume, field or delete handlers, no indexes, daemons or timers: those write
finalizers or annotations, or miss what happened during a broken watch.
"""

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

import aiohttp
import kopf

# Of kopf.operator's own parameter; kopf exports them under no other name.
from kopf._cogs.structs.references import Insights, NamespaceName

from stackroles.constants import API_GROUP
from stackroles.kube.client import KubeClient, new_session
from stackroles.kube.kinds import Kind
from stackroles.runtime.health import WatchAges
from stackroles.runtime.namespaces import NamespaceScope
from stackroles.runtime.router import EventRouter
from stackroles.runtime.watch_session import response_class

_CHUNK: Final = 500
_REQUEST_SECONDS: Final = 30.0
_CONNECT_SECONDS: Final = 10.0
# Silent for so long, a watch is opened again; bookmarks come every minute.
_SILENCE_SECONDS: Final = 70.0


class Login:
    """Gives kopf sessions with our credentials, and closes them.

    kopf closes a session that the API server refused (401) and asks for another; it leaves the last
    one open when it is cancelled.
    """

    def __init__(self, client: KubeClient, ages: WatchAges, scope: NamespaceScope) -> None:
        self._client = client
        self._responses = response_class(ages, scope)
        self._sessions: list[aiohttp.ClientSession] = []

    async def open(self, **_: Any) -> kopf.AiohttpSession:
        """Return a new session; kopf's login handler."""
        configuration = self._client.configuration
        session = new_session(configuration, self._responses)
        self._sessions = [*(old for old in self._sessions if not old.closed), session]
        return kopf.AiohttpSession(server=configuration.host, aiohttp_session=session)

    async def close(self) -> None:
        """Close all sessions."""
        for session in self._sessions:
            await session.close()


def build_registry(
    kinds: Iterable[Kind], router: EventRouter, login: Login
) -> kopf.OperatorRegistry:
    """Return the handlers: one for each watched kind, and the login."""
    registry = kopf.OperatorRegistry()
    kopf.on.login(id="login", registry=registry)(login.open)
    for kind in kinds:
        handler = _handler(kind, router)
        kopf.on.event(kind.group, kind.version, kind.plural, registry=registry)(handler)
    return registry


def _handler(kind: Kind, router: EventRouter) -> Any:
    async def on_event(event: dict[str, Any], **_: Any) -> None:
        # Items of kopf's initial list come without the kind.
        obj = {"apiVersion": kind.api_version, "kind": kind.name, **event["object"]}
        if event["type"] == "DELETED":
            router.deleted(obj)
        else:
            router.changed(obj)

    on_event.__name__ = on_event.__qualname__ = f"on_{kind.name}_event"
    return on_event


def build_settings(kinds: Iterable[Kind]) -> kopf.OperatorSettings:
    """Return kopf's settings: no peering, no scanning, no writes, bounded waits."""
    settings = kopf.OperatorSettings()
    settings.peering.standalone = True
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.persistence.finalizer = f"{API_GROUP}/kopf"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=API_GROUP)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=API_GROUP)
    settings.networking.request_timeout = _REQUEST_SECONDS
    settings.networking.connect_timeout = _CONNECT_SECONDS
    settings.watching.chunk_size = _CHUNK
    settings.watching.inactivity_timeout = _SILENCE_SECONDS
    # main bounds the exit itself, and after it the pod's grace period does.
    settings.process.ultimate_exiting_timeout = None
    settings.queueing.exit_timeout = 0.5
    for kind in kinds:
        if kind.selector:
            key = (kind.group, kind.version, kind.plural)
            settings.watching.label_selectors[key] = kind.selector
    return settings


async def run_watches(
    kinds: Sequence[Kind],
    router: EventRouter,
    client: KubeClient,
    ages: WatchAges,
    *,
    scope: NamespaceScope,
    started: Any,
) -> None:
    """Watch until cancelled.

    Args:
        kinds: what to watch.
        router: takes in what is seen.
        client: whose credentials to use.
        ages: notified of each sign of life.
        scope: which namespaces; notified of those that may not be watched.
        started: an asyncio.Event, set when kopf runs (and has put its own signal handlers).

    Raises:
        Exception: a watch ended for good; the process must end.
    """
    login, insights = Login(client, ages, scope), Insights()
    try:
        async with asyncio.TaskGroup() as group:
            # Begun before kopf, which ends every task that is younger.
            following = group.create_task(_follow(scope, insights, ages, kinds))
            await kopf.operator(
                registry=build_registry(kinds, router, login),
                settings=build_settings(kinds),
                insights=insights,
                clusterwide=not scope.names,
                namespaces=list(scope.names),
                standalone=True,
                # Unused without peering, but found out from the user name when left out: a pod
                # has none.
                identity="stackroles",  # type: ignore[arg-type]
                ready_flag=started,
            )
            following.cancel()
    finally:
        await login.close()


async def _follow(
    scope: NamespaceScope, insights: Insights, ages: WatchAges, kinds: Sequence[Kind]
) -> None:
    """Let kopf watch the namespaces that are served, and no others."""
    await insights.ready_namespaces.wait()
    while True:
        scope.changed.clear()
        for namespace in scope.excluded():
            ages.forget(namespace)
        for kind in kinds:
            for place in scope.active() if kind.namespaced else ("",):
                ages.expect(place, kind.plural)
        if scope.names:
            async with insights.revised:
                insights.namespaces.clear()
                insights.namespaces.update(map(NamespaceName, scope.active()))
                insights.revised.notify_all()
        await scope.changed.wait()

"""A small Kubernetes API server in this process, for wiring and faults.

It knows objects, resource versions, watches, merge patches and an echo of server-side apply. It has
no schemas, defaults or field ownership: what depends on those is tested against a real API server.
"""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qsl, urlencode, urlsplit

from aiohttp import web
from kubernetes.aio.client.configuration import Configuration

from stackroles.kube.client import KubeClient
from stackroles.kube.kinds import KINDS, Kind

Object = dict[str, Any]
# kopf waits until the API tells of namespaces.
_SERVED = (*KINDS.values(), Kind("Namespace", "v1", "namespaces", namespaced=False, watched=False))
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclass(frozen=True)
class Fault:
    """What a matching request gets instead of an answer."""

    method: str
    part: str
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str = "injected"


@dataclass(frozen=True)
class Request:
    """What is asked of the server."""

    method: str
    path: str
    query: Mapping[str, str]
    content_type: str
    body: Object

    @property
    def path_qs(self) -> str:
        """The path with its query."""
        return f"{self.path}?{urlencode(self.query)}" if self.query else self.path


@dataclass(frozen=True)
class Answer:
    """What the server says to it."""

    status: int
    content: bytes
    headers: Mapping[str, str] = field(default_factory=dict)

    async def read(self) -> bytes:
        """Return the content, as an HTTP client's response does."""
        return self.content


class _Place(NamedTuple):
    kind: Kind
    namespace: str


@dataclass
class _Watch:
    plural: str
    namespace: str
    selector: str
    queue: "asyncio.Queue[Object | None]"

    def take(self, plural: str, entry: Object) -> None:
        obj = entry["object"]
        inside = not self.namespace or obj["metadata"].get("namespace") == self.namespace
        if self.plural == plural and inside and _selected(obj, self.selector):
            self.queue.put_nowait(entry)


@dataclass
class FakeApi:
    """The server's state, and what tests do to it from outside.

    Attributes:
        requests: all requests so far, as (method, path).
        faults: consumed one a matching request.
        log: what every container has logged.
        page: objects a list page holds.
        forbidden: namespaces of which nothing may be read or written.
        now: when an object is made that is made now, as the API writes times.
    """

    requests: list[tuple[str, str]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    log: str = "first line\nlast line\n"
    page: int = 500
    forbidden: set[str] = field(default_factory=set)
    now: Callable[[], str] = lambda: "2026-01-01T00:00:00Z"
    url: str = ""
    _objects: dict[tuple[str, str, str], Object] = field(default_factory=dict)
    _watches: list[_Watch] = field(default_factory=list)
    _history: list[tuple[str, Object]] = field(default_factory=list)
    _version: int = 0
    _uids: int = 0

    # What tests see and do.

    def writes(self) -> list[tuple[str, str]]:
        """Return the requests that write, without those to Leases."""
        return [r for r in self.requests if r[0] in _WRITES and "/leases" not in r[1]]

    @property
    def version(self) -> int:
        """The resource version of the last change."""
        return self._version

    def get(self, plural: str, namespace: str, name: str) -> Object | None:
        return self._objects.get((plural, namespace, name))

    def put(self, obj: Object, *, silent: bool = False) -> Object:
        """Store an object as somebody else would; `silent`: no watch hears of it."""
        kind = KINDS[obj["kind"]]
        namespace = obj["metadata"].get("namespace", "")
        return self._store(kind, namespace, _sent(obj), silent=silent)

    def remove(self, plural: str, namespace: str, name: str, *, silent: bool = False) -> None:
        """Delete an object as somebody else would."""
        obj = self._objects.pop((plural, namespace, name))
        self._version += 1
        gone = {**obj, "metadata": {**obj["metadata"], "resourceVersion": str(self._version)}}
        if not silent:
            self._notify(plural, "DELETED", gone)

    def drop_watches(self) -> None:
        """Close all watch connections."""
        for watch in self._watches:
            watch.queue.put_nowait(None)

    def expire_watches(self) -> None:
        """Let all watches end with 410 Gone, as after a compaction."""
        error = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired"}}
        for watch in self._watches:
            watch.queue.put_nowait(error)

    def watched(self) -> set[str]:
        """Return the plurals with an open watch."""
        return {watch.plural for watch in self._watches}

    def watched_in(self, namespace: str) -> set[str]:
        """Return the plurals with an open watch in one namespace."""
        return {watch.plural for watch in self._watches if watch.namespace == namespace}

    # The server.

    def _store(self, kind: Kind, namespace: str, obj: Object, *, silent: bool = False) -> Object:
        key = (kind.plural, namespace, obj["metadata"]["name"])
        old = self._objects.get(key)
        self._version += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self._version)
        if kind.namespaced:
            metadata["namespace"] = namespace
        if old is None:
            self._uids += 1
            metadata["uid"] = f"uid-{self._uids}"
            metadata["creationTimestamp"] = self.now()
        if kind.own or kind.group in ("apps", "batch", "networking.k8s.io"):
            generation = old["metadata"]["generation"] if old else 0
            changed = old is None or old.get("spec") != obj.get("spec")
            metadata["generation"] = generation + (1 if changed else 0)
        obj = {"apiVersion": kind.api_version, "kind": kind.name, **obj}
        self._objects[key] = obj
        if not silent:
            self._notify(kind.plural, "MODIFIED" if old else "ADDED", obj)
        return obj

    def _notify(self, plural: str, event: str, obj: Object) -> None:
        entry = {"type": event, "object": _sent(obj)}
        self._history.append((plural, entry))
        for watch in self._watches:
            watch.take(plural, entry)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request over HTTP."""
        body = await request.json() if request.can_read_body else {}
        answer = self.answer(
            Request(request.method, request.path, dict(request.query), request.content_type, body)
        )
        if isinstance(answer, _Place):
            return await self._watch(request, *answer)
        return web.Response(
            body=answer.content, status=answer.status, headers=answer.headers,
            content_type="application/json",
        )  # fmt: skip

    def answer(self, request: Request) -> Answer | _Place:
        """Answer one request; one for a watch with what is to be watched."""
        self.requests.append((request.method, request.path))
        for fault in self.faults:
            if fault.method == request.method and fault.part in request.path_qs:
                self.faults.remove(fault)
                body = {"kind": "Status", "message": fault.message, "code": fault.status}
                return _answer(body, fault.status, fault.headers)
        discovery = _discovery(request.path)
        if discovery is not None:
            return _answer(discovery)
        place = _parse(request.path)
        if place is None:
            return _failure(404, f"no such path {request.path}")
        if place[1] in self.forbidden:
            return _failure(403, f"nothing in {place[1]} may be touched")
        return self._dispatch(request, *place)

    def _dispatch(
        self, request: Request, kind: Kind, namespace: str, name: str, sub: str
    ) -> Answer | _Place:
        if request.method == "GET" and not name:
            if request.query.get("watch") == "true":
                return _Place(kind, namespace)
            return self._list(request, kind, namespace)
        if request.method == "GET" and sub == "log":
            return Answer(200, self.log.encode())
        return self._act(request, (kind, namespace, name, sub))

    def _act(self, request: Request, place: tuple[Kind, str, str, str]) -> Answer:
        kind, namespace, name, _ = place
        body = request.body
        key = (kind.plural, namespace, name or body.get("metadata", {}).get("name", ""))
        old = self._objects.get(key)
        if request.method == "PATCH":
            return self._patch(request, place, old)
        if request.method == "POST":
            if old is not None:
                return _failure(409, "already exists")
            return _answer(self._store(kind, namespace, body), 201)
        if old is None:
            return _failure(404, f"{kind.plural} {name!r} not found")
        if request.method == "PUT":
            return self._replace(kind, namespace, old, body)
        return self._delete(key, old, body) if request.method == "DELETE" else _answer(old)

    def _replace(self, kind: Kind, namespace: str, old: Object, body: Object) -> Answer:
        wanted = body["metadata"].get("resourceVersion")
        if wanted and wanted != old["metadata"]["resourceVersion"]:
            return _failure(409, "the object has been modified")
        body["metadata"] = {**old["metadata"], **body["metadata"]}
        return _answer(self._store(kind, namespace, body))

    def _patch(
        self, request: Request, place: tuple[Kind, str, str, str], old: Object | None
    ) -> Answer:
        kind, namespace, name, sub = place
        body = request.body
        if request.content_type == "application/apply-patch+yaml":
            return self._apply(kind, namespace, old, body)
        if old is None:
            return _failure(404, f"{kind.plural} {name!r} not found")
        metadata = body.get("metadata", {})
        if (
            metadata.get("resourceVersion", old["metadata"]["resourceVersion"])
            != (old["metadata"]["resourceVersion"])
        ):
            return _failure(409, "the object has been modified")
        if metadata.get("uid", old["metadata"]["uid"]) != old["metadata"]["uid"]:
            causes = [{"field": "metadata.uid", "message": "field is immutable"}]
            return _failure(422, "invalid", {"causes": causes})
        chosen = {"status": body.get("status")} if sub == "status" else body
        merged = _merge(old, chosen)
        return _answer(old if merged == old else self._store(kind, namespace, merged))

    def _apply(self, kind: Kind, namespace: str, old: Object | None, body: Object) -> Answer:
        merged = _merge(old or {}, body)
        if old is not None and merged == old:
            return _answer(old)
        status = 200 if old is not None else 201
        return _answer(self._store(kind, namespace, merged), status)

    def _delete(self, key: tuple[str, str, str], old: Object, body: Object) -> Answer:
        for name, value in body.get("preconditions", {}).items():
            if old["metadata"][name] != value:
                return _failure(409, f"precondition {name}")
        self.remove(*key)
        return _answer({"kind": "Status", "status": "Success"})

    def _list(self, request: Request, kind: Kind, namespace: str) -> Answer:
        selector = request.query.get("labelSelector", "")
        found = [
            {k: v for k, v in obj.items() if k not in ("kind", "apiVersion")}
            for (plural, inside, _), obj in sorted(self._objects.items())
            if plural == kind.plural
            and (not namespace or inside == namespace)
            and _selected(obj, selector)
            and _matches(obj, request.query.get("fieldSelector", ""))
        ]
        start = int(request.query.get("continue", "0"))
        end = start + self.page
        metadata = {"resourceVersion": str(self._version)}
        if end < len(found):
            metadata["continue"] = str(end)
        return _answer(
            {
                "apiVersion": kind.api_version,
                "kind": f"{kind.name}List",
                "metadata": metadata,
                "items": found[start:end],
            }
        )

    async def _watch(self, request: web.Request, kind: Kind, namespace: str) -> web.StreamResponse:
        watch = _Watch(
            kind.plural, namespace, request.query.get("labelSelector", ""), asyncio.Queue()
        )
        since = int(request.query.get("resourceVersion", "0"))
        for plural, entry in self._history:
            if int(entry["object"]["metadata"]["resourceVersion"]) > since:
                watch.take(plural, entry)
        self._watches.append(watch)
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        try:
            await response.prepare(request)
            while (event := await watch.queue.get()) is not None:
                await response.write(json.dumps(event).encode() + b"\n")
        except ConnectionError:
            pass  # the operator closed its watch
        finally:
            self._watches.remove(watch)
        return response


def _sent(obj: Object) -> Object:
    """Return an object as whoever it is sent to has it; much faster than `copy.deepcopy`."""
    sent: Object = json.loads(json.dumps(obj))
    return sent


def _answer(body: Object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(body).encode(), headers or {})


def _failure(status: int, message: str, details: Object | None = None) -> Answer:
    body = {"kind": "Status", "message": message, "code": status, "details": details or {}}
    return _answer(body, status)


def _selected(obj: Object, selector: str) -> bool:
    labels = obj["metadata"].get("labels", {})
    pairs = [term.partition("=") for term in selector.split(",") if term]
    return all(labels.get(key) == value for key, _, value in pairs)


def _matches(obj: Object, selector: str) -> bool:
    for path, _, value in (term.partition("=") for term in selector.split(",") if term):
        found: Any = obj
        for part in path.split("."):
            found = found.get(part, {})
        if found != value:
            return False
    return True


def _merge(old: Any, patch: Any) -> Any:
    """Return `old` with a JSON merge patch (RFC 7386)."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merge(merged.get(key), value)
    return merged


def _parse(path: str) -> tuple[Kind, str, str, str] | None:
    """Return kind, namespace, name and subresource of a URL path."""
    parts = path.strip("/").split("/")
    rest = parts[3:] if parts[0] == "apis" else parts[2:]
    version = "/".join(parts[1:3]) if parts[0] == "apis" else parts[1]
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, sub = (*rest, "", "", "")[:3]
    for kind in _SERVED:
        if kind.plural == plural and kind.api_version == version:
            return kind, namespace, name, sub
    return None


def _discovery(path: str) -> Object | None:
    groups: dict[str, set[str]] = defaultdict(set)
    for kind in _SERVED:
        groups[kind.group].add(kind.version)
    parts = path.strip("/").split("/")
    if parts == ["api"]:
        return {"versions": ["v1"]}
    if parts == ["apis"]:
        versions = {g: [{"version": v} for v in sorted(vs)] for g, vs in groups.items() if g}
        return {
            "groups": [
                {"name": g, "versions": vs, "preferredVersion": vs[0]} for g, vs in versions.items()
            ]
        }
    version = "/".join(parts[1:])
    if (parts[0], len(parts)) not in {("api", 2), ("apis", 3)}:
        return None
    return {
        "resources": [
            {
                "kind": kind.name,
                "name": kind.plural,
                "singularName": kind.name.lower(),
                "namespaced": kind.namespaced,
                "verbs": ["get", "list", "watch", "create", "patch", "delete"],
            }
            for kind in _SERVED
            if kind.api_version == version
        ]
    }


@asynccontextmanager
async def fake_api() -> AsyncIterator[FakeApi]:
    """Run the server on a free port of the loopback."""
    api = FakeApi()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", api.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    api.url = f"http://{host}:{port}"
    try:
        yield api
    finally:
        api.drop_watches()
        await runner.cleanup()


@asynccontextmanager
async def client_of(api: FakeApi) -> AsyncIterator[KubeClient]:
    """Return a client of the fake server."""
    configuration = Configuration()
    configuration.host = api.url
    client = KubeClient(configuration)
    try:
        yield client
    finally:
        await client.close()


@asynccontextmanager
async def direct_api() -> AsyncIterator[tuple[FakeApi, KubeClient]]:
    """Return a server and a client that asks it without HTTP: much faster, without watches."""
    api = FakeApi()
    client = KubeClient(Configuration())
    client._rest = cast("Any", _Direct(api))
    yield api, client


class _Direct:
    """Stands in for the client's HTTP connections."""

    def __init__(self, api: FakeApi) -> None:
        self._api = api

    async def request(
        self, method: str, url: str, *, headers: Mapping[str, str], body: Any, **_: Any
    ) -> Answer:
        """Ask the server; others get their turn before and after, as with any request."""
        await asyncio.sleep(0)
        place = urlsplit(url)
        answer = self._api.answer(
            Request(
                method, place.path, dict(parse_qsl(place.query)), headers["Content-Type"],
                _sent(body or {}),
            )
        )  # fmt: skip
        assert isinstance(answer, Answer), f"a watch of {url}"
        await asyncio.sleep(0)
        return answer

    async def close(self) -> None:
        """End nothing: there is no connection."""

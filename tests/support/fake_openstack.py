"""A keystone, a nova and a placement over HTTP, as far as the operator talks to them.

Shapes are those of the real ones (2025.1): version documents, error bodies, microversions.
"""

import itertools
import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Object = dict[str, Any]
Answer = tuple[int, Object | None]
IDENTITY_KINDS = {
    "projects": "project",
    "users": "user",
    "roles": "role",
    "services": "service",
    "endpoints": "endpoint",
}


class FakeCloud:
    """State of the three services, and what was asked of them."""

    def __init__(self) -> None:
        self.url = ""
        self.requests: list[tuple[str, str]] = []
        self.broken: int | None = None
        self.hanging = threading.Event()
        self.hanging.set()
        self._ids = (f"id{number}" for number in itertools.count(1))
        self.identity: dict[str, dict[str, Object]] = {kind: {} for kind in IDENTITY_KINDS}
        self.assignments: set[tuple[str, str, str]] = set()
        self.compute_services: list[Object] = []
        self.aggregates: list[Object] = []
        self.hypervisors: list[Object] = []
        self.servers: list[Object] = []
        self.migrations: list[Object] = []
        self.providers: dict[str, Object] = {}
        for name in ("admin", "service", "member"):
            self.add("roles", name=name)
        admin = self.add("projects", name="admin", domain_id="default")
        user = self.add("users", name="admin", domain_id="default", password="secret")
        self.assignments.add((user["id"], admin["id"], self.named("roles", "admin")["id"]))

    def add(self, kind: str, **values: Any) -> Object:
        """Add an object to keystone and return it."""
        created = {"id": next(self._ids), "enabled": True, **values}
        self.identity[kind][created["id"]] = created
        return created

    def named(self, kind: str, name: str) -> Object:
        """Return keystone's object of a name."""
        return next(o for o in self.identity[kind].values() if o.get("name") == name)

    def writes(self) -> list[tuple[str, str]]:
        """Return the requests that changed something."""
        return [r for r in self.requests if r[0] != "GET" and not r[1].endswith("/auth/tokens")]

    def answer(self, method: str, target: str, body: Object) -> Answer:
        """Return status and body of a request."""
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        if parts.path.startswith("/identity"):
            return self._identity(method, parts.path.removeprefix("/identity"), query, body)
        if parts.path.startswith("/compute"):
            return self._compute(method, parts.path.removeprefix("/compute"), query, body)
        return self._placement(parts.path.removeprefix("/placement"))

    def _identity(self, method: str, path: str, query: Object, body: Object) -> Answer:
        if path == "/v3/auth/tokens":
            return self._token(body)
        if path in ("/v3", "/v3/"):
            links = [{"rel": "self", "href": f"{self.url}/identity/v3/"}]
            return 200, {"version": {"id": "v3.14", "status": "stable", "links": links}}
        if path == "/v3/role_assignments":
            return 200, {"role_assignments": list(self._assignments(query))}
        if match := re.fullmatch(r"/v3/projects/(\w+)/users/(\w+)/roles/(\w+)", path):
            project, user, role = match.groups()
            self.assignments.add((user, project, role))
            return 204, None
        kind, _, wanted = path.removeprefix("/v3/").partition("/")
        return self._objects(method, kind, wanted, query, body)

    def _objects(self, method: str, kind: str, wanted: str, query: Object, body: Object) -> Answer:
        objects, singular = self.identity[kind], IDENTITY_KINDS[kind]
        match method:
            case "GET":
                found = [o for o in objects.values() if all(o.get(k) == query[k] for k in query)]
                return 200, {kind: [hidden(o) for o in found], "links": {"next": None}}
            case "POST":
                return 201, {singular: hidden(self.add(kind, **body[singular]))}
            case "PATCH":
                objects[wanted].update(body[singular])
                return 200, {singular: hidden(objects[wanted])}
            case _:
                del objects[wanted]
                return 204, None

    def _assignments(self, query: Object) -> Iterator[Object]:
        for user, project, role in self.assignments:
            if (user, project) == (query["user.id"], query["scope.project.id"]):
                yield {
                    "role": {"id": role},
                    "user": {"id": user},
                    "scope": {"project": {"id": project}},
                }

    def _token(self, body: Object) -> Answer:
        sent = body["auth"]["identity"]["password"]["user"]
        users = self.identity["users"].values()
        user = next((u for u in users if u["name"] == sent["name"]), None)
        if user is None or not user["enabled"] or user.get("password") != sent["password"]:
            return 401, error("The request you have made requires authentication.", 401)
        catalog = [
            self._entry(type_, path)
            for type_, path in (
                ("identity", "/identity/v3"),
                ("compute", "/compute/v2.1"),
                ("placement", "/placement"),
            )
        ]
        token = {
            "catalog": catalog,
            "expires_at": "2099-01-01T00:00:00.000000Z",
            "issued_at": "2026-01-01T00:00:00.000000Z",
            "methods": ["password"],
            "user": {"id": user["id"], "name": user["name"], "domain": {"id": "default"}},
        }
        return 201, {"token": token}

    def _entry(self, type_: str, path: str) -> Object:
        endpoint = {
            "id": type_,
            "interface": "internal",
            "region": "RegionOne",
            "region_id": "RegionOne",
            "url": f"{self.url}{path}",
        }
        return {"id": type_, "name": type_, "type": type_, "endpoints": [endpoint]}

    def _compute(self, method: str, path: str, query: Object, body: Object) -> Answer:
        routes: list[tuple[str, Callable[..., Answer]]] = [
            (r"/v2.1/?", self._version),
            (r"/v2.1/os-services", self._services),
            (r"/v2.1/os-services/([\w-]+)", self._service),
            (r"/v2.1/os-aggregates", self._aggregates),
            (r"/v2.1/os-aggregates/(\d+)/action", self._aggregate_action),
            (r"/v2.1/os-hypervisors/detail", self._hypervisors),
            (r"/v2.1/servers/detail", self._servers),
            (r"/v2.1/os-migrations", self._migrations),
        ]
        for pattern, handle in routes:
            if match := re.fullmatch(pattern, path):
                return handle(method, query, body, *match.groups())
        return 404, error("no such path", 404)

    def _version(self, *_: Any) -> Answer:
        links = [{"rel": "self", "href": f"{self.url}/compute/v2.1/"}]
        version = {"id": "v2.1", "status": "CURRENT", "links": links}
        return 200, {"version": version | {"version": "2.100", "min_version": "2.1"}}

    def _services(self, _method: str, query: Object, _body: Object) -> Answer:
        found = [s for s in self.compute_services if query.get("binary") in (None, s["binary"])]
        return 200, {"services": found}

    def _service(self, method: str, _query: Object, body: Object, wanted: str) -> Answer:
        found = next((s for s in self.compute_services if s["id"] == wanted), None)
        if found is None:
            return 404, error("Service not found.", 404)
        if method == "DELETE":
            if any(s["OS-EXT-SRV-ATTR:host"] == found["host"] for s in self.servers):
                return 409, error(
                    "Unable to delete compute service that is hosting instances.", 409
                )
            self.compute_services.remove(found)
            return 204, None
        found.update(body)
        return 200, {"service": found}

    def _aggregates(self, method: str, _query: Object, body: Object) -> Answer:
        if method == "POST":
            sent = body["aggregate"]
            zone = sent["availability_zone"]
            created = {
                "id": len(self.aggregates) + 1,
                "name": sent["name"],
                "availability_zone": zone,
                "hosts": [],
                "metadata": {"availability_zone": zone},
            }
            self.aggregates.append(created)
            return 200, {"aggregate": created}
        return 200, {"aggregates": self.aggregates}

    def _aggregate_action(self, _method: str, _query: Object, body: Object, wanted: str) -> Answer:
        found = next(a for a in self.aggregates if a["id"] == int(wanted))
        [(action, sent)] = body.items()
        host = sent["host"]
        if host not in {s["host"] for s in self.compute_services}:
            return 404, error(f"Compute host {host} could not be found.", 404)
        if any(s["OS-EXT-SRV-ATTR:host"] == host for s in self.servers):
            return 409, error(f"Host {host} has instances in another availability zone.", 409)
        taken = [a for a in self.aggregates if host in a["hosts"] and a["metadata"]]
        if action == "add_host" and taken:
            return 409, error(f"Host {host} already in an availability zone.", 409)
        if action == "add_host":
            found["hosts"].append(host)
        else:
            found["hosts"].remove(host)
        return 200, {"aggregate": found}

    def _hypervisors(self, *_: Any) -> Answer:
        return 200, {"hypervisors": self.hypervisors}

    def _servers(self, _method: str, query: Object, _body: Object) -> Answer:
        host = query.get("host")
        return 200, {
            "servers": [s for s in self.servers if host in (None, s["OS-EXT-SRV-ATTR:host"])]
        }

    def _migrations(self, _method: str, query: Object, _body: Object) -> Answer:
        ends = ("source_compute", "dest_compute")
        found = [m for m in self.migrations if query["host"] in [m[end] for end in ends]]
        return 200, {"migrations": found}

    def _placement(self, path: str) -> Answer:
        if path in ("", "/"):
            links = [{"rel": "self", "href": ""}]
            version = {"id": "v1.0", "max_version": "1.39", "min_version": "1.0", "links": links}
            return 200, {"versions": [version | {"status": "CURRENT"}]}
        match = re.fullmatch(r"/resource_providers/([\w-]+)/(inventories|usages|allocations)", path)
        if match is None or match[1] not in self.providers:
            return 404, error("No resource provider found", 404)
        return 200, {match[2]: self.providers[match[1]].get(match[2], {})}


def hidden(stored: Object) -> Object:
    """Return an object without its password, which keystone never shows."""
    return {key: value for key, value in stored.items() if key != "password"}


def error(message: str, code: int) -> Object:
    """Return the body of an error."""
    return {"error": {"code": code, "message": message, "title": "Error"}}


def compute_service(host: str, **values: Any) -> Object:
    """Return a nova-compute service as nova shows it."""
    return {
        "id": f"service-{host}",
        "binary": "nova-compute",
        "host": host,
        "zone": "nova",
        "state": "up",
        "status": "enabled",
        "disabled_reason": None,
        "forced_down": False,
        "updated_at": "2026-01-01T00:00:00.000000",
    } | values


def server(name: str, host: str) -> Object:
    """Return a guest as nova shows it to an administrator."""
    return {
        "id": f"server-{name}",
        "name": name,
        "status": "ACTIVE",
        "tenant_id": "project",
        "OS-EXT-SRV-ATTR:host": host,
        "OS-EXT-SRV-ATTR:instance_name": f"instance-{name}",
        "OS-EXT-STS:task_state": None,
    }


def migration(source: str, target: str, status: str) -> Object:
    """Return a move of a guest as nova shows it."""
    return {
        "id": 1,
        "uuid": "migration",
        "migration_type": "resize",
        "source_compute": source,
        "dest_compute": target,
        "status": status,
    }


@contextmanager
def serving(cloud: FakeCloud) -> Iterator[FakeCloud]:
    """Serve a cloud on a free port of the loopback address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            body = json.loads(self.rfile.read(length) or b"{}") if length else {}
            cloud.requests.append((self.command, self.path))
            cloud.hanging.wait()
            status, answer = (
                (cloud.broken, error("broken", cloud.broken))
                if cloud.broken
                else cloud.answer(self.command, self.path, body)
            )
            content = b"" if answer is None else json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            if self.path.endswith("/auth/tokens"):
                self.send_header("X-Subject-Token", "token")
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve  # noqa: N815

        def log_message(self, *_: Any) -> None:  # type: ignore[explicit-override]
            return

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    httpd.daemon_threads = True
    cloud.url = f"http://127.0.0.1:{httpd.server_address[1]}"
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield cloud
    finally:
        cloud.hanging.set()
        httpd.shutdown()
        httpd.server_close()
        thread.join()

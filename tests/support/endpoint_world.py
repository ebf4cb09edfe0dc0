"""A real endpoint on loopback: its agent, HAProxy, members, a Kubernetes API, clients."""

import csv
import functools
import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from lab import engine, images
from lab.paths import Paths
from stackroles.agents import wire
from stackroles.agents.endpoint.protocol import PAUSED_LABEL, EndpointSettings, EndpointStatus
from stackroles.agents.endpoint.runtime import RuntimeApi
from stackroles.agents.peer_http import get
from stackroles.roles import endpoint
from tests.support.clouds import cloud
from tests.support.kube_server import KubeHandler, KubeServer, kube_server
from tests.support.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ROLE = "keystone"
# How long a proxy that leaves accepts connections here: a busy machine's test must see it.
DRAIN_SECONDS = 3.0
# How long a request waits for a member here; long enough for one that is started meanwhile.
HOLD_SECONDS = 6
SLICES = "/apis/discovery.k8s.io/v1/namespaces/ns/endpointslices"
AGENT = """\
import sys
from pathlib import Path
from stackroles.agents import wire
from stackroles.agents.endpoint import agent, haproxy_process, protocol
from stackroles.agents.kube_api import KubeApi
haproxy_process._LASTING_SECONDS = float(sys.argv[4])
settings = wire.loads(protocol.EndpointSettings, Path(sys.argv[1]).read_bytes())
sys.exit(agent.serve(settings, KubeApi("127.0.0.1", int(sys.argv[2]), Path(sys.argv[3]))))
"""


@functools.cache
def haproxy(folder: Path) -> Path | None:
    """Return HAProxy: this machine's, or that of the role image, unpacked; None without either."""
    if there := shutil.which("haproxy"):
        return Path(there)
    found = engine.find(Paths.from_environment())
    if found is None:
        return None
    docker = functools.partial(
        subprocess.run, env={**os.environ, **found.env}, capture_output=True, text=True, check=False
    )
    made = docker(["docker", "create", images.plan()["haproxy"].reference, "true"])
    if made.returncode:
        return None
    container = made.stdout.strip()
    try:
        library = "/usr/lib/x86_64-linux-gnu"
        for source, target in (("/usr/sbin/haproxy", "program"), (library, "lib")):
            docker(["docker", "cp", "-L", f"{container}:{source}", str(folder / target)])
    finally:
        docker(["docker", "rm", container])
    program = folder / "haproxy"
    loader = f"{folder}/lib/ld-linux-x86-64.so.2 --library-path {folder}/lib"
    program.write_text(f'#!/bin/sh\nexec {loader} {folder}/program "$@"\n')
    program.chmod(0o755)
    return program


class SliceHandler(KubeHandler):
    """Watches stay open and get each change, for at most a second."""

    @override
    def _watch(self) -> None:
        server = self.server
        query = dict(part.split("=") for part in self.path.partition("?")[2].split("&"))
        version, end = query["resourceVersion"], time.monotonic() + 1
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while time.monotonic() < end and not server.down.is_set():
            item = server.objects[SLICES]
            if item["metadata"]["resourceVersion"] != version:
                version = item["metadata"]["resourceVersion"]
                found = {**item["items"][0], "metadata": dict(item["items"][0]["metadata"])}
                found["metadata"]["resourceVersion"] = version
                line = json.dumps({"type": "MODIFIED", "object": found}).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            time.sleep(0.02)
        self.wfile.write(b"0\r\n\r\n")


@dataclass(frozen=True)
class Failure:
    """A request that failed.

    Attributes:
        began: when the client began it, on the monotonic clock.
        reason: what it got instead of an answer.
    """

    began: float
    reason: str


@dataclass
class Calls:
    """What became of a client's requests."""

    served: dict[str, int] = field(default_factory=dict)
    failed: list[Failure] = field(default_factory=list)
    longest: float = 0.0

    def failed_of_later(self, moment: float) -> list[Failure]:
        """Return the failed requests that began after a moment of the monotonic clock."""
        return [failure for failure in self.failed if failure.began > moment]


@dataclass
class World:
    """The endpoint and what is around it.

    Attributes:
        agent: the agent's process.
        port: where the endpoint listens.
        status_port: where its agent does.
        members: their processes by address.
        kube: the Kubernetes API.
        runtime: HAProxy's runtime API.
    """

    agent: "subprocess.Popen[bytes]"
    port: int
    status_port: int
    member_ports: tuple[int, int]
    prefix: str
    kube: KubeServer
    runtime: RuntimeApi
    members: "dict[str, subprocess.Popen[bytes]]" = field(default_factory=dict)
    leaving: set[str] = field(default_factory=set)
    paused: str = ""

    def start(self) -> str:
        """Start a member, known to the API server before it serves; return its address."""
        address = f"{self.prefix}.{len(self.members) + 1}"
        command = [sys.executable, "-m", "tests.support.endpoint_member", address]
        self.members[address] = subprocess.Popen([*command, *map(str, self.member_ports)], cwd=ROOT)
        self.publish()
        return address

    def publish(self) -> None:
        """Tell the API server of all members that run."""
        endpoints = [
            {"addresses": [address], "conditions": {"terminating": address in self.leaving}}
            for address, process in self.members.items()
            if process.poll() is None
        ]
        publish(self.kube, endpoints, self.paused)

    def pause(self, name: str) -> None:
        """Pause the role as Kubernetes tells it: by a label of its slices; "" ends it."""
        self.paused = name
        self.publish()

    def leave(self, address: str) -> None:
        """Delete a member as Kubernetes does: the slice says so, SIGTERM, and it is gone."""
        self.leaving.add(address)
        self.publish()
        self.members[address].terminate()
        self.members[address].wait(40)
        self.publish()

    def kill(self, address: str) -> float:
        """Kill a member's process; return when it was dead, on the monotonic clock."""
        self.members[address].kill()
        self.members[address].wait(5)
        return time.monotonic()

    def status(self) -> EndpointStatus:
        """Return what the agent answers."""
        body = get("127.0.0.1", self.status_port, "/status", seconds=5, limit=65536)
        return wire.loads(EndpointStatus, body)

    def ready(self) -> bool:
        """Return whether the agent answers that clients may come."""
        try:
            get("127.0.0.1", self.status_port, "/ready", seconds=5, limit=65536)
        except OSError:
            return False
        return True

    def up(self) -> set[str]:
        """Return the members that get requests."""
        return {a for a, state in self.status().members[ROLE].items() if state == "Up"}

    def working(self) -> set[str]:
        """Return the members that HAProxy would send a new request to, as its statistics say."""
        lines = self.runtime.run("show stat").removeprefix("# ").splitlines()
        rows = csv.DictReader(line for line in lines if line)
        return {
            row["addr"].partition(":")[0]
            for row in rows
            if row["pxname"] == ROLE and row["status"].startswith("UP")
        }

    def kill_haproxy(self) -> float:
        """Kill HAProxy's process, the agent's only child; return when it was dead, as `kill`."""
        (child,) = self._children()
        os.kill(child, signal.SIGKILL)
        until(lambda: ended(child), "HAProxy is dead")
        return time.monotonic()

    def end(self) -> None:
        """End all processes."""
        if self.agent.poll() is None:
            children = self._children()
            self.agent.kill()
            self.agent.wait(10)
            for child in children:
                os.kill(child, signal.SIGKILL)
        for process in self.members.values():
            process.kill()
            process.wait(5)

    def _children(self) -> list[int]:
        pid = self.agent.pid
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]

    def ask(self, path: str = "/", method: str = "GET", seconds: float = 30.0) -> tuple[int, str]:
        """Return status and body of one request."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body=b"x" if method == "POST" else None)
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    @contextmanager
    def load(self, rate: float = 50.0, method: str = "GET") -> Iterator[Calls]:
        """Ask so often a second for as long as the context lasts, each in a thread of its own."""
        calls, stop, lock = Calls(), threading.Event(), threading.Lock()

        def one() -> None:
            began = time.monotonic()
            try:
                status, body = self.ask(method=method)
                failure = "" if status == 200 else f"{status} {body}"
            except (OSError, http.client.HTTPException) as error:
                failure, body = repr(error), ""
            with lock:
                calls.longest = max(calls.longest, time.monotonic() - began)
                if failure:
                    calls.failed.append(Failure(began, failure))
                else:
                    calls.served[body] = calls.served.get(body, 0) + 1

        threads: list[threading.Thread] = []

        def many() -> None:
            due = time.monotonic()
            while not stop.is_set():
                threads.append(threading.Thread(target=one))
                threads[-1].start()
                due += 1 / rate
                stop.wait(max(0.0, due - time.monotonic()))

        source = threading.Thread(target=many)
        source.start()
        try:
            yield calls
        finally:
            stop.set()
            source.join()
            for thread in threads:
                thread.join(60)


class Background:
    """One request that takes a while."""

    def __init__(self, world: World, path: str, method: str) -> None:
        self._world, self._path, self._method = world, path, method
        self.member = ""
        self._result = (0, 0)
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def result(self) -> tuple[int, int]:
        """Wait for its end; return status and bytes of the body that came."""
        self._thread.join(60)
        return self._result

    def _run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._world.port, timeout=60)
        connection.request(self._method, self._path)
        response = connection.getresponse()
        self.member = response.headers["X-Member"]
        try:
            self._result = response.status, len(response.read())
        except http.client.IncompleteRead as error:
            self._result = response.status, len(error.partial)
        finally:
            connection.close()


def refused(port: int) -> bool:
    """Return whether nobody listens at a port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=2).close()
    except ConnectionRefusedError:
        return True
    return False


def ended(pid: int) -> bool:
    """Return whether a process has ended, waited for or not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True
    return stat.rpartition(")")[2].split()[0] == "Z"


def publish(kube: KubeServer, endpoints: list[dict[str, Any]], paused: str = "") -> None:
    """Store the EndpointSlice of the role's members; one without any has null, as in Kubernetes."""
    labels = {"kubernetes.io/service-name": f"demo-{ROLE}-members"}
    item = {
        "metadata": {
            "name": "members",
            "labels": labels | ({PAUSED_LABEL: paused} if paused else {}),
        },
        "addressType": "IPv4",
        "endpoints": endpoints or None,
    }
    kube.put(SLICES, {"items": [item]})


def until(condition: Callable[[], object], what: str, seconds: float = 15.0) -> None:
    """Wait until a condition holds.

    Raises:
        AssertionError: it does not in time; says what should be.
    """
    end = time.monotonic() + seconds
    while True:
        with suppress(OSError):
            if condition():
                return
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.02)


def write_files(
    folder: Path, program: Path, ports: tuple[int, int, int, int, int], stop_seconds: float
) -> Path:
    """Write the role's own files for loopback; return the settings' path.

    Args:
        folder: in place of the container's.
        program: HAProxy.
        ports: the endpoint's, the members', the gates', the agent's, and that of its liveness.
        stop_seconds: of the settings.
    """
    own, api, gate, status, alive = ports
    role = endpoint.endpoint_role((endpoint.ApiBackend(role=ROLE, port=api),))
    assert role.files is not None
    for path, text in role.files(cloud()).items():
        adapted = (
            text.replace("/run/haproxy", str(folder))
            .replace("/etc/stackroles", str(folder))
            .replace(f"{{LISTEN_{api}}}", f"{{LISTEN_{own}}}")
            .replace("bind :::8404 v4v6", f"bind 127.0.0.1:{alive}")
            .replace("check port 9301", f"check port {gate}")
            .replace(f"lua.hold {ROLE} {endpoint.HOLD_SECONDS}", f"lua.hold {ROLE} {HOLD_SECONDS}")
        )
        (folder / path.rpartition("/")[2]).write_text(adapted)
    file = folder / "endpoint.json"
    declared = wire.loads(EndpointSettings, file.read_bytes())
    settings = replace(
        declared,
        backends=tuple(replace(backend, listen=own) for backend in declared.backends),
        command=(str(program), "-db", "-f", str(folder / "haproxy.cfg")),
        port=status,
        drain_seconds=DRAIN_SECONDS,
        stop_seconds=stop_seconds,
    )
    file.write_text(wire.dumps(settings))
    return file


def _serves(made: World, addresses: set[str]) -> bool:
    code = made.agent.poll()
    assert code is None, f"the endpoint's agent ended with {code}"
    return made.ready() and made.up() == addresses


@contextmanager
def world(
    folder: Path,
    program: Path,
    members: int,
    stop_seconds: float = 30.0,
    lasting_seconds: float = 0.0,
) -> Iterator[World]:
    """Run an endpoint with so many members that serve.

    Args:
        folder: of its files; its path must be short enough for a socket's.
        program: HAProxy.
        members: how many.
        stop_seconds: how long sessions may last when it stops.
        lasting_seconds: how long HAProxy must have run to be started again.
    """
    own, api, gate, status, alive = (free_port() for _ in range(5))
    file = write_files(folder, program, (own, api, gate, status, alive), stop_seconds)
    with kube_server(folder / "account") as kube:
        kube.RequestHandlerClass = SliceHandler
        publish(kube, [])
        account = str(folder / "account")
        arguments = (str(file), str(kube.port), account, str(lasting_seconds))
        agent = subprocess.Popen([sys.executable, "-c", AGENT, *arguments], cwd=ROOT)
        draw = random.Random()
        prefix = f"127.{draw.randrange(1, 255)}.{draw.randrange(255)}"
        made = World(
            agent, own, status, (api, gate), prefix, kube, RuntimeApi(str(folder / "agent.sock"))
        )
        try:
            addresses = {made.start() for _ in range(members)}
            until(functools.partial(_serves, made, addresses), "the endpoint serves", 60)
            yield made
        finally:
            made.end()


def short_folder(name: str) -> Path:
    """Return a new folder whose path leaves room for a socket's name (108 bytes in all)."""
    folder = Path("/tmp") / f"{name}-{os.getpid()}"  # noqa: S108 - its name is the test's own
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder

"""Real gates with real children and watchdogs, against a small API server on loopback."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stackroles.agents import wire
from stackroles.agents.gate import lease
from stackroles.agents.gate.protocol import ClaimSettings, GateSettings, GateStatus, Health
from tests.support.kube_server import KubeServer, kube_server
from tests.support.ports import free_port

LEASE = lease.path("ns", "role")
_PROGRAM = """
import sys
from pathlib import Path
from stackroles.agents import children, wire
from stackroles.agents.gate import agent
from stackroles.agents.gate.protocol import GateSettings
from stackroles.agents.kube_api import KubeApi

file, name, port, account = sys.argv[1:]
settings = wire.loads(GateSettings, Path(file).read_bytes())
agent.check(settings)
children.adopt_orphans()
api = KubeApi("127.0.0.1", int(port), Path(account)) if settings.claim else None
sys.exit(agent.Gate(settings, agent.identity({"POD_NAME": name, "POD_UID": "u"}), api).run())
"""
# Notes its pid and serves nothing.
IDLE = ("/bin/sh", "-c", 'echo $$ >> "$0"; exec sleep 1000')


def boottime() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 10.0) -> Any:
    """Return a condition's first true value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.005)
    return value


def alive(pid: int) -> bool:
    """Return whether a process runs; one that only waits to be collected does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class GateProcess:
    """One gate."""

    name: str
    settings: GateSettings
    pids: Path
    process: "subprocess.Popen[bytes]"
    log: Path

    @property
    def children(self) -> list[int]:
        """The pids of every run of its child so far."""
        return [int(pid) for pid in self.pids.read_text().split()] if self.pids.exists() else []

    def child(self) -> int:
        """Return the pid of the child that runs, 0 for none."""
        found = [pid for pid in self.children if alive(pid)]
        assert len(found) < 2, f"{self.name} runs two children"
        return found[0] if found else 0

    def watchdog(self) -> int:
        """Return the pid of the watchdog, 0 for none."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for pid in listed.split():
            if b"watchdog.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                return int(pid)
        return 0

    def ask(self, path: str) -> tuple[int, str]:
        """Return status and body of an answer; status 0 without one."""
        connection = http.client.HTTPConnection("127.0.0.1", self.settings.port, timeout=3)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        except (OSError, http.client.HTTPException):
            # Also one that breaks off: the gate ended meanwhile.
            return 0, ""
        finally:
            connection.close()

    def code(self, path: str) -> int:
        return self.ask(path)[0]

    def status(self) -> GateStatus:
        return wire.loads(GateStatus, self.ask("/status")[1])

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill_all(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to all processes of the pod, as when its cgroup gets it."""
        for pid in (self.process.pid, self.watchdog(), self.child()):
            if pid:  # 0 would be this process' own group
                os.kill(pid, number)


@dataclass
class Gates:
    """The world of a test."""

    folder: Path
    server: KubeServer
    gates: dict[str, GateProcess] = field(default_factory=dict)

    def start(self, name: str, settings: GateSettings, *command: str) -> GateProcess:
        """Start a gate; the child is given the file into which it writes its pid."""
        pids, log = self.folder / f"{name}.pids", self.folder / f"{name}.log"
        file = self.folder / f"{name}.json"
        given = wire.encode(settings)
        given["command"] = [*(command or IDLE), str(pids)]
        given["port"] = free_port()
        file.write_text(json.dumps(given))
        settings = wire.loads(GateSettings, file.read_bytes())
        arguments = (str(file), name, str(self.server.port), str(self.folder / "account"))
        with log.open("ab") as output:
            process = subprocess.Popen(
                (sys.executable, "-c", _PROGRAM, *arguments),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.gates[name] = GateProcess(name, settings, pids, process, log)
        return self.gates[name]

    def lease(self) -> dict[str, Any]:
        """Return the Lease."""
        return self.server.objects[LEASE]

    def holder(self) -> str:
        """Return the pod that holds it."""
        return lease.pod_of(self.lease()["spec"]["holderIdentity"])

    def annotations(self) -> dict[str, str]:
        return self.lease()["metadata"].get("annotations") or {}

    def running(self) -> list[str]:
        """Return the gates whose child runs."""
        return [gate.name for gate in self.gates.values() if gate.child()]

    def new_lease(self, **spec: Any) -> None:
        """Make the Lease, as given back by somebody."""
        stamp = "2026-01-01T00:00:00.000000Z"
        made = {"holderIdentity": "", "renewTime": stamp, "leaseTransitions": 1, **spec}
        self.server.put(LEASE, {"metadata": {"name": "role", "uid": "1"}, "spec": made})


@contextmanager
def gates(folder: Path) -> Iterator[Gates]:
    """Run an API server with a Lease that nobody holds; kill what is left at the end."""
    with kube_server(folder / "account") as server:
        world = Gates(folder, server)
        world.new_lease()
        try:
            yield world
        finally:
            for gate in world.gates.values():
                left = [pid for pid in (gate.process.pid, *gate.children) if alive(pid)]
                for pid in left:
                    os.kill(pid, signal.SIGKILL)
                gate.process.wait()


# Serves after it has noted its pid: what a hot standby and ActiveActive need.
WEB = """
import os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(str(os.getpid()).encode())

    def log_message(self, *args):
        pass

server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
with open(sys.argv[2], "a") as file:
    print(os.getpid(), file=file)
server.serve_forever()
"""


def web(settings: GateSettings) -> tuple[str, ...]:
    """Return the child that answers where settings ask."""
    assert settings.health is not None
    return (sys.executable, "-I", "-S", "-c", WEB, str(settings.health.port))


def claim(**changes: Any) -> ClaimSettings:
    """Return a claim nearly three times as fast as by default, so that tests are."""
    given = {
        "duration_seconds": 3,
        "renew_deadline_seconds": 2.2,
        "retry_seconds": 0.5,
        "lease": "role",
        "namespace": "ns",
        "standby": "Cold",
        **changes,
    }
    return wire.decode(ClaimSettings, given)


def cold(**changes: Any) -> GateSettings:
    """Return settings of a cold role without HTTP."""
    return GateSettings(
        command=(), health=None, drain_seconds=0.5, stop_seconds=1.0, claim=claim(**changes)
    )


def hot(**changes: Any) -> GateSettings:
    """Return settings of a hot role, whose children have a port each."""
    return replace(
        cold(standby="Hot", **changes), health=Health(port=free_port(), path="/healthcheck")
    )


def active_active() -> GateSettings:
    """Return settings of a role without a Lease."""
    return replace(hot(), claim=None)

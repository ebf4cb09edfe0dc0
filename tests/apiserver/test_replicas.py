"""The operator as processes, with its own rights, against a real API server."""

import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stackroles.constants import GROUP_VERSION
from stackroles.runtime.leader import LEASE_SECONDS, RETRY_SECONDS
from tests.apiserver.conftest import ACCOUNT, GROUP, SYSTEM_NAMESPACE, WATCHED_NAMESPACE
from tests.support.apiclient import ApiClient
from tests.support.binaries import ROOT
from tests.support.controlplane import ControlPlane
from tests.support.ports import free_port

_START = 20.0
_WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
_USER = f"system:serviceaccount:{SYSTEM_NAMESPACE}:{ACCOUNT}"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{SYSTEM_NAMESPACE}/leases/stackroles-leader"


def until(true: Callable[[], bool], seconds: float, what: str) -> float:
    """Wait for something; return how many seconds it took."""
    started = time.monotonic()
    while time.monotonic() - started < seconds:
        if true():
            return time.monotonic() - started
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds:g} s: {what}")


@dataclass
class Replica:
    """One operator process."""

    name: str
    port: int
    process: "subprocess.Popen[bytes]"
    log: Path

    def probe(self, path: str) -> int:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=2) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def memory(self) -> float:
        """Return the resident memory in MiB."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def ready(self) -> "Replica":
        until(lambda: self.probe("/readyz") == 200, _START, f"{self.name} is ready\n{self.tail()}")
        return self

    def tail(self) -> str:
        return "\n".join(self.log.read_text().splitlines()[-20:])


@pytest.fixture
def start(plane: ControlPlane, tmp_path: Path) -> Iterator[Callable[[str], Replica]]:
    """Start replicas; they are killed after the test."""
    token = plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)
    kubeconfig = plane.kubeconfig("replica", token)
    made: list[Replica] = []

    def run(name: str) -> Replica:
        port = free_port()
        environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kubeconfig),
            "STACKROLES_NAMESPACE": SYSTEM_NAMESPACE,
            "STACKROLES_POD_NAME": name,
            "STACKROLES_WATCH_NAMESPACES": WATCHED_NAMESPACE,
            "STACKROLES_HEALTH_PORT": str(port),
            "PYTHONMALLOC": "malloc",
        }
        log = tmp_path / f"{name}.log"
        with log.open("ab") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "stackroles.main"],
                env=environment, cwd=ROOT, stderr=stream, stdout=stream,
            )  # fmt: skip
        made.append(Replica(name, port, process, log))
        return made[-1]

    yield run
    for replica in made:
        replica.process.kill()
        replica.process.wait()


CLOUDS = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers"


@pytest.fixture(autouse=True)
def clean_start(admin: ApiClient) -> None:
    """Let each test begin without a leader, and without clouds that other tests left to work on."""
    admin.call("DELETE", LEASE)
    for cloud in admin.get(CLOUDS).must()["items"]:
        path = f"{CLOUDS}/{cloud['metadata']['name']}"
        admin.merge(path, {"metadata": {"finalizers": None}}).must()
        admin.call("DELETE", path)
    assert admin.get(CLOUDS).must()["items"] == []


def holder(admin: ApiClient) -> str:
    answer = admin.get(LEASE)
    return str(answer.body["spec"].get("holderIdentity") or "") if answer.ok else ""


def writes_since(plane: ControlPlane, since: int) -> list[tuple[str, str, str]]:
    """Return the operator's writes besides the Lease, from the audit log."""
    found: list[tuple[str, str, str]] = []
    for event in plane.audit_events()[since:]:
        target: dict[str, Any] = event.get("objectRef", {})
        is_lease = target.get("resource") == "leases"
        if event["user"]["username"] == _USER and event["verb"] in _WRITES and not is_lease:
            found.append((event["verb"], target.get("resource", ""), target.get("name", "")))
    return found


def test_killed_leader_is_replaced_within_the_lease(
    admin: ApiClient, start: Callable[[str], Replica]
) -> None:
    one = start("one").ready()
    until(lambda: holder(admin) == "one", _START, "one leads")
    two = start("two").ready()

    one.process.kill()
    seconds = until(lambda: holder(admin) == "two", 30, "two leads")

    assert seconds <= LEASE_SECONDS + 2 * RETRY_SECONDS
    assert admin.get(LEASE).must()["spec"]["leaseTransitions"] == 2
    assert two.probe("/healthz") == 200


def test_replica_that_is_asked_to_stop_ends_fast_and_hands_over(
    admin: ApiClient, start: Callable[[str], Replica]
) -> None:
    one = start("one").ready()
    until(lambda: holder(admin) == "one", _START, "one leads")
    start("two").ready()

    one.process.send_signal(signal.SIGTERM)

    assert one.process.wait(5) == 0, one.tail()
    assert until(lambda: holder(admin) == "two", 10, "two leads") <= 2 * RETRY_SECONDS


def test_paused_leader_that_wakes_ends_without_a_write(
    admin: ApiClient, plane: ControlPlane, start: Callable[[str], Replica]
) -> None:
    one = start("one").ready()
    until(lambda: holder(admin) == "one", _START, "one leads")
    start("two").ready()
    one.process.send_signal(signal.SIGSTOP)
    until(lambda: holder(admin) == "two", 30, "two leads")
    settle(plane)  # what the new leader has to do is not what the old one does when it wakes
    since = len(plane.audit_events())

    one.process.send_signal(signal.SIGCONT)

    assert one.process.wait(15) == 1
    assert holder(admin) == "two"
    assert writes_since(plane, since) == []


def test_restart_on_settled_resources_writes_nothing_but_the_lease(
    admin: ApiClient, plane: ControlPlane, start: Callable[[str], Replica]
) -> None:
    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers"
    body = {"apiVersion": GROUP_VERSION, "kind": "CloudController", "metadata": {"name": "settled"}}
    admin.create(path, {**body, "spec": {}}).must()
    one = start("one").ready()
    until(lambda: "status" in admin.get(f"{path}/settled").must(), _START, f"status\n{one.tail()}")
    settle(plane)
    one.process.send_signal(signal.SIGTERM)
    one.process.wait(5)
    since = len(plane.audit_events())

    again = start("again").ready()
    until(lambda: holder(admin) == "again", _START, "it leads")
    time.sleep(6)  # long enough for many passes, if anything asked for them

    assert writes_since(plane, since) == []
    assert again.memory() < 120
    admin.call("DELETE", f"{path}/settled")


def settle(plane: ControlPlane) -> None:
    """Wait until the operator has written nothing for three seconds."""
    last, quiet = len(writes_since(plane, 0)), time.monotonic()
    deadline = time.monotonic() + 60
    while time.monotonic() - quiet < 3:
        assert time.monotonic() < deadline, writes_since(plane, 0)[-20:]
        now = len(writes_since(plane, 0))
        if now != last:
            last, quiet = now, time.monotonic()
        time.sleep(0.2)

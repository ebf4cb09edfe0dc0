"""A real API server with etcd on loopback: no kubelet or scheduler, controllers only when asked.

Both keep their data in memory-backed folders when there are any, and end with the test session.
"""

import contextlib
import json
import secrets
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from urllib3.exceptions import HTTPError

from tests.support.apiclient import ApiClient
from tests.support.binaries import binary
from tests.support.ports import free_port

START_SECONDS = 60
AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}


class ControlPlaneError(Exception):
    """A server did not start; the message holds the end of its log."""


@dataclass
class ControlPlane:
    """A running API server.

    Attributes:
        url: its address.
        folder: certificates, logs, kubeconfig, the audit log.
        admin: a client in group system:masters.
    """

    url: str
    folder: Path
    admin: ApiClient
    _processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def ca_file(self) -> Path:
        """The certificate that clients trust."""
        return self.folder / "pki" / "apiserver.crt"

    @property
    def audit_log(self) -> Path:
        return self.folder / "audit.log"

    def client(self, token: str) -> ApiClient:
        """Return a client with another token."""
        return self.admin.as_user(token)

    def kubeconfig(self, name: str, token: str) -> Path:
        """Write a kubeconfig for a token and return where it is."""
        path = self.folder / f"{name}.kubeconfig"
        cluster = {"server": self.url, "certificate-authority": str(self.ca_file)}
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(json.dumps(document))
        return path

    def service_account_token(self, namespace: str, name: str) -> str:
        """Return a token of a ServiceAccount that exists, valid for an hour."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600},
        }
        return str(self.admin.create(path, body).must()["status"]["token"])

    def audit_events(self) -> list[dict[str, Any]]:
        """Return all requests so far, as the API server logged them."""
        return [json.loads(line) for line in self.audit_log.read_text().splitlines()]

    def start_controllers(self, *controllers: str) -> None:
        """Start kube-controller-manager with the controllers named (all by default)."""
        if "kube-controller-manager" in self._processes:
            return
        kubeconfig = self.kubeconfig("controllers", self.admin.token)
        self._start(
            "kube-controller-manager",
            f"--kubeconfig={kubeconfig}",
            f"--controllers={','.join(controllers or ('*',))}",
            f"--service-account-private-key-file={self.folder / 'sa.key'}",
            "--use-service-account-credentials=false",
            "--leader-elect=false",
            f"--secure-port={free_port()}",
            "--bind-address=127.0.0.1",
        )

    def _start(self, program: str, *arguments: str) -> None:
        log: IO[bytes]
        with (self.folder / f"{program}.log").open("wb") as log:
            self._processes[program] = subprocess.Popen(
                [str(binary(program)), *arguments], stdout=log, stderr=subprocess.STDOUT
            )

    def _stop(self) -> None:
        # What they hold goes with them, so there is nothing to end gracefully.
        for process in self._processes.values():
            process.kill()
        for process in self._processes.values():
            process.wait()


@contextlib.contextmanager
def control_plane() -> Iterator[ControlPlane]:
    """Run etcd and kube-apiserver for as long as the context lasts."""
    memory = Path("/dev/shm")  # noqa: S108 - speed only; any folder will do
    with tempfile.TemporaryDirectory(
        prefix="stackroles-", dir=memory if memory.is_dir() else None
    ) as folder:
        plane = _prepare(Path(folder))
        try:
            _start_servers(plane)
            yield plane
        finally:
            plane._stop()


def _prepare(folder: Path) -> ControlPlane:
    """Write keys, tokens and the audit policy; return the plane, not yet running."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    (folder / "sa.key").write_bytes(pem)
    (folder / "audit-policy.yaml").write_text(json.dumps(AUDIT_POLICY))
    (folder / "audit.log").touch()
    token = secrets.token_urlsafe(24)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')
    url = f"https://127.0.0.1:{free_port()}"
    plane = ControlPlane(url, folder, admin=None)  # type: ignore[arg-type]
    (folder / "admin.token").write_text(token)
    return plane


def _start_servers(plane: ControlPlane) -> None:
    etcd = f"http://127.0.0.1:{free_port()}"
    peer = f"http://127.0.0.1:{free_port()}"
    folder = plane.folder
    plane._start(
        "etcd",
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={etcd}",
        f"--advertise-client-urls={etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    plane._start(
        "kube-apiserver",
        f"--etcd-servers={etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={plane.url.rpartition(':')[2]}",
        f"--cert-dir={folder / 'pki'}",
        "--authorization-mode=RBAC",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'sa.key'}",
        f"--service-account-signing-key-file={folder / 'sa.key'}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged=true",
        # No controller makes a namespace's default account here.
        "--disable-admission-plugins=ServiceAccount",
        f"--audit-policy-file={folder / 'audit-policy.yaml'}",
        f"--audit-log-path={plane.audit_log}",
    )
    _wait_for_certificate(plane)
    plane.admin = ApiClient(plane.url, plane.ca_file, (folder / "admin.token").read_text())
    wait_for(plane, lambda: plane.admin.get("/readyz").status == 200, "kube-apiserver is not ready")


def _wait_for_certificate(plane: ControlPlane) -> None:
    wait_for(plane, plane.ca_file.is_file, "kube-apiserver made no certificate")


def wait_for(plane: ControlPlane, holds: Callable[[], bool], otherwise: str) -> None:
    """Wait until something holds; end at once when a server has died.

    Raises:
        ControlPlaneError: it did not come to hold within START_SECONDS.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, HTTPError):
            if holds():
                return
        for name, process in plane._processes.items():
            if process.poll() is not None:
                raise ControlPlaneError(f"{name} ended: {_log_tail(plane, name)}")
        time.sleep(0.05)
    raise ControlPlaneError(f"{otherwise}: {_log_tail(plane, 'kube-apiserver')}")


def _log_tail(plane: ControlPlane, program: str) -> str:
    lines = (plane.folder / f"{program}.log").read_text(errors="replace").splitlines()
    return "\n".join(lines[-15:])

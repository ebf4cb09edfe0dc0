"""A small Kubernetes API server on loopback: a few objects, optimistic locking, watches, faults."""

import copy
import ipaddress
import json
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

Object = dict[str, Any]
TOKEN = "a-token"


class KubeServer(ThreadingHTTPServer):
    """The server and what it stores.

    Attributes:
        objects: by path; each has a metadata.resourceVersion.
        events: what a watch of any path gets, line by line.
        requests: method and path of each request, in order.
        history: each stored version, with the CLOCK_BOOTTIME at which it was stored.
        down: answers 503 while it is set.
        delay: seconds before each request is looked at.
        connections: how many have been accepted.
    """

    daemon_threads = True

    def __init__(self, account: Path, host: str) -> None:
        self.objects: dict[str, Object] = {}
        self.events: list[bytes] = []
        self.requests: list[str] = []
        self.history: list[tuple[float, Object]] = []
        self.down = threading.Event()
        self.delay = 0.0
        self.connections = 0
        self.lock = threading.Lock()
        self.version = 0
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, 0), KubeHandler)
        key, certificate = write_account(account, host)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.socket = context.wrap_socket(
            self.socket, server_side=True, do_handshake_on_connect=False
        )

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self.server_address[1])

    def process_request(  # type: ignore[explicit-override]
        self, request: Any, client_address: Any
    ) -> None:
        """Count a connection."""
        self.connections += 1
        super().process_request(request, client_address)

    def handle_error(  # type: ignore[explicit-override]
        self, request: Any, client_address: Any
    ) -> None:
        """Say nothing of clients that were killed."""

    def put(self, path: str, body: Object) -> Object:
        """Store an object whatever is there; return it with its new version."""
        with self.lock:
            return self.store(path, body)

    def store(self, path: str, body: Object) -> Object:
        """Do it; the caller has the lock."""
        self.version += 1
        stored = copy.deepcopy(body)
        stored.setdefault("metadata", {})["resourceVersion"] = str(self.version)
        self.objects[path] = stored
        self.history.append((time.clock_gettime(time.CLOCK_BOOTTIME), stored))
        return stored


class KubeHandler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: KubeServer

    def do_GET(self) -> None:
        path, query = self._begin()
        if not self._may():
            return
        if query.get("watch"):
            self._watch()
        elif path in self.server.objects:
            self._answer(200, self.server.objects[path])
        else:
            self._fail(404, f"{path} not found")

    def do_PUT(self) -> None:
        path, _ = self._begin()
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not self._may():
            return None
        with self.server.lock:
            there = self.server.objects.get(path)
            if there is None:
                return self._fail(404, f"{path} not found")
            if body["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"]:
                return self._fail(409, "the object has been modified")
            stored = self.server.store(path, body)
        return self._answer(200, stored)

    def _begin(self) -> tuple[str, dict[str, list[str]]]:
        self.server.requests.append(f"{self.command} {self.path}")
        if self.server.delay:
            time.sleep(self.server.delay)
        parts = urlsplit(self.path)
        return parts.path, parse_qs(parts.query)

    def _may(self) -> bool:
        if self.server.down.is_set():
            self._fail(503, "etcd has no leader")
        elif self.headers["Authorization"] != f"Bearer {TOKEN}":
            self._fail(401, "Unauthorized")
        else:
            return True
        return False

    def _watch(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in self.server.events:
            self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _fail(self, code: int, message: str) -> None:
        self._answer(code, {"kind": "Status", "code": code, "message": message})

    def _answer(self, code: int, body: Object) -> None:
        text = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]
        """Keep quiet."""


def write_account(folder: Path, host: str) -> tuple[Path, Path]:
    """Write what the kubelet mounts; return the server's key and certificate."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address(host))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text(TOKEN + "\n")
    (folder / "ca.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "key.pem", folder / "ca.crt"


@contextmanager
def kube_server(account: Path, host: str = "127.0.0.1") -> Iterator[KubeServer]:
    """Run a server whose certificate and token are written into a folder."""
    server = KubeServer(account, host)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

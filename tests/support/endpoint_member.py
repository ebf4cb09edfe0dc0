"""A member behind an endpoint, as a program: an API and the gate's answer to checks.

Run as `python -m tests.support.endpoint_member ADDRESS PORT GATE_PORT`. SIGTERM has it leave as a
gate does: it answers 404 to checks, serves on for a second, completes what runs, and ends. SIGUSR1
has it answer 404 only, SIGUSR2 503 only.
"""

import base64
import hashlib
import signal
import sys
import threading
import time
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typing_extensions import override

DRAIN_SECONDS = 1.5
# RFC 6455, section 1.3.
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
PIECE = b"x" * 1000
CHECKS: dict[int, int] = {signal.SIGUSR1: 404, signal.SIGUSR2: 503}


class Member:
    """What it answers to checks, and how many requests run."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.check = 200
        self.running = 0
        self.changed = threading.Condition()


class Handler(BaseHTTPRequestHandler):
    """Answers one request, as the WSGI server does: the connection ends with it."""

    protocol_version = "HTTP/1.1"
    member: Member

    def do_GET(self) -> None:
        """Answer with the address; /slow/N sends a piece of a kilobyte 20 times a second."""
        with self.member.changed:
            self.member.running += 1
        try:
            self._answer()
        finally:
            with self.member.changed:
                self.member.running -= 1
                self.member.changed.notify_all()

    def do_POST(self) -> None:
        """Answer as to a GET, once the body was read."""
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def _echo(self) -> None:
        """Accept a websocket's handshake, then send back every line."""
        accepted = base64.b64encode(hashlib.sha1(self._key()).digest()).decode()  # noqa: S324
        self.send_response(101)
        self.send_header("Connection", "Upgrade")
        self.send_header("Upgrade", "websocket")
        self.send_header("Sec-WebSocket-Accept", accepted)
        self.end_headers()
        while line := self.rfile.readline():
            self.wfile.write(line)

    def _key(self) -> bytes:
        return (self.headers["Sec-WebSocket-Key"] + GUID).encode()

    def _answer(self) -> None:
        if self.path == "/socket":
            return self._echo()
        pieces = int(self.path.removeprefix("/slow/")) if self.path.startswith("/slow/") else 0
        body = self.member.address.encode()
        if self.path == "/headers":
            body = str(self.headers).encode()
        if not pieces:
            # Before the first byte: one that is killed meanwhile has sent none, and is repeated.
            time.sleep(0.005)
        self.send_response(200)
        self.send_header("Content-Length", str(len(PIECE) * pieces or len(body)))
        self.send_header("Connection", "close")
        self.send_header("X-Member", self.member.address)
        self.end_headers()
        if not pieces:
            self.wfile.write(body)
        for _ in range(pieces):
            self.wfile.write(PIECE)
            time.sleep(0.05)
        self.close_connection = True
        return None

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]
        """Keep quiet."""


class Gate(Handler):
    """Answers a check."""

    @override
    def do_GET(self) -> None:
        """Answer /serving."""
        self.send_response(self.member.check if self.path == "/serving" else 500)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    """A server that takes a burst."""

    request_queue_size = 100
    daemon_threads = True


def main(arguments: Sequence[str]) -> None:
    """Serve until SIGTERM."""
    address, port, gate_port = arguments[0], int(arguments[1]), int(arguments[2])
    member = Member(address)
    Handler.member = member
    # Taken by the main thread alone, and waited for: a handler runs only once that thread does,
    # which a signal that another thread got does not wake.
    taken: set[int] = {signal.SIGTERM, *CHECKS}
    signal.pthread_sigmask(signal.SIG_BLOCK, taken)
    for handler, bound in ((Handler, port), (Gate, gate_port)):
        server = Server((address, bound), handler)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    while (number := signal.sigwait(taken)) != signal.SIGTERM:
        member.check = CHECKS[number]
    member.check = 404
    threading.Event().wait(DRAIN_SECONDS)
    with member.changed:
        member.changed.wait_for(lambda: not member.running, timeout=30)


if __name__ == "__main__":
    main(sys.argv[1:])

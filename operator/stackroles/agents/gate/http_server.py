"""What a gate answers over HTTP.

GET /serving   200 while this member takes requests, 404 while it drains, else 503: the proxies'
GET /ready     200 while it is healthy and settled, active or not, else 503: the kubelet's
GET /status    what this member is: a GateStatus (protocol.py), JSON
"""

import sys
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from stackroles.agents import wire
from stackroles.agents.gate.protocol import READY_PATH, SERVING_PATH, STATUS_PATH, GateStatus


class Source(Protocol):
    """The member that is asked; times are of CLOCK_BOOTTIME."""

    def serving(self, now: float) -> int:
        """Return HTTP's status for the proxies."""

    def ready(self, now: float) -> bool:
        """Return whether it is settled."""

    def status(self, now: float) -> GateStatus:
        """Return what is told of it."""


class GateServer(ThreadingHTTPServer):
    """The gate's HTTP server; every request has a thread of its own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, port: int, member: Source, boottime: Callable[[], float]) -> None:
        self.member, self.boottime = member, boottime
        super().__init__(("", port), GateHandler)

    def handle_error(  # type: ignore[explicit-override]
        self, request: Any, client_address: Any
    ) -> None:
        """Say nothing of a client that hung up: a proxy's check ends by a reset."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class GateHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: GateServer

    def do_GET(self) -> None:
        """Answer /serving, /ready and /status."""
        member, now = self.server.member, self.server.boottime()
        codes = {
            SERVING_PATH: member.serving(now),
            READY_PATH: 200 if member.ready(now) else 503,
            STATUS_PATH: 200,
        }
        # 404 says something to the proxies.
        self._answer(codes.get(self.path, 400), wire.dumps(member.status(now)))

    do_HEAD = do_GET  # noqa: N815

    def _answer(self, code: int, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]  # noqa: A002
        """Keep the checks, several a second, out of the log."""

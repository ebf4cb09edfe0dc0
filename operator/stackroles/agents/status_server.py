"""What the agent of a member answers over HTTP, whatever it is a member of.

GET /status   what this member is: a message of its protocol module, JSON
GET /ready    200 while clients may come, else 503; the body is the same

Standard library only: it runs inside role pods.
"""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from stackroles.agents import wire
from stackroles.agents.status_protocol import READY_PATH, STATUS_PATH


class StatusSource(Protocol):
    """The member that is asked."""

    @property
    def status(self) -> object:
        """What it is: a frozen dataclass that `wire` can encode."""

    @property
    def ready(self) -> bool:
        """Whether clients may come."""


class StatusServer(ThreadingHTTPServer):
    """An agent's HTTP server."""

    daemon_threads = True

    def __init__(self, port: int, member: StatusSource) -> None:
        self.member = member
        super().__init__(("", port), StatusHandler)


class StatusHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    timeout = 10
    server: StatusServer

    def do_GET(self) -> None:
        """Answer /status and /ready."""
        member = self.server.member
        body = wire.dumps(member.status).encode()
        if self.path == STATUS_PATH:
            self._answer(200, body)
        elif self.path == READY_PATH:
            self._answer(200 if member.ready else 503, body)
        else:
            self._answer(404, b"{}")

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]  # noqa: A002
        """Keep the checks out of the log."""


def serve_status(port: int, member: StatusSource) -> StatusServer:
    """Answer requests in a thread of their own until the process ends; return the server."""
    server = StatusServer(port, member)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

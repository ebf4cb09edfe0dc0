"""What a RabbitMQ member's agent answers over HTTP.

GET /status   what this member is: a BrokerStatus (protocol.py), JSON
GET /ready    200 while the broker runs and no other member is in another cluster, else 503
"""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from stackroles.agents import wire
from stackroles.agents.broker.protocol import READY_PATH, STATUS_PATH, BrokerStatus


class StatusSource(Protocol):
    """The member that is asked."""

    @property
    def status(self) -> BrokerStatus:
        """What it is."""

    @property
    def ready(self) -> bool:
        """Whether clients may come."""


class StatusServer(ThreadingHTTPServer):
    """The agent's HTTP server."""

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

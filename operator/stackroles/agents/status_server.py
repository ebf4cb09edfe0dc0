"""What the agent of a member answers over HTTP, whatever it is a member of.

GET /status   what this member is: a message of its protocol module, JSON
GET /ready    200 while clients may come, else 503; the body is the same

Standard library only: it runs inside role pods.
"""

import sys
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

    # Proxies check all members at once.
    request_queue_size = 64

    def __init__(
        self, port: int, member: StatusSource, handler: "type[StatusHandler] | None" = None
    ) -> None:
        self.member = member
        super().__init__(("", port), handler or StatusHandler)

    def handle_error(  # type: ignore[explicit-override]
        self, request: Any, client_address: Any
    ) -> None:
        """Say nothing of a client that hung up: a proxy's check may end by a reset."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class StatusHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    timeout = 10
    server: StatusServer

    def do_GET(self) -> None:
        """Answer what `code` knows."""
        code = self.code(self.path)
        body = b"{}" if code is None else wire.dumps(self.server.member.status).encode()
        self._answer(404 if code is None else code, body)

    def code(self, path: str) -> int | None:
        """Return HTTP's status for a path, None where nothing is."""
        if path == STATUS_PATH:
            return 200
        if path == READY_PATH:
            return 200 if self.server.member.ready else 503
        return None

    def _answer(self, code: int, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]  # noqa: A002
        """Keep the checks out of the log."""


def serve_status(
    port: int, member: StatusSource, handler: type[StatusHandler] | None = None
) -> StatusServer:
    """Answer requests in a thread of their own until the process ends; return the server.

    Args:
        port: where.
        member: who is asked.
        handler: one that knows more paths.
    """
    server = StatusServer(port, member, handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

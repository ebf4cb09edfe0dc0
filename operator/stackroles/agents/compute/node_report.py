"""The node's agent: says over HTTP how the node's guests and its data plane stand.

GET /report   a NodeReport (agents/compute/node_protocol.py) as JSON, of a sample a few seconds old

It takes samples by itself, so that the time of a state and the growth of flows are known, and an
answer costs the operator no waiting. It changes nothing on the node.
"""

import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from stackroles.agents.compute import builds, data_plane, domains, node
from stackroles.agents.compute.node import AgentError
from stackroles.agents.compute.node_protocol import PORT, REPORT_PATH, NodeReport
from stackroles.agents.compute.report_size import to_answer
from stackroles.agents.text import shorten

PAUSE_SECONDS = 5.0
# Older ones are not answered: what is not known now is not known.
STALE_SECONDS = 30.0


def sample(before: NodeReport, now: float) -> NodeReport:
    """Return what is seen now.

    Args:
        before: the sample before.
        now: seconds since the epoch.
    """
    plane = data_plane.read(before.data_plane.flows)
    try:
        found, error = domains.since(domains.read(), before.domains, now), ""
    except AgentError as failure:
        found, error = before.domains, shorten(str(failure), 500)
    return replace(
        before,
        at=int(now),
        data_plane=plane,
        domains=found,
        libvirt_error=error,
        build_failures=builds.read(),
    )


class Sampler:
    """Keeps the newest sample."""

    def __init__(self) -> None:
        self._report = NodeReport()
        self._taken = -float("inf")
        self._lock = threading.Lock()

    def run(self) -> None:
        """Take samples for ever."""
        while True:
            taken = time.monotonic()
            report = sample(self._report, time.time())
            with self._lock:
                self._report, self._taken = report, taken
            time.sleep(PAUSE_SECONDS)

    def newest(self) -> NodeReport | None:
        """Return the newest sample, None when it is too old."""
        with self._lock:
            fresh = time.monotonic() - self._taken <= STALE_SECONDS
            return self._report if fresh else None


class ReportHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    timeout = 10
    server: "ReportServer"

    def do_GET(self) -> None:
        """Answer /report."""
        known = self.path == REPORT_PATH
        report = self.server.sampler.newest() if known else None
        code = 200 if report else 503 if known else 404
        body = to_answer(report) if report else b"{}"
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]  # noqa: A002
        """Keep requests, several a minute, out of the log."""


class ReportServer(ThreadingHTTPServer):
    """The agent's HTTP server; every request has a thread of its own."""

    daemon_threads = True

    def __init__(self, sampler: Sampler, port: int = PORT) -> None:
        self.sampler = sampler
        super().__init__(("", port), ReportHandler)

    def handle_error(  # type: ignore[explicit-override]
        self, request: Any, client_address: Any
    ) -> None:
        """Say nothing of a client that hung up: the operator waits for a second."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def program(_: Sequence[str]) -> None:
    """Take samples and answer requests until the pod ends."""
    sampler = Sampler()
    threading.Thread(target=ReportServer(sampler).serve_forever, daemon=True).start()
    # In the foreground: without samples there is nothing to answer, and the pod shall say so.
    sampler.run()


if __name__ == "__main__":
    node.main(program)

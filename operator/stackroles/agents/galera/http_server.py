"""What a database member's agent answers over HTTP.

GET  /report    the member's Report (protocol.py), JSON
GET  /wsrep     200 while clients may be sent here, 404 while only their sessions are left, else
                503; the proxies' check and the probe
GET  /metrics   the same in Prometheus' text format
GET  /binlogs   the member's binary logs (binlog_files)
POST /backup    a physical backup as a stream (backup_stream)
POST /tables    what a verification of that backup compares it with
"""

import contextlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from stackroles.agents import wire
from stackroles.agents.binlog.protocol import BINLOGS_PATH
from stackroles.agents.galera import backup_stream
from stackroles.agents.galera.binlog_files import BinlogAnswers
from stackroles.agents.galera.protocol import (
    BACKUP_PATH,
    METRICS_PATH,
    REPORT_PATH,
    WSREP_PATH,
    MemberPhase,
    Report,
)
from stackroles.agents.galera.tables_protocol import TABLES_PATH

if TYPE_CHECKING:
    from stackroles.agents.galera.agent import Agent


def metrics(report: Report, *, serves: bool, counters: dict[str, float]) -> str:
    """Return a report in Prometheus' text format."""
    lines = ["# TYPE stackroles_galera_serves gauge", f"stackroles_galera_serves {int(serves)}"]
    lines.append("# TYPE stackroles_galera_phase gauge")
    lines += [
        f'stackroles_galera_phase{{phase="{phase}"}} {int(report.phase is phase)}'
        for phase in MemberPhase
    ]
    for name, value in sorted(counters.items()):
        lines += [f"# TYPE mysql_global_status_{name} untyped",
                  f"mysql_global_status_{name} {value:g}"]  # fmt: skip
    return "\n".join(lines) + "\n"


class MemberServer(ThreadingHTTPServer):
    """The agent's HTTP server; every request has a thread of its own."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, agent: "Agent") -> None:
        self.agent = agent
        self.backups = backup_stream.Backups(agent.settings, self._is_settled)
        self.binlogs = BinlogAnswers(agent.settings, agent.wsrep)
        super().__init__(("", agent.settings.port), MemberHandler)

    def _is_settled(self) -> bool:
        """Return whether the member's server runs and nobody asks it to stop."""
        agent = self.agent
        return not agent.stopping.is_set() and agent.report().phase is MemberPhase.RUNNING

    def handle_error(  # type: ignore[explicit-override]
        self, request: Any, client_address: Any
    ) -> None:
        """Say nothing of a client that hung up: a proxy's check ends by a reset."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class MemberHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: MemberServer

    def do_GET(self) -> None:
        """Answer /report, /wsrep, /metrics and what is at /binlogs."""
        agent = self.server.agent
        if self.path == REPORT_PATH:
            self._answer(200, "application/json", wire.dumps(agent.report()))
        elif self.path == WSREP_PATH:
            wsrep = agent.wsrep()
            state = (wsrep.comment if wsrep else "") or agent.report().phase
            code = 200 if agent.serves() else 404 if agent.drains() else 503
            self._answer(code, "text/plain", f"{state}\n")
        elif self.path == METRICS_PATH:
            wsrep = agent.wsrep()
            counters = dict(wsrep.counters) if wsrep else {}
            text = metrics(agent.report(), serves=agent.serves(), counters=counters)
            self._answer(200, "text/plain; version=0.0.4", text)
        elif self.path.startswith(BINLOGS_PATH) and self.command == "GET":
            self.server.binlogs.answer(self)
        else:
            self._answer(404, "text/plain", "Known here: /report /wsrep /metrics /binlogs\n")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        """Answer /backup and /tables."""
        answers = {
            BACKUP_PATH: self.server.backups.answer,
            TABLES_PATH: self.server.backups.answer_tables,
        }
        if answer := answers.get(self.path):
            self.close_connection = True
            answer(self)
        else:
            self._answer(404, "text/plain", "Only /backup and /tables take a POST\n")

    def _answer(self, code: int, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]  # noqa: A002
        """Keep the checks, several a second, out of the log."""


@contextlib.contextmanager
def serving(agent: "Agent") -> Iterator[MemberServer]:
    """Answer requests for as long as the context lasts."""
    server = MemberServer(agent)
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()

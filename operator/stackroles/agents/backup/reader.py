"""Serves one recovery set of a restic repository over HTTP, so that pods elsewhere can read it.

GET /healthz       200, without a token
GET /manifest      the set's manifest as it is stored, JSON
GET /parts/<name>  that part as a chunked stream
GET /transactions/coverage and /transactions: what follows it of the binary logs that were shipped
                   (binlog/protocol.py); the latter is a chunked stream as well

The main program of a Job; standard library only. The last chunk of a part is sent only when restic
ended well and what was sent has the size and the checksum that the manifest says: any client of an
answer that breaks off sees that it is not whole, and the log says why. While the set cannot be read
the answer is 503 with a ReaderProblem, and a later request tries again: a repository may be away
for minutes.

It takes no locks and writes nothing, so that the repository may be mounted read-only.
"""

import contextlib
import hmac
import itertools
import os
import select
import signal
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Generator, Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from stackroles.agents import signals, wire
from stackroles.agents.backup.protocol import from_environment
from stackroles.agents.backup.reader_protocol import (
    HEALTH_PATH,
    MANIFEST_PATH,
    PARTS_PATH,
    PORT,
    ReaderProblem,
    ReaderSettings,
)
from stackroles.agents.backup.recovery_set import RecoverySet
from stackroles.agents.backup.repository import StepFailed
from stackroles.agents.binlog.protocol import COVERAGE_PATH, TRANSACTIONS_PATH
from stackroles.agents.binlog.transactions import Transactions
from stackroles.agents.chunked import refuse, send_chunk

# A client's disk may be slow for minutes; this is for one that is gone without a word.
STALL_SECONDS = 600.0
_TICK = 0.1


class ReaderServer(ThreadingHTTPServer):
    """The reader's HTTP server; every request has a thread of its own.

    Args:
        recovery_set: what is served.
        token: what clients must show.
        port: where.
        transactions: of the policy's binary logs; None where none are served.
    """

    # `server_close` waits for them: they end restic first.
    daemon_threads = False

    def __init__(
        self,
        recovery_set: RecoverySet,
        token: str,
        port: int = PORT,
        *,
        transactions: Transactions | None = None,
    ) -> None:
        self.recovery_set, self.transactions = recovery_set, transactions
        self.token = token.encode()
        self.stopping = False
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("", port), ReaderHandler)

    @contextlib.contextmanager
    def connected(self, client: socket.socket) -> Generator[None, None, None]:
        """Remember a client for as long as the context lasts."""
        with self._lock:
            self._connections.add(client)
        try:
            yield
        finally:
            with self._lock:
                self._connections.discard(client)

    def stop(self) -> None:
        """End all answers, and restic with them; another thread than that which serves calls it."""
        self.stopping = True
        self.shutdown()
        with self._lock:
            for client in self._connections:
                with contextlib.suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)
        self.server_close()

    def handle_error(  # type: ignore[explicit-override]
        self, request: Any, client_address: Any
    ) -> None:
        """Say nothing of a client that hung up: a probe may end by a reset."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class ReaderHandler(BaseHTTPRequestHandler):
    """Answers one request."""

    protocol_version = "HTTP/1.1"
    timeout = 30
    server: ReaderServer

    def handle(self) -> None:  # type: ignore[explicit-override]
        """Answer, known to the server meanwhile."""
        with self.server.connected(self.connection):
            # One that came after all others were hung up would be waited for in vain.
            if not self.server.stopping:
                super().handle()

    def do_GET(self) -> None:
        """Answer /healthz, /manifest and /parts/<name>."""
        if self.path == HEALTH_PATH:
            self._answer(200, "text/plain", b"ok")
        elif not self._allowed():
            refuse(self, 401, "a bearer token is required")
        elif self.path == MANIFEST_PATH:
            with self._problems():
                text, found = self.server.recovery_set.manifest(self._check)
                if not found.signed:
                    _log(f"The manifest is not signed: a former version took set {found.name}")
                self._answer(200, "application/json", text)
        elif self.path.startswith(PARTS_PATH):
            with self._problems():
                self._send(urllib.parse.unquote(self.path.removeprefix(PARTS_PATH)))
        elif self.path.startswith(TRANSACTIONS_PATH) and self.server.transactions:
            with self._problems():
                self._answer_transactions(self.server.transactions)
        else:
            refuse(self, 404, f"known here: {HEALTH_PATH} {MANIFEST_PATH} {PARTS_PATH}<name>")

    def _answer_transactions(self, transactions: Transactions) -> None:
        """Answer what is stored of binary logs; raises StepFailed while nothing has been sent."""
        address = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(address.query)
        history = (query.get("history") or [""])[0]
        numbers = [(query.get(name) or [""])[0] for name in ("after", "until")]
        if address.path == COVERAGE_PATH:
            found = wire.dumps(transactions.coverage(history, self._check))
            self._answer(200, "application/json", f"{found}\n".encode())
        elif address.path != TRANSACTIONS_PATH or not all(map(_is_number, numbers)):
            refuse(self, 400, "asked for: history=<uuid>, after=<number> and until=<seconds>")
        else:
            self._send_transactions(transactions, history, int(numbers[0]), int(numbers[1]))

    def _send_transactions(
        self, transactions: Transactions, history: str, after: int, until: int
    ) -> None:
        body = _ChunkedBody(self)
        try:
            transactions.send(history, after, until, body.write, self._check)
            body.end()
        except (StepFailed, OSError) as error:
            if not body.begun and isinstance(error, StepFailed):
                raise
            _log(f"Transactions after {after} were cut off: {error}")
        else:
            _log(f"Transactions after {after} were read whole: {body.bytes} bytes")

    def _allowed(self) -> bool:
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        right = self.server.token
        # As bytes: only of these any are compared.
        return bool(right) and scheme == "Bearer" and hmac.compare_digest(token.encode(), right)

    @contextlib.contextmanager
    def _problems(self) -> Generator[None, None, None]:
        """Answer with the problem when the repository fails before an answer has begun."""
        try:
            yield
        except StepFailed as error:
            _log(f"{self.path} is not answered: {error}")
            line = wire.dumps(ReaderProblem(reason=error.reason, message=str(error)))
            self._answer(503, "application/json", f"{line}\n".encode())

    def _check(self) -> None:
        """Raise ConnectionError when there is nobody left to answer, or no time to."""
        ready = select.select([self.connection], (), (), 0)[0]
        if self.server.stopping:
            raise ConnectionError("the reader was asked to end")
        if ready and not self.connection.recv(1, socket.MSG_PEEK):
            raise ConnectionError("the client closed the connection")

    def _send(self, name: str) -> None:
        """Answer a part; raises StepFailed while nothing of it has been sent."""
        recovery_set = self.server.recovery_set
        part = recovery_set.manifest(self._check)[1].by_name().get(name)
        if part is None:
            refuse(self, 404, f"the set has no part {name}")
            return
        with contextlib.closing(recovery_set.part(part, self._check)) as chunks:
            # A repository that is away is told by the answer's status, while that can be chosen.
            first = next(chunks, b"")
            began = time.monotonic()
            failure = self._stream(itertools.chain((first,) if first else (), chunks))
        took = time.monotonic() - began
        if failure:
            _log(f"{name} was cut off after {took:.0f} s: {failure}")
        else:
            _log(f"{name} was read whole: {part.bytes} bytes in {took:.0f} s")

    def _stream(self, chunks: Iterable[bytes]) -> str:
        """Send a part; return why the end of its body was not sent, "" when it was."""
        try:
            self.begin_stream()
            for chunk in chunks:
                send_chunk(self.connection, chunk)
            self.wfile.write(b"0\r\n\r\n")
        except StepFailed as error:
            return str(error)
        except TimeoutError:
            return f"the client took nothing for {STALL_SECONDS:.0f} s"
        except OSError as error:
            return f"nobody takes it any more: {error}"
        return ""

    def begin_stream(self) -> None:
        """Begin an answer whose body is chunked."""
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.connection.settimeout(STALL_SECONDS)

    def _answer(self, code: int, kind: str, body: bytes) -> None:
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def end_headers(self) -> None:  # type: ignore[explicit-override]
        """Say with every answer that it is the connection's last."""
        self.send_header("Connection", "close")
        super().end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # type: ignore[explicit-override]  # noqa: A002
        """Keep the probes out of the log."""


class _ChunkedBody:
    """The body of an answer that begins with its first byte, so that a problem is reported before.

    Args:
        handler: answers.
    """

    def __init__(self, handler: ReaderHandler) -> None:
        self._handler = handler
        self.begun, self.bytes = False, 0

    def write(self, data: bytes) -> None:
        """Send a part of it."""
        self._begin()
        self.bytes += len(data)
        send_chunk(self._handler.connection, data)

    def end(self) -> None:
        """Send its end."""
        self._begin()
        self._handler.wfile.write(b"0\r\n\r\n")

    def _begin(self) -> None:
        if not self.begun:
            self.begun = True
            self._handler.begin_stream()


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal()


def _log(message: str) -> None:
    print(message, flush=True)


def main() -> int:
    """Serve the set that the environment names until SIGTERM; return 0."""
    settings = from_environment(ReaderSettings, os.environ)
    token = Path(settings.token_file).read_text(encoding="utf-8").strip()
    stopping = signals.StopRequest()
    signal.signal(signal.SIGTERM, lambda *_: stopping.ask())
    server = ReaderServer(
        RecoverySet(settings.name, settings.policy, uid=settings.uid),
        token,
        transactions=Transactions(settings.policy),
    )
    threading.Thread(target=server.serve_forever, args=(_TICK,), daemon=True).start()
    _log(f"Set {settings.name} of policy {settings.policy} is at port {server.server_port}")
    while not stopping.wait(_TICK):
        pass
    server.stop()
    _log("The reader ends, as it was asked to")
    return 0


if __name__ == "__main__":
    sys.exit(main())

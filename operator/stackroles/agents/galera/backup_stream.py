"""A physical backup of the running member as one HTTP response.

The body is chunked. Its trailer `X-Backup-Status` is `complete` only when mariadb-backup ended with
0 and printed "completed OK!"; otherwise the response ends without its last chunk, so that a client
that knows nothing of trailers fails too, and the log says why. Nothing but a body that ended well
and a trailer that says `complete` is a backup. One runs at a time.

With it comes the header `X-Backup-Began`. Whoever sends that back as the body of a POST /tables is
answered what is known of the tables of that copy (tables_pass), as JSON: a line feed for each table
that was looked at, then the Tables, which say so where nothing could be recorded.
"""

import contextlib
import fcntl
import hmac
import select
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from typing import IO

from stackroles.agents import children, wire
from stackroles.agents.chunked import refuse, send_chunk
from stackroles.agents.galera import mariadb, tables, tables_pass
from stackroles.agents.galera.settings import MemberSettings
from stackroles.agents.galera.tables_protocol import BEGAN_HEADER, CopyBegan, Tables
from stackroles.agents.text import shorten

# The pipe's size as well: one of the usual 64 KiB costs the member twice the CPU for each byte.
_CHUNK = 1 << 18
# A client gives up long before; this is for one that is gone without a word, which would keep the
# member from the next backup.
STALL_SECONDS = 600.0
_DONE = "completed OK!"
_STATUS = "X-Backup-Status"
# For a statement of the server's own views, which may open every table; one that counts rows ends
# by its own limit.
_SQL_SECONDS = 2.0 * tables_pass.STATEMENT_SECONDS
_LONGEST_REQUEST = 4096
# Of why nothing was recorded.
_REASON = 300


class Backups:
    """Makes backups for clients that show the token.

    Args:
        settings: the member's.
        goes_on: whether the member may go on to look at its tables.
    """

    def __init__(self, settings: MemberSettings, goes_on: Callable[[], bool]) -> None:
        self._settings, self._goes_on = settings, goes_on
        self._one = threading.Lock()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one POST with a backup, or say why there is none."""
        with self._alone(request) as allowed:
            if not allowed:
                return
            try:
                with self._session() as session:
                    began = tables.begin(session.query)
            except (OSError, mariadb.SqlError) as error:
                refuse(request, 503, f"the server of this member does not answer: {error}")
                return
            failure = self._stream(request, began)
        # Told when the next backup may come: whoever reads it tries again.
        if failure:
            print(f"Backup failed: {failure}", flush=True)
        else:
            request.wfile.write(f"0\r\n{_STATUS}: complete\r\n\r\n".encode())

    def answer_tables(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one POST with what is recorded of a copy's tables, or say why it is not."""
        with self._alone(request) as allowed:
            if not allowed:
                return
            size = int(request.headers.get("Content-Length") or 0)
            try:
                began = wire.loads(CopyBegan, request.rfile.read(min(size, _LONGEST_REQUEST)))
            except wire.WireError as error:
                refuse(request, 400, f"the body is not the header {BEGAN_HEADER}: {error}")
                return
            failure = self._record(request, began)
        if failure:
            print(f"Tables were not recorded: {failure}", flush=True)
        else:
            request.wfile.write(b"0\r\n\r\n")

    def _record(self, request: BaseHTTPRequestHandler, began: CopyBegan) -> str:
        """Send the body but for its end; return why that must not follow, "" when it may."""
        request.send_response(200)
        request.send_header("Content-Type", "application/json")
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        request.connection.settimeout(STALL_SECONDS)
        try:
            found = self._recorded(request.connection, began)
            send_chunk(request.connection, wire.dumps(found, sort_keys=True).encode())
        except OSError as error:
            return f"nobody takes it any more: {error}"
        return ""

    def _recorded(self, client: socket.socket, began: CopyBegan) -> Tables:
        """Return what there is to record; raises OSError of a client that is gone."""

        def counted() -> None:
            try:
                send_chunk(client, b"\n")
            except OSError as error:
                raise _ClientGone(str(error)) from error

        try:
            with self._session() as session:
                return tables_pass.record(
                    session.query, began, goes_on=self._goes_on, counted=counted
                )
        except _ClientGone:
            raise
        except (OSError, mariadb.SqlError, tables_pass.PassStopped) as error:
            print(f"Tables were not recorded: {error}", flush=True)
            return Tables(server="", missing=shorten(str(error), _REASON), tables=())

    def _session(self) -> mariadb.Connection:
        return mariadb.Connection.unix(
            str(self._settings.socket), self._settings.user, _SQL_SECONDS
        )

    @contextlib.contextmanager
    def _alone(self, request: BaseHTTPRequestHandler) -> Iterator[bool]:
        """Let one client that shows the token at a time have the context; refuse others."""
        if not self._allowed(request.headers.get("Authorization", "")):
            refuse(request, 401, "a bearer token is required")
            yield False
        elif not self._one.acquire(blocking=False):
            refuse(request, 409, "another backup of this member is running")
            yield False
        else:
            try:
                yield True
            finally:
                self._one.release()

    def _allowed(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        right = self._settings.backup_token
        return bool(right) and scheme == "Bearer" and hmac.compare_digest(token, right)

    def _stream(self, request: BaseHTTPRequestHandler, began: CopyBegan) -> str:
        """Send the body but for its end; return why that must not follow, "" when it may."""
        with (
            tempfile.TemporaryFile() as log,
            tempfile.TemporaryDirectory() as scratch,
            children.awaited(
                [*self._settings.backup_command(), f"--target-dir={scratch}"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                bufsize=0,
            ) as process,
        ):
            assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, _CHUNK)
            request.send_response(200)
            request.send_header("Content-Type", "application/octet-stream")
            request.send_header("Transfer-Encoding", "chunked")
            request.send_header("Trailer", _STATUS)
            request.send_header(BEGAN_HEADER, wire.dumps(began))
            request.end_headers()
            # The server's time-out for a request does not hold for its answer: a repository may be
            # slow for minutes, and the client takes nothing meanwhile.
            request.connection.settimeout(STALL_SECONDS)
            try:
                for data in _until_hung_up(process.stdout, request.connection):
                    send_chunk(request.connection, data)
            except _Silent as error:
                process.kill()
                return str(error)
            except TimeoutError:
                process.kill()
                return f"the client took nothing for {STALL_SECONDS:.0f} s"
            except OSError as error:
                process.kill()
                return f"the client went away: {error}"
            code, last = process.wait(), _last_line(log)
        if code == 0 and last.endswith(_DONE):
            return ""
        return f"mariadb-backup ended with {code}, last output: {last}"


class _ClientGone(OSError):  # noqa: N818 - what happened
    """Nobody reads the answer any more."""


class _Silent(Exception):  # noqa: N818 - what happened
    """The program says nothing for too long."""


def _until_hung_up(source: IO[bytes], client: socket.socket) -> Iterator[bytes]:
    """Yield what comes from a pipe until its end.

    mariadb-backup may be silent for long, and a client that left meanwhile would not be missed
    before the next write; nobody else could have a backup until then.

    Raises:
        ConnectionError: the client closed the connection.
        _Silent: nothing came for too long.
    """
    watched: list[IO[bytes] | socket.socket] = [source, client]
    while True:
        ready, _, _ = select.select(watched, (), (), STALL_SECONDS)
        if not ready:
            raise _Silent(f"mariadb-backup wrote nothing for {STALL_SECONDS:.0f} s")
        if client in ready:
            if not client.recv(1, socket.MSG_PEEK):
                raise ConnectionError("it closed the connection")
            watched.remove(client)  # it has more to say, which nobody asked for
        if source in ready:
            data = source.read(_CHUNK)
            if not data:
                return
            yield data


def _last_line(log: IO[bytes]) -> str:
    size = log.seek(0, 2)
    log.seek(max(0, size - 4096))
    lines = [line for line in log.read().decode(errors="replace").splitlines() if line.strip()]
    return lines[-1].strip() if lines else ""

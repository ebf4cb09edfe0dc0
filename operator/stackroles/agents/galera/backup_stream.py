"""A physical backup of the running member as one HTTP response.

The body is chunked. Its trailer `X-Backup-Status` is `complete` only when mariadb-backup ended with
0 and printed "completed OK!"; otherwise the response ends without its last chunk, so that a client
that knows nothing of trailers fails too, and the log says why. Nothing but a body that ended well
and a trailer that says `complete` is a backup. One runs at a time.
"""

import fcntl
import hmac
import select
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import IO

from stackroles.agents import children
from stackroles.agents.chunked import refuse, send_chunk
from stackroles.agents.galera.settings import MemberSettings

# The pipe's size as well: one of the usual 64 KiB costs the member twice the CPU for each byte.
_CHUNK = 1 << 18
# A client gives up long before; this is for one that is gone without a word, which would keep the
# member from the next backup.
STALL_SECONDS = 600.0
_DONE = "completed OK!"
_STATUS = "X-Backup-Status"


class Backups:
    """Makes backups for clients that show the token."""

    def __init__(self, settings: MemberSettings) -> None:
        self._settings = settings
        self._one = threading.Lock()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one POST with a backup, or say why there is none."""
        if not self._allowed(request.headers.get("Authorization", "")):
            refuse(request, 401, "a bearer token is required")
        elif not self._one.acquire(blocking=False):
            refuse(request, 409, "another backup of this member is running")
        else:
            try:
                failure = self._stream(request)
            finally:
                self._one.release()
            # Told when the next backup may come: whoever reads it tries again.
            if failure:
                print(f"Backup failed: {failure}", flush=True)
            else:
                request.wfile.write(f"0\r\n{_STATUS}: complete\r\n\r\n".encode())

    def _allowed(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        right = self._settings.backup_token
        return bool(right) and scheme == "Bearer" and hmac.compare_digest(token, right)

    def _stream(self, request: BaseHTTPRequestHandler) -> str:
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

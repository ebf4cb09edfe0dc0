"""The binary logs of a member, answered to whoever ships them (agents/binlog).

GET /binlogs                           BinlogFiles, JSON
GET /binlogs/<name>?offset=N&limit=N   so many bytes of that log from there, at most 64 MiB

They are read from the data directory, beside the server and a backup. A member answers only while
it is sure to have what the cluster has committed: one that was cut off from the others would pass
for one where nothing happens.
"""

import contextlib
import hmac
import re
import time
import urllib.parse
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.binlog.protocol import BINLOGS_PATH, BinlogFile, BinlogFiles
from stackroles.agents.chunked import refuse
from stackroles.agents.galera.process import Wsrep
from stackroles.agents.galera.settings import MemberSettings

LONGEST_ANSWER = 64 << 20
_CHUNK = 1 << 18
_STALL_SECONDS = 60.0
# The option `log_bin` of the server's defaults (roles/mariadb.py) names the index.
_INDEX = "binlog.index"
_NAME = re.compile(r"^[A-Za-z0-9_-]+\.[0-9]+$")
_QUEUE = "wsrep_local_recv_queue"


def listed(data: Path) -> tuple[BinlogFile, ...]:
    """Return the binary logs in a data directory, the oldest first.

    Raises:
        OSError: it has none.
    """
    found = []
    for line in (data / _INDEX).read_text(encoding="utf-8").splitlines():
        name = line.rpartition("/")[2]
        # One that expired meanwhile is in the index for a moment.
        with contextlib.suppress(FileNotFoundError):
            if _NAME.match(name):
                found.append(BinlogFile(name=name, size=(data / name).stat().st_size))
    return tuple(found)


def current(wsrep: Wsrep | None) -> bool:
    """Return whether a member has applied all that its cluster has committed."""
    if wsrep is None or not wsrep.serves:
        return False
    # The donor of a transfer may be behind.
    return wsrep.synced or not wsrep.counters.get(_QUEUE)


class BinlogAnswers:
    """Answers requests for binary logs.

    Args:
        settings: the member's.
        wsrep: the server's last view of the cluster.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        settings: MemberSettings,
        wsrep: Callable[[], Wsrep | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._settings, self._wsrep, self._clock = settings, wsrep, clock
        self._data = settings.volume / "data"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Answer one GET below /binlogs."""
        if not self._allowed(request.headers.get("Authorization", "")):
            refuse(request, 401, "a bearer token is required")
            return
        address = urllib.parse.urlsplit(request.path)
        # Before the logs' sizes: what they hold is at least what was committed until then.
        epoch, wsrep = self._clock(), self._wsrep()
        if wsrep is None or not current(wsrep):
            refuse(request, 503, "this member is not a synchronised one of its cluster")
            return
        try:
            files = listed(self._data)
            if address.path == BINLOGS_PATH:
                found = BinlogFiles(history=wsrep.uuid, epoch=epoch, files=files)
                _send(request, wire.dumps(found).encode())
            else:
                self._answer_file(request, address, {file.name for file in files})
        except OSError as error:
            refuse(request, 503, f"the binary logs cannot be read: {error}")

    def _answer_file(
        self,
        request: BaseHTTPRequestHandler,
        address: urllib.parse.SplitResult,
        names: set[str],
    ) -> None:
        name = address.path.removeprefix(f"{BINLOGS_PATH}/")
        query = urllib.parse.parse_qs(address.query)
        offset = (query.get("offset") or ["0"])[0]
        limit = (query.get("limit") or [str(LONGEST_ANSWER)])[0]
        if name not in names:
            refuse(request, 404, f"there is no binary log {name}")
        elif not all(text.isascii() and text.isdecimal() for text in (offset, limit)):
            refuse(request, 400, f"{offset} or {limit} is no number of bytes")
        else:
            _send_file(request, self._data / name, int(offset), min(int(limit), LONGEST_ANSWER))

    def _allowed(self, header: str) -> bool:
        scheme, _, token = header.partition(" ")
        right = self._settings.backup_token.encode()
        return bool(right) and scheme == "Bearer" and hmac.compare_digest(token.encode(), right)


def _send(request: BaseHTTPRequestHandler, body: bytes) -> None:
    request.send_response(200)
    request.send_header("Content-Type", "application/json")
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


def _send_file(request: BaseHTTPRequestHandler, path: Path, offset: int, limit: int) -> None:
    """Send bytes of a log; what is written to it meanwhile is for the next request."""
    with path.open("rb") as file:
        file.seek(0, 2)
        left = min(max(file.tell() - offset, 0), limit)
        file.seek(offset)
        request.send_response(200)
        request.send_header("Content-Type", "application/octet-stream")
        request.send_header("Content-Length", str(left))
        request.end_headers()
        request.connection.settimeout(_STALL_SECONDS)
        try:
            while left and (chunk := file.read(min(left, _CHUNK))):
                request.wfile.write(chunk)
                left -= len(chunk)
        except OSError as error:
            print(f"{path.name} was not sent to its end: {error}", flush=True)
            left = left or 1
        # A body that is not as long as its header says ends with the connection.
        request.close_connection = request.close_connection or bool(left)

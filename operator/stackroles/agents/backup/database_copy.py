"""The physical copy of the database, as galera/backup_stream.py of a Galera member streams it."""

import contextlib
import http.client
import re
import time
import urllib.parse
from collections.abc import Callable, Mapping

from stackroles.agents.backup.repository import StepFailed
from stackroles.agents.backup.restic_process import CHUNK
from stackroles.agents.backup.streams import Sink

READ_TIMEOUT = 300.0
BUSY_SECONDS = 90.0
BUSY_PERIOD = 2.0
"""A member takes one backup at a time, and may still be ending that of a run that broke off."""

# The file in which mariadb-backup notes where in the replicated history its copy stands.
_INFO_FILE = b"mariadb_backup_galera_info"
_GALERA_INFO = re.compile(
    _INFO_FILE + rb".{0,64}?"
    rb"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}:[0-9]+)"
    rb"[^0-9]",  # a number that is cut in two is not yet read
    re.DOTALL,
)
_WINDOW = 256


class PositionFinder:
    """Passes a physical copy on and reads its position, `uuid:seqno`, out of it."""

    def __init__(self, target: Sink) -> None:
        self._target = target
        self._tail = b""
        self.position: str | None = None

    def write(self, data: bytes) -> int:
        """Look for the position and pass the bytes on."""
        if self.position is None:
            # All bytes pass through here: the name alone is looked for in them, without a copy.
            if _INFO_FILE in data or _INFO_FILE in self._tail + data[:_WINDOW]:
                found = _GALERA_INFO.search(self._tail + data)
                self.position = found[1].decode() if found else None
            self._tail = (self._tail + data[-_WINDOW:])[-_WINDOW:]
        return self._target.write(data)


def database(url: str, token: str) -> Callable[[Sink], Mapping[str, str]]:
    """Return a writer of the physical database copy that a Galera member streams.

    The member ends its chunked answer properly only when mariadb-backup completed, so a copy that
    is not whole is an IncompleteRead here; one without a position is refused too.
    """
    address = urllib.parse.urlsplit(url)

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection(str(address.hostname), address.port, timeout=READ_TIMEOUT)

    def write(sink: Sink) -> Mapping[str, str]:
        end = time.monotonic() + BUSY_SECONDS
        while True:
            with contextlib.closing(connect()) as connection:
                headers = {"Authorization": f"Bearer {token}"}
                connection.request("POST", address.path, headers=headers)
                with connection.getresponse() as response:
                    if response.status != http.client.CONFLICT or time.monotonic() > end:
                        return {"position": _copy(response, sink)}
            time.sleep(BUSY_PERIOD)

    return write


def _copy(response: http.client.HTTPResponse, sink: Sink) -> str:
    if response.status != http.client.OK:
        body = response.read(500).decode(errors="replace")
        raise StepFailed("database", f"the database member answered {response.status}: {body}")
    finder = PositionFinder(sink)
    while chunk := response.read(CHUNK):
        finder.write(chunk)
    if finder.position is None:
        raise StepFailed("database", "the copy does not say where in the history it stands")
    return finder.position

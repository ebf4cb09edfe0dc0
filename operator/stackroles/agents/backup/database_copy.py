"""The physical copy of the database, as galera/backup_stream.py of a Galera member streams it.

And what that member records of the tables in it, which a verification compares the copy with.
"""

import contextlib
import http.client
import re
import time
import urllib.parse
from collections.abc import Iterator, Mapping

from stackroles.agents import wire
from stackroles.agents.backup.repository import SourceBrokeOff, StepFailed
from stackroles.agents.backup.restic_process import CHUNK
from stackroles.agents.backup.streams import Sink
from stackroles.agents.galera.tables_protocol import BEGAN_HEADER, TABLES_PATH, Tables
from stackroles.agents.text import shorten

READ_TIMEOUT = 300.0
BUSY_SECONDS = 90.0
BUSY_PERIOD = 2.0
"""A member takes one backup at a time, and may still be ending that of a run that broke off; one
that is restarted is back by then."""
_LATER = frozenset({http.client.CONFLICT, http.client.SERVICE_UNAVAILABLE})

# The member itself begins no count after 10 minutes, and ends each after one (tables_pass.py).
TABLES_SECONDS = 1200.0
# One of a hundred thousand tables.
_LONGEST_RECORD = 64 << 20
_REASON = 300

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


class DatabaseMember:
    """A Galera member that is copied: its copy, and what is known of the tables in that.

    Args:
        url: where it streams its copy.
        token: what it asks for.
    """

    def __init__(self, url: str, token: str) -> None:
        self._address, self._token = urllib.parse.urlsplit(url), token
        self._began: str | None = None

    def copy(self, sink: Sink) -> Mapping[str, str]:
        """Write the physical copy of the database.

        The member ends its chunked answer properly only when mariadb-backup completed, so a copy
        that is not whole is an IncompleteRead here; one without a position is refused too.
        """
        with self._asked(self._address.path) as response:
            self._began = response.getheader(BEGAN_HEADER)
            return {"position": _copy(response, sink)}

    def tables(self, sink: Sink) -> Mapping[str, str]:
        """Write what the member knows of the tables in the copy that was written last.

        Where it does not answer, a record without tables says why: the copy is there, and is none
        the worse for it.
        """
        text = self._record()
        sink.write(text)
        return {}

    def _record(self) -> bytes:
        """Return the Tables, as JSON."""
        if self._began is None:
            # During an upgrade the member's agent may be older than this program.
            return _nothing("the agent of the member that was copied does not record tables")
        try:
            with self._asked(TABLES_PATH, self._began) as response:
                if response.status != http.client.OK:
                    return _nothing(str(_refused("tables", response)))
                return _until(response, time.monotonic() + TABLES_SECONDS)
        except (OSError, http.client.HTTPException) as error:
            return _nothing(f"the member that was copied did not record its tables: {error}")

    @contextlib.contextmanager
    def _asked(self, path: str, body: str = "") -> Iterator[http.client.HTTPResponse]:
        """Ask the member, again while it is busy or away, and yield its answer; raises OSError."""
        end = time.monotonic() + BUSY_SECONDS
        headers = {"Authorization": f"Bearer {self._token}"}
        while True:
            with contextlib.closing(self._connect()) as connection:
                try:
                    connection.request("POST", path, body.encode(), headers)
                except OSError:
                    if time.monotonic() > end:
                        raise
                else:
                    with connection.getresponse() as response:
                        if response.status not in _LATER or time.monotonic() > end:
                            yield response
                            return
            time.sleep(BUSY_PERIOD)

    def _connect(self) -> http.client.HTTPConnection:
        host, port = str(self._address.hostname), self._address.port
        return http.client.HTTPConnection(host, port, timeout=READ_TIMEOUT)


def _nothing(why: str) -> bytes:
    """Return a record without tables."""
    print(f"No tables are recorded: {why}", flush=True)
    return wire.dumps(Tables(server="", missing=shorten(why, _REASON), tables=())).encode()


def _until(response: http.client.HTTPResponse, end: float) -> bytes:
    """Return the whole body.

    Raises:
        TimeoutError: it took longer than until `end`, or is larger than any record.
    """
    text = bytearray()
    while chunk := response.read1(CHUNK):
        text += chunk
        if time.monotonic() > end:
            raise TimeoutError(f"it took longer than {TABLES_SECONDS:.0f} s")
        if len(text) > _LONGEST_RECORD:
            raise TimeoutError(f"the record is larger than {_LONGEST_RECORD >> 20} MiB")
    return bytes(text).lstrip(b"\n")


def _refused(step: str, response: http.client.HTTPResponse) -> StepFailed:
    body = response.read(500).decode(errors="replace")
    kind = SourceBrokeOff if response.status in _LATER else StepFailed
    return kind(step, f"the database member answered {response.status}: {body}")


def _copy(response: http.client.HTTPResponse, sink: Sink) -> str:
    if response.status != http.client.OK:
        raise _refused("database", response)
    finder = PositionFinder(sink)
    while chunk := response.read(CHUNK):
        finder.write(chunk)
    if finder.position is None:
        raise StepFailed("database", "the copy does not say where in the history it stands")
    return finder.position

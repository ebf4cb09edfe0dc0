"""A database member's binary logs, read over HTTP.

Runs inside role pods: standard library only.
"""

import contextlib
import http.client
import urllib.parse
from collections.abc import Iterator

from stackroles.agents import wire
from stackroles.agents.binlog.protocol import BINLOGS_PATH, BinlogFiles

# Until the member's disk has answered, and between two of its bytes.
_SECONDS = 30.0
_LONGEST_LIST = 1 << 20
_LONGEST_COMPLAINT = 1000


class Member:
    """One member.

    Args:
        url: of its agent.
        token: what it asks for.
    """

    def __init__(self, url: str, token: str) -> None:
        self.url, self._token = url, token
        address = urllib.parse.urlsplit(url)
        self.host, self._port = str(address.hostname), address.port

    def files(self) -> BinlogFiles:
        """Return which binary logs it has.

        Raises:
            OSError: it does not answer, or has none to give.
        """
        with self._asked(BINLOGS_PATH) as response:
            try:
                return wire.loads(BinlogFiles, _read(response, _LONGEST_LIST))
            except wire.WireError as error:
                raise OSError(f"{self.host} answers something else: {error}") from error

    def read(self, name: str, begin: int, end: int) -> "MemberFile":
        """Return a part of a binary log, to be read."""
        return MemberFile(self, name, begin, end)

    @contextlib.contextmanager
    def opened(self, name: str, offset: int, limit: int) -> Iterator[http.client.HTTPResponse]:
        """Ask for so many bytes of a binary log; raises OSError where it is not answered."""
        with self._asked(f"{BINLOGS_PATH}/{name}?offset={offset}&limit={limit}") as response:
            yield response

    @contextlib.contextmanager
    def _asked(self, path: str) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(self.host, self._port, timeout=_SECONDS)
        with contextlib.closing(connection):
            try:
                headers = {"Authorization": f"Bearer {self._token}"}
                connection.request("GET", path, headers=headers)
                response = connection.getresponse()
            except (http.client.HTTPException, OSError) as error:
                raise OSError(f"{self.host} does not answer: {error!r}") from error
            with response:
                if response.status != http.client.OK:
                    why = _read(response, _LONGEST_COMPLAINT).decode(errors="replace").strip()
                    raise OSError(f"{self.host} answered {response.status}: {why}")
                yield response


class MemberFile:
    """A part of a member's binary log, asked for in as many answers as it takes.

    Args:
        member: whose it is.
        name: the log's name.
        begin: the part's offset.
        end: the offset of its end.
    """

    def __init__(self, member: Member, name: str, begin: int, end: int) -> None:
        self._member, self._name, self._at, self._end = member, name, begin, end
        self._stack = contextlib.ExitStack()
        self._response: http.client.HTTPResponse | None = None

    def __enter__(self) -> "MemberFile":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the answer that is under way."""
        self._response = None
        self._stack.close()

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, none at the part's end.

        Raises:
            OSError: the member does not send what it has.
        """
        size = min(size, self._end - self._at)
        if size <= 0:
            return b""
        if self._response is not None and (data := _read(self._response, size)):
            self._at += len(data)
            return data
        # An answer has ended, which has a longest size.
        self.close()
        opened = self._member.opened(self._name, self._at, self._end - self._at)
        self._response = self._stack.enter_context(opened)
        data = _read(self._response, size)
        if not data:
            raise OSError(f"{self._member.host} has no byte {self._at} of {self._name}")
        self._at += len(data)
        return data


def _read(response: http.client.HTTPResponse, size: int) -> bytes:
    try:
        return response.read(size)
    except http.client.HTTPException as error:
        raise OSError(f"an answer broke off: {error!r}") from error

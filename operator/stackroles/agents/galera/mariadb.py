"""A MariaDB client of the few things an agent needs, with the standard library alone.

The client/server protocol is MariaDB's: handshake v10, authentication by `unix_socket` or
`mysql_native_password`, and text queries. Values come back as text.
"""

import hashlib
import socket
import struct
from collections.abc import Sequence
from types import TracebackType

Row = tuple[str | None, ...]

_LONG_PASSWORD, _PROTOCOL_41, _TRANSACTIONS = 0x1, 0x200, 0x2000
_SECURE_CONNECTION, _PLUGIN_AUTH = 0x8000, 0x80000
_CAPABILITIES = _LONG_PASSWORD | _PROTOCOL_41 | _TRANSACTIONS | _SECURE_CONNECTION | _PLUGIN_AUTH
_UTF8MB4_GENERAL_CI = 45
_MAX_PACKET = 1 << 24
_NATIVE = "mysql_native_password"
_OK, _EOF, _ERR = 0x00, 0xFE, 0xFF
_COM_QUERY = b"\x03"


class SqlError(Exception):
    """The server refused, or did not answer as the protocol says.

    Attributes:
        code: the server's error number, 0 when the failure is not the server's word.
    """

    def __init__(self, message: str, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


def native_hash(password: str) -> str:
    """Return a password as `mysql_native_password` stores it, so that SQL never carries it."""
    twice = hashlib.sha1(hashlib.sha1(password.encode()).digest()).hexdigest()  # noqa: S324
    return f"*{twice.upper()}"


def literal(text: str) -> str:
    """Return text as an SQL string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as a quoted SQL identifier."""
    return "`" + name.replace("`", "``") + "`"


def _scramble(password: str, salt: bytes) -> bytes:
    """Return the answer to the server's challenge; empty for an empty password."""
    if not password:
        return b""
    once = hashlib.sha1(password.encode()).digest()  # noqa: S324
    mask = hashlib.sha1(salt + hashlib.sha1(once).digest()).digest()  # noqa: S324
    return bytes(a ^ b for a, b in zip(once, mask, strict=True))


class Connection:
    """One session with a server; every call ends within the time-out or raises."""

    def __init__(self, sock: socket.socket, user: str, password: str) -> None:
        self._socket = sock
        self._sequence = 0
        try:
            self._login(user, password)
        except BaseException:
            sock.close()
            raise

    @classmethod
    def unix(cls, path: str, user: str, timeout: float) -> "Connection":
        """Open a session over the server's socket; the system user vouches for the account."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout)
        try:
            sock.connect(path)
        except OSError:
            sock.close()
            raise
        return cls(sock, user, "")

    @classmethod
    def tcp(cls, host: str, port: int, user: str, password: str, timeout: float) -> "Connection":
        """Open a session over the network."""
        return cls(socket.create_connection((host, port), timeout), user, password)

    def __enter__(self) -> "Connection":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the session."""
        self._socket.close()

    def query(self, sql: str) -> list[Row]:
        """Run one statement.

        Returns:
            Its rows; an empty list for a statement without a result.

        Raises:
            SqlError: the server refused it.
            OSError: the server did not answer in time, or is gone.
        """
        self._sequence = 0
        self._send(_COM_QUERY + sql.encode())
        first = self._receive()
        if first[0] == _OK:
            return []
        columns, _ = _length(first, 0)
        for _ in range(columns or 0):
            self._receive()
        self._receive()  # the end of the column definitions
        rows: list[Row] = []
        while not _is_end(packet := self._receive()):
            rows.append(_row(packet))
        return rows

    def _login(self, user: str, password: str) -> None:
        salt = _salt(self._receive())
        answer = _scramble(password, salt)
        self._send(
            struct.pack("<IIB23x", _CAPABILITIES, _MAX_PACKET, _UTF8MB4_GENERAL_CI)
            + user.encode()
            + b"\0"
            + bytes([len(answer)])
            + answer
            + _NATIVE.encode()
            + b"\0"
        )
        while (packet := self._receive())[0] != _OK:
            if packet[0] != _EOF:
                raise SqlError(f"unexpected answer {packet[0]:#x} to the login")
            plugin, _, challenge = packet[1:].partition(b"\0")
            native = plugin.decode() == _NATIVE
            self._send(_scramble(password, challenge[:20]) if native else b"")

    def _send(self, payload: bytes) -> None:
        header = struct.pack("<I", len(payload))[:3] + bytes([self._sequence])
        self._sequence = (self._sequence + 1) % 256
        self._socket.sendall(header + payload)

    def _receive(self) -> bytes:
        header = self._read(4)
        self._sequence = (header[3] + 1) % 256
        payload = self._read(int.from_bytes(header[:3], "little"))
        if not payload:
            raise SqlError("the server sent an empty packet")
        if payload[0] == _ERR:
            code = int.from_bytes(payload[1:3], "little")
            text = payload[3:].decode(errors="replace")
            raise SqlError(text[6:] if text.startswith("#") else text, code)
        return payload

    def _read(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            chunk = self._socket.recv(size - len(data))
            if not chunk:
                raise ConnectionError("the server closed the connection")
            data += chunk
        return bytes(data)


def _salt(greeting: bytes) -> bytes:
    """Return the challenge in the server's first packet."""
    if greeting[0] != 10:
        raise SqlError(f"protocol version {greeting[0]} is not known")
    rest = greeting[greeting.index(0, 1) + 1 :]
    # thread id (4), challenge (8), filler (1), capabilities, charset and status (7),
    # length of the challenge (1), reserved (10), rest of the challenge (12) and a zero
    return rest[4:12] + rest[31:43]


def _is_end(packet: bytes) -> bool:
    return packet[0] == _EOF and len(packet) < 9


def _length(data: bytes, at: int) -> tuple[int | None, int]:
    """Return a length-encoded number (None: SQL NULL) and where it ends."""
    first = data[at]
    if first < 0xFB:
        return first, at + 1
    if first == 0xFB:
        return None, at + 1
    size = {0xFC: 2, 0xFD: 3, 0xFE: 8}[first]
    return int.from_bytes(data[at + 1 : at + 1 + size], "little"), at + 1 + size


def _row(packet: bytes) -> Row:
    values: list[str | None] = []
    at = 0
    while at < len(packet):
        size, at = _length(packet, at)
        if size is None:
            values.append(None)
            continue
        values.append(packet[at : at + size].decode(errors="replace"))
        at += size
    return tuple(values)


def pairs(rows: Sequence[Row]) -> dict[str, str]:
    """Return the rows of SHOW STATUS or SHOW VARIABLES as name -> value."""
    return {str(row[0]): row[1] or "" for row in rows}

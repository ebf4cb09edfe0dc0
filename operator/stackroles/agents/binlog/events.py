"""Binary logs of MariaDB: their events, cut into transactions; pure but for what it reads from.

Runs inside role pods: standard library only. Format version 4, as the server writes it (MariaDB's
knowledge base, "Replication protocol"): an event has a header of 19 bytes, a body and a checksum.
A transaction is the events from its GTID event on. Events are passed on as they are read, so that
none has to fit into memory.
"""

import hashlib
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

MAGIC = b"\xfebin"
# The member's own transactions have domains from this one on (galera/settings.py).
FIRST_LOCAL_DOMAIN = 100
DOMAIN = 1
"""Of transactions of the cluster (wsrep_gtid_domain_id)."""

_HEADER = struct.Struct("<IBIIIH")
_CRC_BYTES = 4
_CHUNK = 1 << 18
# More than the fixed part of any event and the status variables of a statement have.
_HEAD_BYTES = 1 << 17
_FLAGS_AT, _IN_USE = 17, 0x1
_CREATED_AT = 19 + 2 + 50
_STANDALONE = 0x1
# A row event's body begins with the number of its table and flags, which members choose.
_ROWS_FIXED = 8
_STATEMENT = struct.Struct("<IIBHH")
_GTID = struct.Struct("<QIB")
_LISTED = struct.Struct("<IIQ")
_ENDS = frozenset({b"COMMIT", b"ROLLBACK"})


class _Type(IntEnum):
    """Types of events that are distinguished."""

    QUERY = 2
    FORMAT_DESCRIPTION = 15
    XID = 16
    EXECUTE_LOAD_QUERY = 18
    XA_PREPARE = 38
    GTID = 162
    GTID_LIST = 163
    START_ENCRYPTION = 164
    QUERY_COMPRESSED = 165


_STATEMENTS = frozenset({_Type.QUERY, _Type.QUERY_COMPRESSED, _Type.EXECUTE_LOAD_QUERY})
# WRITE, UPDATE and DELETE_ROWS, of both versions, and the same compressed.
_ROWS = frozenset({23, 24, 25, 30, 31, 32, *range(166, 172)})


class BinlogError(ValueError):
    """A binary log cannot be understood; says what is wrong."""


class Readable(Protocol):
    """What events are read from."""

    def read(self, size: int, /) -> bytes:
        """Return at most so many bytes, none at the end."""


@dataclass(frozen=True, slots=True)
class Format:
    """How the events of a binary log are written.

    Attributes:
        event: the format description event, without what differs from log to log.
        checksums: whether events have checksums.
    """

    event: bytes
    checksums: bool


@dataclass(frozen=True, slots=True)
class Gtid:
    """What names a transaction.

    Attributes:
        domain: the sequence it is of.
        number: its number in that sequence.
        time: when its last statement, or the commit itself, began; seconds since 1970.
        standalone: whether it is one statement that commits by itself.
    """

    domain: int
    number: int
    time: int
    standalone: bool


@dataclass(frozen=True, slots=True)
class Transaction:
    """A whole transaction.

    Attributes:
        gtid: its name.
        digest: of what it changes, hexadecimal; the same on all members of a cluster.
    """

    gtid: Gtid
    digest: str


@dataclass(frozen=True, slots=True)
class Head:
    """How a binary log begins.

    Attributes:
        format: of its events.
        position: number of the last transaction of the domain before it, 0 where there is none.
        identity: differs between logs, and stays while one is written.
    """

    format: Format
    position: int
    identity: bytes


class _Ended(Exception):  # noqa: N818 - what happened
    """The bytes end within an event, or before one."""


def parse_format(event: bytes) -> Format:
    """Return the format that an event describes; raises BinlogError where it does not."""
    length = len(event)
    if length < _CREATED_AT + 4 + 1 + 1 + _CRC_BYTES or event[19:21] != b"\x04\x00":
        raise BinlogError("it is no binary log of version 4")
    plain = bytearray(event)
    plain[_FLAGS_AT] &= ~_IN_USE
    _check(bytes(plain[-_CRC_BYTES:]), zlib.crc32(plain[:-_CRC_BYTES]), "format description")
    # Its time, its position and when the server was started: a server that applies it takes the
    # last for its source's restart.
    for start, size in ((0, 4), (13, 4), (_CREATED_AT, 4)):
        plain[start : start + size] = bytes(size)
    plain[-_CRC_BYTES:] = zlib.crc32(plain[:-_CRC_BYTES]).to_bytes(4, "little")
    algorithm = plain[-_CRC_BYTES - 1]
    if algorithm not in (0, 1):
        raise BinlogError(f"its events have checksums of the unknown kind {algorithm}")
    return Format(bytes(plain), algorithm == 1)


def read_head(source: Readable) -> Head | None:
    """Return how a binary log begins, None while that is not written.

    Raises:
        BinlogError: it is none, or encrypted.
    """
    try:
        if _exactly(source, len(MAGIC)) != MAGIC:
            raise BinlogError("it is no binary log, or encrypted: set encrypt_binlog to OFF")
        described = _whole(source)
        found = parse_format(described)
        listed = _whole(source)
    except _Ended:
        return None
    if listed[4] != _Type.GTID_LIST:
        raise BinlogError(
            f"its second event is of type {listed[4]}, not a list of GTIDs: set encrypt_binlog to "
            "OFF"
        )
    identity = bytearray(described)
    identity[_FLAGS_AT] = 0
    return Head(found, _listed_position(listed), bytes(identity[:-_CRC_BYTES]) + listed)


def _listed_position(event: bytes) -> int:
    count = int.from_bytes(event[19:23], "little") & 0xFFFFFFF
    entries = (_LISTED.unpack_from(event, 23 + n * _LISTED.size) for n in range(count))
    return max((number for domain, _, number in entries if domain == DOMAIN), default=0)


class Splitter:
    """Cuts events into transactions, and passes on those that are wanted.

    Args:
        source: bytes from where an event begins.
        format: how the events are written; one that they describe themselves takes its place.
        wanted: is asked for each transaction whether it is passed on; what it raises passes.
        write: takes the bytes of wanted ones, of the last of them maybe not to its end.

    Attributes:
        format: how the events are written.
        position: how many bytes of the source are done with: the rest is of a transaction that is
            not there to its end.
    """

    def __init__(
        self,
        source: Readable,
        format: Format,  # noqa: A002
        wanted: Callable[[Gtid], bool],
        write: Callable[[bytes], object],
    ) -> None:
        self._source, self.format = source, format
        self._wanted, self._write = wanted, write
        self.position = 0
        self._read_bytes = 0
        self._gtid: Gtid | None = None
        self._keeps = False
        self._digest = hashlib.sha256()

    def __iter__(self) -> Iterator[Transaction]:
        """Yield the transactions that are there to their end, wanted or not."""
        while True:
            try:
                ended = self._event()
            except _Ended:
                return
            if ended is not None:
                yield ended

    def _event(self) -> Transaction | None:
        """Read one event; return the transaction that it ends."""
        header = _exactly(self._source, _HEADER.size)
        time, kind, _, length, _, _ = _HEADER.unpack(header)
        size = length - _HEADER.size
        if size < 0:
            raise BinlogError(f"an event is {length} bytes long")
        head = _exactly(self._source, min(size, _HEAD_BYTES))
        if kind == _Type.FORMAT_DESCRIPTION:
            self._gtid, self.format = None, parse_format(header + head)
        elif kind == _Type.START_ENCRYPTION:
            raise BinlogError("it is encrypted: set encrypt_binlog to OFF")
        else:
            if kind == _Type.GTID:
                self._begin(time, head)
            self._body(header, kind, head, size)
        self._read_bytes += length
        return self._end(kind, head)

    def _begin(self, time: int, head: bytes) -> None:
        number, domain, flags = _GTID.unpack_from(head)
        gtid = Gtid(domain, number, time, bool(flags & _STANDALONE))
        # One that has no end is of a server that was killed: it is nobody's.
        self.position = self._read_bytes
        self._gtid, self._digest = gtid, hashlib.sha256()
        self._keeps = self._wanted(gtid)

    def _body(self, header: bytes, kind: int, head: bytes, size: int) -> None:
        """Pass an event on and take its digest as it comes; raises BinlogError where damaged."""
        checksum = _CRC_BYTES if self.format.checksums else 0
        crc = zlib.crc32(head[: size - checksum], zlib.crc32(header))
        self._pass(header)
        self._pass(head)
        begin = self._content_at(kind, head)
        if begin is not None:
            self._digest.update(b"%d %d " % (kind, size - begin))
            self._digest.update(head[begin : size - checksum])
        done, last = len(head), head[-_CRC_BYTES:]
        while done < size:
            chunk = _exactly(self._source, min(size - done, _CHUNK))
            content = chunk[: max(0, size - checksum - done)]
            crc = zlib.crc32(content, crc)
            if begin is not None:
                self._digest.update(content)
            self._pass(chunk)
            done, last = done + len(chunk), (last + chunk)[-_CRC_BYTES:]
        if checksum:
            _check(last, crc, f"event of type {kind}")

    def _content_at(self, kind: int, head: bytes) -> int | None:
        """Return where an event's body begins to be the same on all members; None: nowhere."""
        if self._gtid is None:
            return None
        if kind in _ROWS:
            return _ROWS_FIXED
        if kind in _STATEMENTS:
            return _STATEMENT.size + int(_STATEMENT.unpack_from(head)[4])
        return None

    def _pass(self, data: bytes) -> None:
        if self._gtid is not None and self._keeps:
            self._write(data)

    def _end(self, kind: int, head: bytes) -> Transaction | None:
        """Return the transaction that an event ends."""
        gtid = self._gtid
        if gtid is None:
            self.position = self._read_bytes
            return None
        if not self._ends(gtid, kind, head):
            return None
        self._gtid, self.position = None, self._read_bytes
        return Transaction(gtid, self._digest.hexdigest()[:32])

    def _ends(self, gtid: Gtid, kind: int, head: bytes) -> bool:
        if kind not in _STATEMENTS:
            return kind in (_Type.XID, _Type.XA_PREPARE)
        if gtid.standalone:
            return True
        _, _, schema, _, status = _STATEMENT.unpack_from(head)
        text = head[_STATEMENT.size + status + schema + 1 :]
        text = text[: len(text) - (_CRC_BYTES if self.format.checksums else 0)]
        return text in _ENDS or text.startswith((b"XA COMMIT ", b"XA ROLLBACK "))


class BinlogWriter:
    """Makes one binary log of transactions of several.

    Args:
        write: takes its bytes.
    """

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self.write = write
        self._format: Format | None = None

    def begin(self, format: Format) -> None:  # noqa: A002
        """Have the events that follow described; once for those that are written alike."""
        if self._format is None:
            self.write(MAGIC)
        if self._format != format:
            self.write(format.event)
        self._format = format


def _whole(source: Readable) -> bytes:
    header = _exactly(source, _HEADER.size)
    size = _HEADER.unpack(header)[3] - _HEADER.size
    if not 0 <= size <= _HEAD_BYTES:
        raise BinlogError(f"an event at its beginning is {size} bytes long")
    return header + _exactly(source, size)


def _exactly(source: Readable, size: int) -> bytes:
    data = source.read(size) if size else b""
    if len(data) == size:
        return data
    parts = [data]
    missing = size - len(data)
    while missing:
        data = source.read(missing)
        if not data:
            raise _Ended
        parts.append(data)
        missing -= len(data)
    return b"".join(parts)


def _check(found: bytes, crc: int, what: str) -> None:
    if int.from_bytes(found, "little") != crc:
        raise BinlogError(f"the checksum of its {what} is wrong")

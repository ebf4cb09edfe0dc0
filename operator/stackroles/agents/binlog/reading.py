"""Pieces as they are read back from a repository.

Runs inside role pods: standard library only.
"""

from collections.abc import Generator, Iterator

from stackroles.agents.backup.repository import Restic, StepFailed
from stackroles.agents.backup.streams import HashingSink
from stackroles.agents.binlog.events import MAGIC, BinlogError, Format, Readable, parse_format
from stackroles.agents.binlog.pieces import FILE, PART, Piece
from stackroles.agents.binlog.protocol import TRANSACTIONS_DAMAGED

_FIXED = 19
_LONGEST_FORMAT = 1 << 16


class ChunkSource:
    """What is read from chunks of any size.

    Args:
        chunks: none of them is empty.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def read(self, size: int) -> bytes:
        """Return at most so many bytes, none at the end."""
        if not self._rest:
            self._rest = memoryview(next(self._chunks, b""))
        data, self._rest = bytes(self._rest[:size]), self._rest[size:]
        return data

    def drain(self) -> None:
        """Read all that is left."""
        self._rest = memoryview(b"")
        for _ in self._chunks:
            pass


def proven(restic: Restic, piece: Piece) -> Generator[bytes, None, None]:
    """Yield what a piece's snapshot holds.

    Raises:
        StepFailed: it cannot be read; after its last byte, it is not what its tags say.
    """
    sink = HashingSink()
    chunks = restic.dump(PART, piece.snapshot, FILE, "--no-lock")
    try:
        for chunk in chunks:
            sink.write(chunk)
            yield chunk
    finally:
        chunks.close()
    if (sink.bytes, sink.sha256) != (piece.bytes, piece.sha256):
        raise StepFailed(
            PART,
            f"transactions {piece.first} to {piece.last} (snapshot {piece.snapshot[:8]}) read as "
            f"{sink.bytes} bytes with checksum {sink.sha256}, and were written as {piece.bytes} "
            f"with {piece.sha256}: the repository of binary logs is damaged, or another's data was "
            "put in its place; restore to a time before them, and run restic check --read-data",
            TRANSACTIONS_DAMAGED,
        )


def read_piece_format(source: Readable) -> Format:
    """Return the format at the beginning of a piece; raises BinlogError without one."""
    if _all(source, len(MAGIC)) != MAGIC:
        raise BinlogError("it is no binary log")
    header = _all(source, _FIXED)
    size = int.from_bytes(header[9:13], "little") - _FIXED
    if not 0 < size < _LONGEST_FORMAT:
        raise BinlogError("it begins with no format description")
    return parse_format(header + _all(source, size))


def _all(source: Readable, size: int) -> bytes:
    data = b""
    while len(data) < size and (more := source.read(size - len(data))):
        data += more
    return data

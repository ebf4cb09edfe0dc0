"""A piece before it is stored: on disk, and cut after a whole transaction.

Runs inside role pods: standard library only.
"""

import hashlib
import tempfile
from collections.abc import Iterator

_CHUNK = 1 << 20


class Spool:
    """A file without a name, which takes a piece."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self.bytes = 0

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, data: bytes) -> None:
        """Take bytes, which count once they are kept."""
        self._file.write(data)

    def keep(self) -> None:
        """Count all that was written."""
        self.bytes = self._file.tell()

    def cut(self) -> None:
        """Forget what was written and does not count."""
        self._file.seek(self.bytes)
        self._file.truncate()

    def clear(self) -> None:
        """Forget everything."""
        self.bytes = 0
        self.cut()

    def chunks(self) -> Iterator[bytes]:
        """Yield what counts; nothing may be written meanwhile."""
        self._file.seek(0)
        left = self.bytes
        while left and (chunk := self._file.read(min(left, _CHUNK))):
            left -= len(chunk)
            yield chunk
        self._file.seek(self.bytes)

    def sha256(self) -> str:
        """Return the checksum of what counts, hexadecimal."""
        found = hashlib.sha256()
        for chunk in self.chunks():
            found.update(chunk)
        return found.hexdigest()

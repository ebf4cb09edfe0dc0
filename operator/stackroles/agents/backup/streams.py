"""What bytes of a recovery set are written into, and counted and hashed by.

Runs inside role pods: standard library only.
"""

import hashlib
from collections.abc import Callable
from typing import Protocol


class Sink(Protocol):
    """What a part writes into."""

    def write(self, data: bytes, /) -> int:
        """Take some bytes and return how many."""


class HashingSink:
    """Passes bytes on and counts and hashes them.

    Args:
        target: takes the bytes, if any.
        count: is given the size of each piece.
    """

    def __init__(
        self, target: Sink | None = None, count: Callable[[int], None] = lambda _: None
    ) -> None:
        self._target, self._count = target, count
        self._hash = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        """Hash, count and pass on."""
        self._hash.update(data)
        self.bytes += len(data)
        if self._target is not None:
            self._target.write(data)
        self._count(len(data))
        return len(data)

    @property
    def sha256(self) -> str:
        """The checksum so far, hexadecimal."""
        return self._hash.hexdigest()

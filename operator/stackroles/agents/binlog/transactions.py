"""What a repository of binary logs has for a restore: which transactions, and these as one log.

Runs inside role pods: standard library only. No reading takes a lock or writes, so that the
repository may be mounted read-only.
"""

import contextlib
import os
from collections.abc import Callable
from typing import NoReturn

from stackroles.agents.backup.keys import identity_of
from stackroles.agents.backup.progress import Progress
from stackroles.agents.backup.repository import Restic, StepFailed
from stackroles.agents.binlog.events import BinlogError, BinlogWriter, Gtid, Splitter
from stackroles.agents.binlog.pieces import (
    PART,
    ForgedPiece,
    Piece,
    Segment,
    holding,
    is_piece,
    newest,
    piece_of,
    segments,
)
from stackroles.agents.binlog.protocol import (
    TRANSACTIONS_DAMAGED,
    TRANSACTIONS_FORGED,
    TRANSACTIONS_MISSING,
    Coverage,
    environment_below,
)
from stackroles.agents.binlog.reading import ChunkSource, proven, read_piece_format

Meanwhile = Callable[[], None]
_BUFFER_BYTES = 1 << 18


def open_binlogs(meanwhile: Meanwhile) -> Restic:
    """Return the repository of binary logs below the one in restic's environment.

    Args:
        meanwhile: see `Restic`.
    """
    progress = Progress(write=lambda _: None)
    environment = environment_below(os.environ)
    return Restic(progress=progress, meanwhile=meanwhile, environment=environment)


class Transactions:
    """The stored transactions of a policy.

    Args:
        policy: the BackupPolicy.
        repository: opens the repository of binary logs for one request.
    """

    def __init__(
        self, policy: str, repository: Callable[[Meanwhile], Restic] = open_binlogs
    ) -> None:
        self._policy, self._repository = policy, repository

    def coverage(self, history: str, meanwhile: Meanwhile) -> Coverage:
        """Return what is stored of a history without a gap, the newest of it.

        Raises:
            StepFailed: it cannot be read at present, or is not proven.
        """
        pieces, forged = self._pieces(self._repository(meanwhile))
        found = newest(pieces, history)
        if found is None and forged:
            _refuse_forged(forged)
        return found.coverage() if found else Coverage()

    def send(
        self,
        history: str,
        after: int,
        until: int,
        write: Callable[[bytes], object],
        meanwhile: Meanwhile,
    ) -> None:
        """Write one binary log of what follows a transaction, to the first one from `until` on.

        Args:
            history: whose transactions.
            after: number of the transaction before them.
            until: seconds since 1970.
            write: takes the log; nothing has been written where less than asked for is stored.
            meanwhile: see `Restic`.

        Raises:
            StepFailed: not all of it is stored, or can be read.
        """
        restic = self._repository(meanwhile)
        pieces, forged = self._pieces(restic)
        found = holding(pieces, history, after)
        if found is None or found.until < until:
            if forged:
                _refuse_forged(forged)
            _refuse_missing(found, pieces, history, after, until)
        cut = _Cut(after, until, write)
        for piece in found.pieces:
            if piece.last > cut.last and not cut.ended:
                _cut_piece(restic, piece, cut)
        if not cut.ended and cut.last < found.last:
            _refuse_missing(None, pieces, history, cut.last, until)
        cut.flush()

    def _pieces(self, restic: Restic) -> tuple[tuple[Piece, ...], str]:
        """Return the policy's pieces, and what is wrong with one that is not proven."""
        config = restic.config()
        if config is None:
            return (), ""
        key = identity_of(restic, config)
        found, forged = [], ""
        for snapshot in restic.snapshots(PART):
            if is_piece(snapshot, self._policy):
                try:
                    found.append(piece_of(snapshot, key))
                except ForgedPiece as error:
                    forged = str(error)
        return tuple(found), forged


class _Cut:
    """The part of a binary log that is asked for.

    Args:
        after: number of the transaction before it.
        until: time of the first one that is not of it.
        write: takes its bytes.
    """

    def __init__(self, after: int, until: int, write: Callable[[bytes], object]) -> None:
        self.last, self._until, self._target = after, until, write
        self.ended = False
        self._buffer = bytearray()
        self._writer = BinlogWriter(self._write)
        self._splitter: Splitter | None = None

    def take(self, source: ChunkSource) -> None:
        """Take what a piece has of it; raises BinlogError where that is none."""
        splitter = Splitter(source, read_piece_format(source), self._wanted, self._write)
        self._splitter = splitter
        for transaction in splitter:
            if self.ended:
                return
            self.last = max(self.last, transaction.gtid.number)

    def flush(self) -> None:
        """Pass on what is left."""
        if self._buffer:
            self._target(bytes(self._buffer))
            self._buffer.clear()

    def _wanted(self, gtid: Gtid) -> bool:
        if gtid.number <= self.last or self.ended:
            return False
        # All that follow were committed later, whatever the clocks of their writers were.
        self.ended = gtid.time >= self._until
        if self.ended:
            return False
        assert self._splitter is not None  # noqa: S101 - it asks
        self._writer.begin(self._splitter.format)
        return True

    def _write(self, data: bytes) -> None:
        self._buffer += data
        if len(self._buffer) >= _BUFFER_BYTES:
            self.flush()


def _cut_piece(restic: Restic, piece: Piece, cut: _Cut) -> None:
    """Take what a piece has of a cut; it is read to its end, which proves it."""
    with contextlib.closing(proven(restic, piece)) as chunks:
        source = ChunkSource(chunks)
        try:
            cut.take(source)
        except BinlogError as error:
            raise StepFailed(
                PART,
                f"transactions {piece.first} to {piece.last} (snapshot {piece.snapshot[:8]}) are "
                f"no binary log that this version understands: {error}",
                TRANSACTIONS_DAMAGED,
            ) from error
        source.drain()


def _refuse_forged(why: str) -> NoReturn:
    raise StepFailed(
        PART,
        f"not all transactions that were asked for are proven: {why}. Restore a recovery set "
        "without a point in time, and find out who else writes into the repository",
        TRANSACTIONS_FORGED,
    )


def _refuse_missing(
    found: Segment | None, pieces: tuple[Piece, ...], history: str, after: int, until: int
) -> NoReturn:
    if found is not None:
        what = (
            f"transactions are stored up to {found.until} (seconds since 1970), and {until} was "
            "asked for: choose an earlier time"
        )
    else:
        stored = ", ".join(
            f"{s.first} to {s.last}" for s in segments(pieces) if s.history == history
        )
        what = (
            f"the transactions that follow number {after} of history {history} are not stored "
            f"(stored of it: {stored or 'none'}): choose another recovery set, or restore this "
            "one without a point in time"
        )
    raise StepFailed(PART, what, TRANSACTIONS_MISSING)

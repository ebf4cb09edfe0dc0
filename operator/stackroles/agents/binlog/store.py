"""The repository of a policy's binary logs: pieces are stored, merged and forgotten.

Runs inside role pods: standard library only. It is below the policy's own and apart from it: a run
of the policy removes the locks it finds and prunes, which must not meet a piece under way. Whoever
writes it is alone with it, as the operator sees to.
"""

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from stackroles.agents.backup.keys import identity_of
from stackroles.agents.backup.manifest import Identity
from stackroles.agents.backup.repository import Part, Restic, StepFailed
from stackroles.agents.backup.streams import Sink
from stackroles.agents.binlog.events import BinlogError, BinlogWriter, Gtid, Splitter
from stackroles.agents.binlog.pieces import (
    FILE,
    PART,
    ForgedPiece,
    Piece,
    is_piece,
    piece_of,
    set_times,
    tags_of,
)
from stackroles.agents.binlog.reading import ChunkSource, proven, read_piece_format
from stackroles.agents.binlog.spool import Spool


class PieceStore:
    """The repository with the pieces of one policy.

    Args:
        restic: the repository of binary logs.
        policy: the BackupPolicy.
        sets: the policy's own repository, which is only read.
    """

    def __init__(self, restic: Restic, policy: str, sets: Restic) -> None:
        self._restic, self._policy, self._sets = restic, policy, sets
        self._key: Identity | None = None
        self.pieces: tuple[Piece, ...] = ()
        self._forgotten = 0

    def load(self) -> None:
        """Find out what is stored, and remove what a killed predecessor left.

        Raises:
            StepFailed: the repository does not answer, or a piece in it is not a shipper's.
        """
        if not self._restic.open():
            # Nobody else writes here, so that all locks are a dead one's.
            self._restic.unlock()
        key = identity_of(self._restic)
        found = []
        for snapshot in self._restic.all_snapshots("pieces"):
            if is_piece(snapshot, self._policy):
                try:
                    found.append(piece_of(snapshot, key))
                except ForgedPiece as error:
                    # Without it there may be a gap, which is reported as such.
                    print(f"It is left out: {error}", flush=True)
        self._key, self.pieces = key, tuple(found)

    def save(self, piece: Piece, spool: Spool) -> Piece:
        """Store a piece; return it as it is known from now on.

        Args:
            piece: what is known of it besides its size and checksum.
            spool: holds it.

        Raises:
            StepFailed: it may be stored or not: `load` says.
        """
        assert self._key is not None  # noqa: S101 - `load` came first
        facts = replace(piece, bytes=spool.bytes, sha256=spool.sha256())

        def write(sink: Sink) -> Mapping[str, str]:
            for chunk in spool.chunks():
                sink.write(chunk)
            return {}

        step, _, _ = self._restic.save(Part(PART, FILE, write, tags_of(facts, self._key)))
        if step.sha256 != facts.sha256:
            raise StepFailed(PART, "the piece changed on this pod's disk while it was stored")
        stored = replace(facts, snapshot=step.snapshot or "")
        self.pieces = (*self.pieces, stored)
        return stored

    def merge(self, group: Sequence[Piece]) -> Piece:
        """Make one piece of several that continue each other.

        It is stored before the others are forgotten: what breaks off leaves pieces that others
        hold as a whole.

        Raises:
            StepFailed: the repository does not answer.
        """
        with Spool() as spool:
            last = group[0].first - 1
            writer = BinlogWriter(spool.write)
            for piece in group:
                last = self._append(piece, last, writer, spool)
            merged = replace(
                group[-1],
                level=group[0].level + 1,
                first=group[0].first,
                last=last,
                since=group[0].since,
                until=max(piece.until for piece in group),
            )
            if last != max(piece.last for piece in group):
                raise StepFailed(PART, f"pieces up to {merged.last} end with {last}")
            stored = self.save(merged, spool)
        self.forget(group)
        return stored

    def _append(self, piece: Piece, last: int, writer: BinlogWriter, spool: Spool) -> int:
        """Append what a piece has after a transaction; return the last one's number."""

        def wanted(gtid: Gtid) -> bool:
            if gtid.number > last:
                writer.begin(splitter.format)
                return True
            return False

        with contextlib.closing(proven(self._restic, piece)) as chunks:
            source = ChunkSource(chunks)
            try:
                head = read_piece_format(source)
                writer.begin(head)
                splitter = Splitter(source, head, wanted, spool.write)
                for transaction in splitter:
                    if transaction.gtid.number > last:
                        last = transaction.gtid.number
                        spool.keep()
            except BinlogError as error:
                raise StepFailed(PART, f"piece {piece.snapshot[:8]}: {error}") from error
        return last

    def forget(self, pieces: Iterable[Piece]) -> None:
        """Remove pieces; what they take goes with the next `prune`."""
        ids = [piece.snapshot for piece in pieces]
        if ids:
            self._restic.run("pieces", "forget", *ids)
            self.pieces = tuple(p for p in self.pieces if p.snapshot not in ids)
            self._forgotten += len(ids)

    def prune(self) -> None:
        """Remove the data that no piece has any more."""
        if self._forgotten:
            self._restic.forget("pieces", ())
            self._forgotten = 0

    def set_times(self) -> tuple[float, ...]:
        """Return when the sets of the policy that have a manifest were begun, seconds since 1970.

        Raises:
            StepFailed: the policy's repository does not answer.
        """
        if not self._sets.exists():
            return ()
        found = set_times(self._sets.snapshots("sets"), self._policy)
        return tuple(min(map(_seconds, times)) for times in found.values())


def _seconds(time: str) -> float:
    try:
        return datetime.fromisoformat(time).astimezone(UTC).timestamp()
    except (ValueError, OverflowError) as error:
        raise StepFailed("sets", f"a snapshot has the time {time}, which is none") from error

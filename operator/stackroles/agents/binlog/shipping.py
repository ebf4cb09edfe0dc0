"""Rounds of the shipping of binary logs: what is new is stored, and the repository kept in order.

Runs inside role pods: standard library only. What is stored is known from the repository at the
start and after every failure of it: a piece may be stored although its answer was lost. Nothing
depends on what a predecessor had in its memory.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from stackroles.agents.backup.repository import StepFailed
from stackroles.agents.binlog.events import BinlogError
from stackroles.agents.binlog.follow import (
    Batch,
    Behind,
    Cursor,
    Mark,
    Missing,
    collect,
)
from stackroles.agents.binlog.member import Member
from stackroles.agents.binlog.pieces import (
    PIECE_BYTES,
    Piece,
    Segment,
    follows_gap,
    newest,
    outdated,
    redundant,
    to_merge,
)
from stackroles.agents.binlog.protocol import BinlogFiles, Coverage, ShipperReport, ShippingState
from stackroles.agents.binlog.spool import Spool
from stackroles.agents.binlog.store import PieceStore

# A time without transactions is stored as well, so often.
QUIET_SECONDS = 60
# How long a member that does not answer is waited for where no other one has what continues.
PATIENCE_SECONDS = 600.0
# How often it is looked which pieces nothing needs any more.
RETENTION_SECONDS = 6 * 3600.0
# How often it is looked whether a set was taken after a gap.
GAP_SECONDS = 30.0
_NEVER = float("-inf")
_GAP = (
    "transactions are missing between those that are stored, and no set was begun after them: take "
    "a Backup"
)


@dataclass
class _Chain:
    """The chain that is continued.

    Attributes:
        number: of the chain.
        history: that it is of.
        mark: its last transaction.
        until: time up to which it is stored; 0 before anything is.
        whole: whether all that the member had was stored with the last piece.
    """

    number: int
    history: str
    mark: Mark
    until: int = 0
    whole: bool = True


class Shipping:
    """Ships the binary logs of a cloud.

    Args:
        policy: the BackupPolicy.
        members: the preferred one first.
        store: where pieces are.
        wall: seconds since 1970.
        clock: seconds that never go back.
        piece_bytes: a piece of so many ends with its transaction.
    """

    def __init__(
        self,
        policy: str,
        members: Sequence[Member],
        store: PieceStore,
        wall: Callable[[], float] = time.time,
        clock: Callable[[], float] = time.monotonic,
        *,
        piece_bytes: int = PIECE_BYTES,
    ) -> None:
        self._policy, self._members, self._store = policy, tuple(members), store
        self._wall, self._clock, self._piece_bytes = wall, clock, piece_bytes
        self._followed = self._members[0]
        self._loaded = False
        self._chain: _Chain | None = None
        self._cursor: Cursor | None = None
        self._retained = self._gap_looked = _NEVER
        self._stuck: float | None = None
        self._gap = ""
        self._state, self._message = ShippingState.STARTING, ""
        self._lag, self._bytes = 0.0, 0

    def report(self) -> ShipperReport:
        """Return how it is; the longest lag begins anew with each report."""
        found = newest(self._store.pieces)
        lag, self._lag = self._lag, 0.0
        return ShipperReport(
            state=self._state,
            message=self._message,
            member=self._followed.host,
            coverage=found.coverage() if found else Coverage(),
            lag=round(lag, 3),
            bytes=self._bytes,
            pieces=len(self._store.pieces),
        )

    def round(self) -> None:
        """Store what is new, and keep the repository in order; failures are reported."""
        try:
            self._load()
            why = self._ship()
            self._keep_order()
            self._look_for_set()
        except StepFailed as error:
            # A piece may be stored all the same.
            self._loaded = False
            why = f"the repository of binary logs: {error}"
        except OSError as error:
            why = f"this pod's disk: {error}"
        self._tell(why)

    def _tell(self, why: str) -> None:
        state = ShippingState.SHIPPING
        if self._gap:
            state, why = ShippingState.GAP, f"{self._gap}{f' ({why})' if why else ''}"
        elif why:
            state = ShippingState.WAITING
        if (state, why) != (self._state, self._message):
            print(f"{state}: {why or 'all is well'}", flush=True)
        self._state, self._message = state, why

    # -- what is stored --------------------------------------------------------------------------

    def _load(self) -> None:
        if self._loaded:
            return
        self._store.load()
        self._store.forget(redundant(self._store.pieces))
        found = newest(self._store.pieces)
        self._chain = _chain_of(found) if found else None
        self._cursor = None
        self._gap_looked = _NEVER
        self._loaded = True

    def _keep_order(self) -> None:
        if group := to_merge(self._store.pieces):
            self._store.merge(group)
        now = self._clock()
        if now - self._retained >= RETENTION_SECONDS:
            begun = self._store.set_times()
            self._store.forget(outdated(self._store.pieces, begun, self._wall()))
            self._store.prune()
            self._retained = now

    def _look_for_set(self) -> None:
        """Note whether a set is missing that was begun after the last gap."""
        now = self._clock()
        if not (self._chain and self._chain.until) or now - self._gap_looked < GAP_SECONDS:
            return
        if not follows_gap(self._store.pieces, ()):
            self._gap = ""
        elif self._gap or self._gap_looked == _NEVER:
            missing = follows_gap(self._store.pieces, self._store.set_times())
            self._gap = (self._gap or _GAP) if missing else ""
        self._gap_looked = now

    # -- what members have -----------------------------------------------------------------------

    def _ship(self) -> str:
        """Store what is new; return why it cannot be had, "" where it could."""
        problems: list[str] = []
        missing: list[Missing] = []
        away = False
        for member in self._in_order():
            try:
                self._follow(member)
            except (OSError, BinlogError, Behind) as error:
                away = away or isinstance(error, OSError)
                problems.append(f"{error}")
            except Missing as error:
                missing.append(error)
                problems.append(f"{error}")
            else:
                self._followed, self._stuck = member, None
                return ""
        why = "; ".join(dict.fromkeys(problems))
        if missing and self._give_up(missing, away=away, why=why):
            return ""
        return why

    def _in_order(self) -> Iterator[Member]:
        yield self._followed
        yield from (member for member in self._members if member is not self._followed)

    def _follow(self, member: Member) -> None:
        """Store what a member has that is new; raises as `collect`."""
        while True:
            files = member.files()
            chain = self._chain_for(files)
            with Spool() as spool:
                batch = self._collect(member, files, chain, spool)
                self._keep(batch, files, chain, spool)
            if batch.complete:
                return

    def _collect(self, member: Member, files: BinlogFiles, chain: _Chain, spool: Spool) -> Batch:
        limit = self._piece_bytes
        try:
            return collect(member, files, chain.mark, self._cursor, spool=spool, limit=limit)
        except BinlogError:
            if self._cursor is None:
                raise
            # The log at the cursor may be another one of the same name.
            self._cursor = None
            spool.clear()
            return collect(member, files, chain.mark, None, spool=spool, limit=limit)

    def _chain_for(self, files: BinlogFiles) -> _Chain:
        """Return the chain that a member's history continues, maybe a new one."""
        chain = self._chain
        if chain is None or chain.history != files.history:
            number = max((piece.chain for piece in self._store.pieces), default=0)
            chain = _Chain(number + 1, files.history, Mark(None))
            self._chain, self._cursor, self._gap = chain, None, ""
        return chain

    def _keep(self, batch: Batch, files: BinlogFiles, chain: _Chain, spool: Spool) -> None:
        """Store a batch, unless it says nothing new."""
        epoch = int(files.epoch)
        # A clock that is behind another's takes nothing back.
        until = max(chain.until, epoch if batch.complete else min(batch.newest, epoch))
        due = chain.until + (QUIET_SECONDS if chain.whole else 1)
        if batch.last >= batch.first or until >= due:
            piece = Piece(
                policy=self._policy,
                history=chain.history,
                chain=chain.number,
                first=batch.first,
                last=batch.last,
                since=batch.since or until,
                until=until,
                digest=batch.digest,
                bytes=0,
                sha256="",
            )
            self._store.save(piece, spool)
            self._note_lag(batch, chain)
            self._bytes += spool.bytes
            chain.mark, chain.until = Mark(batch.last, batch.digest), until
            chain.whole = batch.complete
        self._cursor = batch.cursor

    def _note_lag(self, batch: Batch, chain: _Chain) -> None:
        # A new chain begins with what was never to be stored in time; of several pieces at once
        # the first has the longest.
        if batch.since and chain.until and chain.whole:
            self._lag = max(self._lag, self._wall() - batch.since)

    def _give_up(self, missing: Sequence[Missing], *, away: bool, why: str) -> bool:
        """Begin a new chain once no member continues what is stored; return whether it did.

        Args:
            missing: what members lack.
            away: whether a member does not answer, which may have it.
            why: all that is known.
        """
        now = self._clock()
        self._stuck = now if self._stuck is None else self._stuck
        if away and now - self._stuck < PATIENCE_SECONDS:
            return False
        chain = self._chain
        assert chain is not None  # noqa: S101 - it is what is not continued
        number = max((piece.chain for piece in self._store.pieces), default=0) + 1
        resume = min(error.resume for error in missing)
        self._chain = _Chain(number, chain.history, Mark(resume))
        self._cursor, self._stuck = None, None
        self._gap = f"{why}. What was stored before cannot be continued: take a Backup"
        return True


def _chain_of(segment: Segment) -> _Chain:
    last = max(segment.pieces, key=lambda piece: (piece.last, piece.until))
    return _Chain(last.chain, last.history, Mark(segment.last, last.digest), segment.until)

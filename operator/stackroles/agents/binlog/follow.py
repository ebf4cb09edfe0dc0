"""What a member's binary logs hold beyond what is stored.

Runs inside role pods: standard library only. The logs of members differ, their transactions and the
numbers of these do not: where the last stored transaction is in a member's logs is found by its
number, and whether it is the same one by the digest of what it changes. What follows it there is
what follows, whatever its number: a statement that fails on all members takes one and is in no log.
"""

import contextlib
from dataclasses import dataclass, replace
from typing import Protocol

from stackroles.agents.binlog.events import (
    DOMAIN,
    FIRST_LOCAL_DOMAIN,
    MAGIC,
    BinlogError,
    BinlogWriter,
    Gtid,
    Head,
    Readable,
    Splitter,
    Transaction,
    read_head,
)
from stackroles.agents.binlog.pieces import PIECE_BYTES
from stackroles.agents.binlog.protocol import BinlogFiles
from stackroles.agents.binlog.spool import Spool

# The beginning of a log has it in less.
_HEAD_BYTES = 1 << 16


class Part(Readable, Protocol):
    """A part of a log, which has to be closed."""

    def close(self) -> None:
        """Read no more of it."""


class Logs(Protocol):
    """A member's binary logs."""

    @property
    def host(self) -> str:
        """The member."""

    def read(self, name: str, begin: int, end: int) -> Part:
        """Return a part of one."""


class Missing(Exception):  # noqa: N818 - what happened
    """A member has other transactions than those that would continue what is stored.

    Attributes:
        resume: after which number a new chain can begin with it.
    """

    def __init__(self, message: str, resume: int) -> None:
        super().__init__(message)
        self.resume = resume


class Behind(Exception):  # noqa: N818 - what happened
    """A member does not have yet what is stored."""


@dataclass(frozen=True, slots=True)
class Mark:
    """The last stored transaction.

    Attributes:
        number: its number; None where a chain begins with the oldest that a member has.
        digest: of what it changes; empty where it is not known.
    """

    number: int | None
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Up to where a member's logs are stored.

    Attributes:
        host: the member.
        name: the log.
        offset: its first byte that is not stored.
        head: how the log begins.
        reached: whether the last stored transaction was found in this member's logs, or before.
    """

    host: str
    name: str
    offset: int
    head: Head
    reached: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Transactions that are in a spool, and are to be stored.

    Attributes:
        first, last: their numbers; `last` is before `first` where there are none.
        since: time of the first one, 0 without any.
        newest: the highest time of any, 0 without any.
        digest: of the last one, or what was known of the one before.
        cursor: up to where they come from.
        complete: whether they are all that the member had when it was asked.
    """

    first: int
    last: int
    since: int
    newest: int
    digest: str
    cursor: Cursor
    complete: bool


def collect(
    logs: Logs,
    files: BinlogFiles,
    mark: Mark,
    cursor: Cursor | None,
    *,
    spool: Spool,
    limit: int = PIECE_BYTES,
) -> Batch:
    """Fill a spool with a piece of what follows the last stored transaction.

    Args:
        logs: the member's.
        files: what it has.
        mark: the last stored transaction.
        cursor: where it is in the logs, where that is known.
        spool: takes the piece; it is empty.
        limit: a piece of so many bytes ends with its transaction.

    Raises:
        OSError: the member does not answer.
        BinlogError: a log cannot be understood.
        Missing: the member's transactions do not continue what is stored.
        Behind: it lacks what is stored.
    """
    if cursor is None or not _holds(logs, files, cursor):
        cursor = _find(logs, files, mark)
    number = cursor.head.position if mark.number is None else mark.number
    collection = _Collection(logs, files, cursor, spool, limit)
    collection.begin(number, mark.digest)
    return collection.batch()


def _head(logs: Logs, name: str) -> Head | None:
    with contextlib.closing(logs.read(name, 0, _HEAD_BYTES)) as source:
        return read_head(source)


def _holds(logs: Logs, files: BinlogFiles, cursor: Cursor) -> bool:
    """Return whether a cursor is of a log that the member still has: names come again."""
    sizes = {file.name: file.size for file in files.files}
    if cursor.host != logs.host or sizes.get(cursor.name, -1) < cursor.offset:
        return False
    found = _head(logs, cursor.name)
    return found is not None and found.identity == cursor.head.identity


def _find(logs: Logs, files: BinlogFiles, mark: Mark) -> Cursor:
    """Return the beginning of the log that has the last stored transaction, or what follows it."""
    oldest: Cursor | None = None
    following: Cursor | None = None
    for file in reversed(files.files):
        head = _head(logs, file.name)
        if head is None:
            continue
        reached = mark.number is None or head.position >= mark.number
        oldest = Cursor(logs.host, file.name, len(MAGIC), head, reached)
        if mark.number is None or head.position > mark.number:
            continue
        if head.position < mark.number:
            # It has the transaction itself, which can be compared.
            return oldest
        following = oldest
    if following is not None:
        return following
    if oldest is None:
        raise Behind(f"{logs.host} has no binary log yet")
    if mark.number is None:
        return oldest
    raise Missing(
        f"{logs.host} has transactions from {oldest.head.position + 1} on, and {mark.number} was "
        "the last that was stored",
        oldest.head.position,
    )


class _Collection:
    """Transactions on their way into a spool."""

    def __init__(
        self, logs: Logs, files: BinlogFiles, cursor: Cursor, spool: Spool, limit: int
    ) -> None:
        self._logs, self._files, self._spool, self._limit = logs, files, spool, limit
        self._cursor = cursor
        self._mark = self._last = self._since = self._newest = 0
        self._known_digest = self._digest = ""
        self._writer = BinlogWriter(spool.write)
        self._splitter: Splitter | None = None

    def begin(self, number: int, digest: str) -> None:
        """Begin a piece that follows a transaction."""
        self._mark = self._last = number
        self._known_digest = self._digest = digest
        self._writer.begin(self._cursor.head.format)
        self._spool.keep()

    def batch(self) -> Batch:
        """Return what was collected; raises as `collect`."""
        complete = True
        try:
            while self._read_log():
                if (following := self._next_log()) is None:
                    break
                self._cursor = following
            else:
                complete = False
        except Missing:
            # What comes before the gap is stored first.
            if self._last == self._mark:
                raise
            complete = False
        finally:
            self._spool.cut()
        if complete and not self._cursor.reached:
            raise Behind(
                f"{self._logs.host} has not got transaction {self._mark} yet, which is stored"
            )
        return Batch(
            first=self._mark + 1,
            last=self._last,
            since=self._since,
            newest=self._newest,
            digest=self._digest,
            cursor=self._cursor,
            complete=complete,
        )

    def _read_log(self) -> bool:
        """Read the log at the cursor; return whether it was read to its end."""
        size = {file.name: file.size for file in self._files.files}[self._cursor.name]
        begin = self._cursor.offset
        part = self._logs.read(self._cursor.name, begin, size)
        with contextlib.closing(part):
            splitter = Splitter(part, self._cursor.head.format, self._wanted, self._spool.write)
            self._splitter = splitter
            for transaction in splitter:
                self._take(transaction)
                self._cursor = replace(self._cursor, offset=begin + splitter.position)
                if self._spool.bytes >= self._limit:
                    return False
        self._cursor = replace(self._cursor, offset=begin + splitter.position)
        return True

    def _next_log(self) -> Cursor | None:
        names = [file.name for file in self._files.files]
        later = names[names.index(self._cursor.name) + 1 :]
        if not later or (head := _head(self._logs, later[0])) is None:
            return None
        if head.position > self._last:
            raise Missing(
                f"{self._logs.host} has no transactions from {self._last + 1} to {head.position}",
                head.position,
            )
        reached = self._cursor.reached or head.position == self._last
        return Cursor(self._logs.host, later[0], len(MAGIC), head, reached)

    def _wanted(self, gtid: Gtid) -> bool:
        if gtid.domain != DOMAIN:
            if gtid.domain < FIRST_LOCAL_DOMAIN:
                raise BinlogError(
                    f"transactions have the domain {gtid.domain}, not {DOMAIN}: leave the option "
                    "wsrep_gtid_domain_id as it is"
                )
            return False
        # A killed server may log a transaction twice.
        if gtid.number <= self._last:
            return False
        # Numbers are left out in all logs alike: of a statement that failed on all members. What
        # follows in one log is what follows.
        if not self._cursor.reached:
            raise Missing(
                f"{self._logs.host} has transaction {gtid.number} and not {self._mark}, which was "
                "the last that was stored",
                gtid.number - 1,
            )
        assert self._splitter is not None  # noqa: S101 - it asks
        # What a killed server left of one that it did not commit.
        self._spool.cut()
        self._writer.begin(self._splitter.format)
        self._spool.keep()
        return True

    def _take(self, transaction: Transaction) -> None:
        """Count a transaction that is there to its end."""
        gtid = transaction.gtid
        if gtid.domain != DOMAIN:
            return
        if gtid.number == self._mark:
            self._compare(transaction)
        if gtid.number == self._mark and not self._cursor.reached:
            self._cursor = replace(self._cursor, reached=True)
        if gtid.number <= self._last:
            return
        self._spool.keep()
        self._last, self._digest = gtid.number, transaction.digest
        self._since = self._since or gtid.time
        self._newest = max(self._newest, gtid.time)

    def _compare(self, transaction: Transaction) -> None:
        if self._known_digest and transaction.digest != self._known_digest:
            raise Missing(
                f"transaction {self._mark} of {self._logs.host} is another than the one that was "
                "stored: the history went on without it",
                # The first one past it might differ from all that are stored.
                self._mark + 1,
            )

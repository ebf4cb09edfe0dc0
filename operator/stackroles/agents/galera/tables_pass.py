"""Records a member's tables after a copy of it: what a verification will compare the copy with.

Runs inside role pods: standard library only.
"""

import time
from collections.abc import Callable

from stackroles.agents.galera import tables
from stackroles.agents.galera.mariadb import SqlError
from stackroles.agents.galera.table_changes import Table, content_doubt, definition_doubt
from stackroles.agents.galera.tables_protocol import CopyBegan, TableRecord, Tables
from stackroles.agents.text import shorten

# The member serves meanwhile: what is not counted by then is recorded without its rows.
PASS_SECONDS = 600.0
STATEMENT_SECONDS = 60
# A commit is visible to others a moment before InnoDB notes its time, and nothing shows when it
# has: what was counted last is looked at again this much later.
SETTLE_SECONDS = 1.0
_SHUTDOWN = 1053
# Of a server's error; a record has one of each table that it could not count.
_REASON = 200


class PassStopped(Exception):  # noqa: N818 - what happened
    """The member has something else to do; says what."""


def record(
    query: tables.Query,
    began: CopyBegan,
    *,
    goes_on: Callable[[], bool],
    counted: Callable[[], None],
    clock: Callable[[], float] = time.monotonic,
    settle: Callable[[float], None] = time.sleep,
) -> Tables:
    """Return what there is to compare a copy with that has ended.

    Args:
        query: runs a statement in one session of the member's server.
        began: what was noted before the copy.
        goes_on: whether the member may spend more on it.
        counted: called after each table.
        clock: seconds that never go back.
        settle: waits for some seconds.

    Raises:
        PassStopped: `goes_on` no longer.
        SqlError: the server refuses to say what tables there are.
        OSError: it does not answer.
    """
    query("SET SESSION wsrep_sync_wait = 0")
    query(f"SET SESSION max_statement_time = {STATEMENT_SECONDS}")
    first = tables.look(query, began)
    digests = tables.definitions(query)
    end = clock() + PASS_SECONDS
    counts: dict[Table, tuple[int, str]] = {}
    doubts: dict[Table, str] = {}
    # The small ones first: most tables are in the time that there is.
    for table in sorted(first.tables, key=lambda table: (first.tables[table].bytes, table)):
        if not goes_on():
            raise PassStopped("the member is asked to stop, or its server is")
        doubt = content_doubt(table, began, (first,))
        if not doubt and clock() > end:
            doubt = f"the {PASS_SECONDS:.0f} s that counting may take were over"
        if not doubt:
            doubt = _count(query, table, counts)
        doubts[table] = doubt
        counted()
    settle(SETTLE_SECONDS)
    looks = first, tables.look(query, began)
    records = []
    for table in sorted(first.tables):
        known = not definition_doubt(table, began, looks)
        doubt = doubts[table] or content_doubt(table, began, looks)
        digest, count = digests.get(table, "") if known else "", counts.get(table)
        engine = first.tables[table].engine
        records.append(_record(table, engine, digest, None if doubt else count, doubt))
    return Tables(server=tables.version(query), tables=tuple(records))


def _count(query: tables.Query, table: Table, counts: dict[Table, tuple[int, str]]) -> str:
    """Count a table; return why it could not be, else "".

    One that cannot be read, such as a crashed one, says nothing of the others: the copy of it is
    checked by a verification.
    """
    try:
        rows, checksum = tables.count(query, table)
    except SqlError as error:
        if error.code == _SHUTDOWN:
            raise PassStopped("the member's server is being stopped") from error
        return shorten(f"it could not be counted: {error}", _REASON)
    if checksum is None:
        return "it was dropped meanwhile"
    counts[table] = rows, checksum
    return ""


def _record(
    table: Table, engine: str, digest: str, count: tuple[int, str] | None, doubt: str
) -> TableRecord:
    rows, checksum = count or (None, None)
    return TableRecord(
        schema=table[0],
        name=table[1],
        engine=engine,
        definition=digest,
        comparable=count is not None,
        rows=rows,
        checksum=checksum,
        reason=doubt,
    )

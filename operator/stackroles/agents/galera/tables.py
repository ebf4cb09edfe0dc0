"""What a server says of its tables: their definitions, their rows, and when they were written.

Runs inside role pods: standard library only. Both sides of a comparison use it: the member that was
copied, and the server that is started on the copy.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import groupby

from stackroles.agents.galera.mariadb import Row, SqlError, identifier
from stackroles.agents.galera.table_changes import Look, SeenTable, Table
from stackroles.agents.galera.tables_protocol import CopyBegan

Query = Callable[[str], list[Row]]
"""Runs a statement; raises SqlError and OSError."""
_USER_SCHEMAS = "table_schema NOT IN ('mysql', 'sys', 'information_schema', 'performance_schema')"
USER_TABLES = f"table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND {_USER_SCHEMAS}"
_IDS = "information_schema.innodb_sys_tables"
# In times of another zone an hour comes twice.
_UTC = "SET SESSION time_zone = '+00:00'"
# Tables that may come and go between two looks.
_SPARE = 50
# Engines that keep the rows of their tables in the data directory, and can check them.
CHECKED_ENGINES = frozenset({"InnoDB", "Aria", "MyISAM", "ARCHIVE", "CSV"})
_OF_SERIES = re.compile(r"(upgrade|rebuild) required", re.IGNORECASE)
_ENCODED = re.compile(r"@([0-9a-f]{4})")


def begin(query: Query) -> CopyBegan:
    """Return what a copy that begins now has to be compared by; raises SqlError, OSError."""
    epoch, monotonic = time.time(), time.monotonic()
    newest = _number(_first(query(f"SELECT COALESCE(MAX(table_id), 0) FROM {_IDS}")))  # noqa: S608
    return CopyBegan(epoch=epoch, monotonic=monotonic, newest=newest)


def look(query: Query, began: CopyBegan) -> Look:
    """Return what the server shows of its tables now; raises SqlError, OSError."""
    query(_UTC)
    rows = query(
        "SELECT table_schema, table_name, engine, COALESCE(data_length, 0),"  # noqa: S608
        " UNIX_TIMESTAMP(create_time), UNIX_TIMESTAMP(update_time)"
        f" FROM information_schema.tables WHERE {USER_TABLES}"
    )
    # After the tables: one that is made in between is not in the list, or is among these.
    names = query(f"SELECT name FROM {_IDS} WHERE table_id > {began.newest}")  # noqa: S608
    held, room = query(f"SELECT COUNT(*), @@table_definition_cache FROM {_IDS}")[0]  # noqa: S608
    uptime = query("SHOW GLOBAL STATUS LIKE 'Uptime'")[0][1]
    epoch, monotonic = time.time(), time.monotonic()
    return Look(
        epoch=epoch,
        monotonic=monotonic,
        started=epoch - _number(uptime),
        forgets=_number(held) + _SPARE >= _number(room),
        rebuilt=frozenset(_decoded(str(row[0])) for row in names),
        tables={
            (str(schema), str(name)): SeenTable(
                engine=engine or "",
                bytes=_number(size),
                created=_time(created),
                updated=_time(updated),
            )
            for schema, name, engine, size, created, updated in rows
        },
    )


def definitions(query: Query) -> dict[Table, str]:
    """Return a digest of the columns of each table and view; raises SqlError, OSError."""
    rows = query(
        "SELECT table_schema, table_name, column_name, column_type, is_nullable, column_default,"  # noqa: S608
        " extra, collation_name, generation_expression FROM information_schema.columns"
        f" WHERE {_USER_SCHEMAS} ORDER BY table_schema, table_name, ordinal_position"
    )
    return {
        table: hashlib.sha256(json.dumps([row[2:] for row in columns]).encode()).hexdigest()
        for table, columns in _by_table(rows)
    }


def count(query: Query, table: Table) -> tuple[int, str | None]:
    """Return a table's rows and its checksum, None where it is gone; raises SqlError, OSError."""
    name = quoted(table)
    rows = _number(_first(query(f"SELECT COUNT(*) FROM {name}")))  # noqa: S608
    return rows, query(f"CHECKSUM TABLE {name}")[0][1]


def complaint(query: Query, table: Table) -> str:
    """Return what CHECK TABLE says against a table, "" where nothing; raises SqlError, OSError.

    An engine that does not support it, and a table of a former series that is to be rebuilt, say
    nothing of what the table holds.
    """
    query("SET SESSION lc_messages = 'en_US'")
    # Table, Op, Msg_type, Msg_text; the last line is the verdict.
    rows = query(f"CHECK TABLE {quoted(table)}")
    if not rows:
        return "CHECK TABLE returned no row"
    kind, text = (str(field) for field in rows[-1][2:])
    if (kind, text) == ("status", "OK") or kind.lower() == "note" or _OF_SERIES.search(text):
        return ""
    return "; ".join(str(row[3]) for row in rows)


def version(query: Query) -> str:
    """Return the server's version; raises SqlError, OSError."""
    return _first(query("SELECT VERSION()")) or ""


def quoted(table: Table) -> str:
    """Return a table as SQL."""
    return f"{identifier(table[0])}.{identifier(table[1])}"


def _by_table(rows: list[Row]) -> Iterator[tuple[Table, list[Row]]]:
    for (schema, name), columns in groupby(rows, lambda row: row[:2]):
        yield (str(schema), str(name)), list(columns)


def _decoded(name: str) -> Table:
    """Return the table that InnoDB's name of it, or of a partition, is of."""
    schema, _, table = name.partition("/")
    table = re.split(r"#p#", table, maxsplit=1, flags=re.IGNORECASE)[0]
    plain = (_ENCODED.sub(lambda found: chr(int(found[1], 16)), part) for part in (schema, table))
    schema, table = plain
    return schema, table


def _first(rows: list[Row]) -> str | None:
    if not rows or not rows[0]:
        raise SqlError("the server answered without a row")
    return rows[0][0]


def _time(value: str | None) -> int | None:
    return int(float(value)) if value is not None else None


def _number(value: str | None) -> int:
    return int(float(value or 0))

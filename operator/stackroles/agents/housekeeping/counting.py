"""Counts deleted rows by the conditions of the tools that remove them; changes nothing.

Standard library only: it runs inside role pods.
"""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Final, Protocol

from stackroles.agents.galera.mariadb import Row, SqlError, identifier, literal
from stackroles.agents.housekeeping.protocol import DeletedRows

DELETED_AT: Final = "deleted_at"
_READ_ONLY: Final = "SET SESSION TRANSACTION READ ONLY"

Columns = Mapping[str, Set[str]]
"""Columns by table."""
Counts = Mapping[str, int]
"""Rows by `database.table`."""


class Session(Protocol):
    """A session with a database server."""

    def query(self, sql: str) -> list[Row]:
        """Run one statement and return its rows."""


@dataclass(frozen=True, slots=True)
class Age:
    """How long rows are kept after they were deleted.

    Attributes:
        now: the time of the run, in UTC.
        days: how many days.
        batch: rows that one command removes at most.
    """

    now: datetime
    days: int
    batch: int

    def words(self, least_days: int) -> dict[str, str]:
        """Return what stands for the names in conditions and commands.

        Args:
            least_days: an age that is kept to whatever is asked for.
        """
        days = max(self.days, least_days)
        before = self.now - timedelta(days=days)
        day = datetime.combine(before.date(), time(), UTC)
        return {
            "before": f"{before:%Y-%m-%d %H:%M:%S}",
            "day": f"{day:%d-%m-%Y}",
            "day_microseconds": str(int(day.timestamp()) * 1_000_000),
            "days": str(days),
            "batch": str(self.batch),
        }


def tables_of(rows: DeletedRows, columns: Columns) -> list[str]:
    """Return the tables that rows are in.

    Args:
        rows: which rows.
        columns: of all tables of their database.
    """
    if rows.tables:
        return list(rows.tables)
    return sorted(
        name
        for name, has in columns.items()
        if DELETED_AT in has
        and name.startswith(rows.prefix)
        and (not rows.twin or rows.twin + name in columns)
    )


def statement(rows: DeletedRows, table: str, age: Age) -> str:
    """Return the query that counts the deleted rows of one table."""
    words = age.words(rows.least_days)
    condition = rows.condition.format_map({**words, "before": literal(words["before"])})
    # The condition may name other tables of its database: USE has chosen it.
    return f"SELECT COUNT(*) FROM {identifier(table)} WHERE {condition}"  # noqa: S608


def count(session: Session, wanted: Iterable[DeletedRows], age: Age) -> Counts:
    """Return how many deleted rows there are, by `database.table`, without tables that have none.

    The session can change nothing afterwards.

    Raises:
        SqlError: the server refused, or a table is not there.
        OSError: the server did not answer.
    """
    session.query(_READ_ONLY)
    found: dict[str, int] = {}
    known: dict[str, Columns] = {}
    for rows in wanted:
        if rows.database not in known:
            known[rows.database] = _columns(session, rows.database)
        session.query(f"USE {identifier(rows.database)}")
        for table in tables_of(rows, known[rows.database]):
            number = _number(session.query(statement(rows, table, age)))
            if number:
                name = f"{rows.database}.{table}"
                found[name] = found.get(name, 0) + number
    return found


def _columns(session: Session, database: str) -> Columns:
    which = f"table_schema = {literal(database)}"
    names = "SELECT table_name, column_name FROM information_schema.columns"
    rows = session.query(f"{names} WHERE {which}")
    found: dict[str, set[str]] = {}
    for table, column in rows:
        found.setdefault(str(table), set()).add(str(column))
    return found


def _number(rows: list[Row]) -> int:
    if len(rows) != 1 or rows[0][0] is None:
        raise SqlError("a count gave no number")
    return int(rows[0][0])

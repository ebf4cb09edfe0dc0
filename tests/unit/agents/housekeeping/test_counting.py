"""What is counted as deleted: by each tool's own condition, in a session that changes nothing."""

from datetime import UTC, datetime
from typing import ClassVar

import pytest

from stackroles.agents.galera.mariadb import Row, SqlError
from stackroles.agents.housekeeping.counting import Age, count, statement, tables_of
from stackroles.agents.housekeeping.protocol import DeletedRows

NOW = datetime(2026, 5, 1, 12, 30, tzinfo=UTC)
AGE = Age(NOW, days=90, batch=1000)
DELETED = "deleted <> 0 AND deleted_at < {before}"


class Server:
    """Columns of one database's tables, and the numbers that its counts give, by table."""

    def __init__(self, columns: dict[str, set[str]], numbers: dict[str, int]) -> None:
        self.columns, self.numbers = columns, numbers
        self.statements: list[str] = []

    def query(self, sql: str) -> list[Row]:
        self.statements.append(sql)
        if "information_schema" in sql:
            return [(table, name) for table, names in self.columns.items() for name in names]
        if sql.startswith("SELECT COUNT"):
            table = sql.split("`")[1]
            if table not in self.columns:
                raise SqlError(f"Table 'nova.{table}' doesn't exist", 1146)
            return [(str(self.numbers.get(table, 0)),)]
        return []


def test_the_age_is_written_as_each_tool_takes_it() -> None:
    words = AGE.words(0)

    assert words == {
        "before": "2026-01-31 12:30:00",
        "day": "31-01-2026",
        "day_microseconds": str(int(datetime(2026, 1, 31, tzinfo=UTC).timestamp()) * 10**6),
        "days": "90",
        "batch": "1000",
    }


@pytest.mark.parametrize(("asked", "least", "days"), [(90, 180, "180"), (365, 180, "365")])
def test_a_least_age_is_kept_to(asked: int, least: int, days: str) -> None:
    assert Age(NOW, asked, 1000).words(least)["days"] == days


class TestTables:
    COLUMNS: ClassVar = {
        "instances": {"id", "deleted", "deleted_at"},
        "shadow_instances": {"id", "deleted", "deleted_at"},
        "console_auth_tokens": {"id"},
        "removed": {"deleted_at"},
    }

    def test_those_with_a_twin_are_those_that_are_archived(self) -> None:
        rows = DeletedRows(database="nova", condition=DELETED, twin="shadow_")

        assert tables_of(rows, self.COLUMNS) == ["instances"]

    def test_a_prefix_selects_the_twins(self) -> None:
        rows = DeletedRows(database="nova", condition=DELETED, prefix="shadow_")

        assert tables_of(rows, self.COLUMNS) == ["shadow_instances"]

    def test_named_ones_are_taken_as_they_are(self) -> None:
        rows = DeletedRows(database="nova", condition=DELETED, tables=("gone",))

        assert tables_of(rows, self.COLUMNS) == ["gone"]


def test_a_query_has_the_time_as_a_literal() -> None:
    rows = DeletedRows(database="nova", condition=DELETED)

    assert statement(rows, "instances", AGE) == (
        "SELECT COUNT(*) FROM `instances` WHERE deleted <> 0 AND deleted_at < '2026-01-31 12:30:00'"
    )


def test_counting_is_read_only_and_leaves_out_tables_without_rows() -> None:
    server = Server(TestTables.COLUMNS, {"instances": 3, "shadow_instances": 0})
    rows = [
        DeletedRows(database="nova", condition=DELETED, twin="shadow_"),
        DeletedRows(database="nova", condition="deleted_at < {before}", prefix="shadow_"),
        DeletedRows(database="nova", condition="deleted = 0", tables=("instances",)),
    ]

    assert count(server, rows, AGE) == {"nova.instances": 6}
    assert server.statements[0] == "SET SESSION TRANSACTION READ ONLY"
    others = [sql.split()[0] for sql in server.statements[1:]]
    assert set(others) == {"SELECT", "USE"}
    assert sum("information_schema" in sql for sql in server.statements) == 1


def test_a_table_that_is_not_there_is_no_zero() -> None:
    rows = [DeletedRows(database="nova", condition=DELETED, tables=("gone",))]

    with pytest.raises(SqlError, match="doesn't exist"):
        count(Server({}, {}), rows, AGE)

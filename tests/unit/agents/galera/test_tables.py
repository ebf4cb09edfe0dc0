"""What is recorded of the tables of a copy, and when it is certain."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents.galera import tables
from stackroles.agents.galera.mariadb import Row, SqlError
from stackroles.agents.galera.table_changes import (
    LIMIT_BYTES,
    Look,
    SeenTable,
    content_doubt,
    definition_doubt,
)
from stackroles.agents.galera.tables_pass import PASS_SECONDS, PassStopped, record
from stackroles.agents.galera.tables_protocol import CopyBegan, Tables

BEGAN = CopyBegan(epoch=1000.5, monotonic=50.0, newest=7)
TABLE = ("nova", "instances")
SEEN = SeenTable(engine="InnoDB", bytes=16384, created=100, updated=200)


def look(
    seen: SeenTable | None = SEEN, after: float = 60.0, drift: float = 0.0, **changes: Any
) -> Look:
    """Return a look some seconds after the copy began, at a server that was started long before."""
    found = Look(
        epoch=BEGAN.epoch + after + drift,
        monotonic=BEGAN.monotonic + after,
        started=10.0,
        forgets=False,
        tables={TABLE: seen} if seen else {},
    )
    return replace(found, **changes)


@pytest.mark.parametrize(
    ("looks", "doubt"),
    [
        ((look(), look()), ""),
        ((look(replace(SEEN, updated=None)),), ""),
        ((look(replace(SEEN, updated=998)),), ""),
        # Whole seconds, and a clock that is a tick behind.
        ((look(replace(SEEN, updated=999)),), "it was written meanwhile"),
        ((look(replace(SEEN, updated=1000)),), "it was written meanwhile"),
        ((look(), look(replace(SEEN, updated=1030))), "it was written meanwhile"),
        ((look(replace(SEEN, updated=None), started=999.0),), "the server was started meanwhile"),
        ((look(replace(SEEN, updated=None), started=998.0),), ""),
        (
            (look(replace(SEEN, updated=None), forgets=True),),
            "the server may have forgotten when it was written",
        ),
        # It knows of this one.
        ((look(forgets=True),), ""),
        ((look(replace(SEEN, bytes=LIMIT_BYTES + 1)),), "it is larger than 256 MiB"),
        ((look(replace(SEEN, bytes=LIMIT_BYTES)),), ""),
        (
            (look(replace(SEEN, engine="Aria")),),
            "the engine Aria does not say when it was written",
        ),
        ((look(drift=0.4),), ""),
        ((look(drift=-3600.0),), "the member's clock was set"),
        ((look(), look(drift=0.6)), "the member's clock was set"),
    ],
)
def test_rows_are_comparable_where_nothing_wrote_them(looks: tuple[Look, ...], doubt: str) -> None:
    assert content_doubt(TABLE, BEGAN, looks) == doubt


@pytest.mark.parametrize(
    ("looks", "doubt"),
    [
        ((look(), look()), ""),
        # Rows that change leave the definition as it is.
        ((look(replace(SEEN, updated=1030)),), ""),
        ((look(replace(SEEN, created=999)),), "it was created, altered or emptied meanwhile"),
        (
            (look(), look(rebuilt=frozenset({TABLE}))),
            "it was created, altered or emptied meanwhile",
        ),
        ((look(), look(rebuilt=frozenset({("nova", "other")}))), ""),
        ((look(), look(None)), "it was dropped or created meanwhile"),
        ((look(replace(SEEN, created=None)),), "the server does not know when it was created"),
    ],
)
def test_a_definition_is_known_where_nothing_made_the_table_anew(
    looks: tuple[Look, ...], doubt: str
) -> None:
    assert definition_doubt(TABLE, BEGAN, looks) == doubt
    if doubt:
        assert content_doubt(TABLE, BEGAN, looks) == doubt


class Server:
    """Answers statements; `on` is called with each first."""

    def __init__(self, on: Callable[[str], None] = lambda _: None) -> None:
        self.on = on
        self.asked: list[str] = []
        self.rows: list[Row] = [
            ("nova", "instances", "InnoDB", "20", "100", "200"),
            ("nova", "small", "InnoDB", "10", "100", None),
        ]
        self.rebuilt: list[Row] = []

    def query(self, sql: str) -> list[Row]:
        self.asked.append(sql)
        self.on(sql)
        answers: dict[str, list[Row]] = {
            "UNIX_TIMESTAMP": self.rows,
            "SELECT name": self.rebuilt,
            "table_definition_cache": [("40", "400")],
            "Uptime": [("Uptime", "86400")],
            "information_schema.columns": [
                ("nova", "instances", "id", "int(11)", "NO", None),
                ("nova", "small", "id", "int(11)", "NO", None),
                ("nova", "small", "name", "text", "YES", None),
            ],
            "COUNT(*) FROM `nova`": [("3",)],
            "CHECKSUM": [("nova.x", "4711")],
            "VERSION": [("11.8.3-MariaDB",)],
        }
        return next((rows for part, rows in answers.items() if part in sql), [])


def began() -> CopyBegan:
    return tables.begin(lambda _: [("7",)])


def recorded(server: Server, **changes: Any) -> Tables:
    arguments: dict[str, Any] = {
        "goes_on": lambda: True, "counted": lambda: None, "settle": lambda _: None, **changes
    }  # fmt: skip
    return record(server.query, began(), **arguments)


def test_tables_are_counted_the_small_ones_first() -> None:
    server = Server()

    found = recorded(server)

    assert [(t.name, t.comparable, t.rows, t.checksum) for t in found.tables] == [
        ("instances", True, 3, "4711"),
        ("small", True, 3, "4711"),
    ]
    assert len({table.definition for table in found.tables}) == 2
    checked = [sql for sql in server.asked if "CHECKSUM" in sql]
    assert checked == ["CHECKSUM TABLE `nova`.`small`", "CHECKSUM TABLE `nova`.`instances`"]
    assert found.server == "11.8.3-MariaDB"


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("nova/small", "small"),
        ("nova/instances#P#p0", "instances"),
        ("other/small", ""),
        ("nova/sm@0061ll", "small"),
    ],
)
def test_a_table_that_was_emptied_while_it_was_counted_is_recorded_without_rows(
    name: str, table: str
) -> None:
    server = Server()

    def on(sql: str) -> None:
        if "CHECKSUM" in sql:
            server.rebuilt = [(name,)]

    server.on = on
    found = recorded(server)

    assert {t.name for t in found.tables if not t.comparable} == ({table} if table else set())
    assert {t.name for t in found.tables if not t.definition} == ({table} if table else set())


def test_a_table_that_is_written_after_its_count_is_recorded_without_rows() -> None:
    server = Server()

    def on(sql: str) -> None:
        if sql == "CHECKSUM TABLE `nova`.`small`":
            server.rows[1] = ("nova", "small", "InnoDB", "10", "100", "9999999999")

    server.on = on
    instances, small = recorded(server).tables

    assert instances.comparable
    assert (small.comparable, small.rows, small.checksum, small.reason) == (
        False, None, None, "it was written meanwhile"
    )  # fmt: skip
    assert small.definition


# No such table, statement time-out, crashed, no such engine, an answer of no meaning.
@pytest.mark.parametrize("code", [1146, 1969, 145, 1286, 0])
@pytest.mark.parametrize("statement", ["COUNT(*)", "CHECKSUM"])
def test_a_table_that_cannot_be_counted_is_recorded_without_rows(code: int, statement: str) -> None:
    def on(sql: str) -> None:
        if statement in sql and "`nova`.`small`" in sql:
            raise SqlError("no " * 1000, code)

    instances, small = recorded(Server(on)).tables

    assert (instances.comparable, small.comparable) == (True, False)
    assert small.reason.startswith("it could not be counted: no no")
    assert len(small.reason) <= 200
    assert small.definition


def test_a_server_that_is_being_stopped_ends_the_pass() -> None:
    def on(sql: str) -> None:
        if "CHECKSUM" in sql:
            raise SqlError("Server shutdown in progress", 1053)

    with pytest.raises(PassStopped):
        recorded(Server(on))


def test_the_pass_ends_when_the_member_is_to_stop() -> None:
    server = Server()
    answers = iter([True, False])

    with pytest.raises(PassStopped):
        recorded(server, goes_on=lambda: next(answers))

    assert len([sql for sql in server.asked if "CHECKSUM" in sql]) == 1


def test_what_is_not_counted_in_time_is_recorded_without_rows() -> None:
    times = iter([0.0, 1.0, PASS_SECONDS + 1.0])

    instances, small = recorded(Server(), clock=lambda: next(times)).tables

    assert (small.comparable, instances.comparable) == (True, False)
    assert instances.reason == "the 600 s that counting may take were over"
    assert instances.definition


def test_the_server_is_looked_at_again_once_the_last_commit_has_its_time() -> None:
    server = Server()
    waited: list[tuple[float, str]] = []

    recorded(server, settle=lambda seconds: waited.append((seconds, server.asked[-1])))

    assert waited == [(1.0, "CHECKSUM TABLE `nova`.`instances`")]

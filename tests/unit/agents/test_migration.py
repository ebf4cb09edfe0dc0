"""A service's database migration: a first one that was cut short begins anew, nothing else does."""

import sys
from pathlib import Path
from types import TracebackType

import pytest

from stackroles.agents import migration
from stackroles.agents.galera.mariadb import SqlError
from stackroles.agents.migration import MARK, Schema, begin, schema_of
from stackroles.roles import registry
from stackroles.roles.container import AgentMount

URL = "mysql+pymysql://nova:a%2Fb@demo-haproxy.ns.svc:3306/nova"
HALF = "open('{0}', 'a').write('half ')"
FAILS = f"import sys; {HALF}; sys.exit(3)"


class Server:
    """The tables of a server's databases; statements change them as MariaDB would."""

    def __init__(self, **databases: set[str]) -> None:
        self.databases = databases
        self.statements: list[str] = []

    def query(self, sql: str) -> list[tuple[str]]:
        self.statements.append(sql)
        fields = sql.replace("`", "").split()
        if sql.startswith("SHOW TABLES FROM"):
            return [(name,) for name in self.databases[fields[3]]]
        if sql.startswith("CREATE TABLE"):
            database, name = fields[2].split(".")
            self.databases[database].add(name)
        if sql.startswith("DROP TABLE"):
            database, name = fields[-1].split(".")
            self.databases[database].discard(name)
        return []

    def __enter__(self) -> "Server":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        pass


def run(server: Server, monkeypatch: pytest.MonkeyPatch, program: str, *databases: str) -> int:
    monkeypatch.setattr(migration, "_session", lambda url: server)
    arguments = ["DB_URL", *databases, "--", sys.executable, "-c", program]
    return migration.main(arguments, {"DB_URL": URL})


def test_a_database_is_first_migrated_when_it_has_no_table() -> None:
    assert schema_of([]) is Schema.EMPTY
    assert schema_of([MARK]) is Schema.CUT_SHORT
    assert schema_of([MARK, "instances"]) is Schema.CUT_SHORT
    assert schema_of(["instances"]) is Schema.IN_USE


def test_a_database_in_use_gets_no_statement() -> None:
    assert begin("nova", ["instances", "alembic_version"]) == ()


def test_only_the_tables_of_a_marked_database_are_dropped_and_the_mark_stays() -> None:
    statements = begin("nova", [MARK, "b", "a"])
    assert statements[1:] == ("DROP TABLE `nova`.`a`", "DROP TABLE `nova`.`b`")


def test_a_migration_that_failed_begins_anew(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server = Server(nova=set(), nova_cell0=set())
    log = tmp_path / "log"
    assert run(server, monkeypatch, FAILS.format(log), "nova", "nova_cell0") == 3
    assert server.databases == {"nova": {MARK}, "nova_cell0": {MARK}}
    server.databases["nova"] |= {"instances", "alembic_version"}

    assert run(server, monkeypatch, HALF.format(log), "nova", "nova_cell0") == 0
    assert server.databases == {"nova": set(), "nova_cell0": set()}
    assert log.read_text() == "half half "
    assert "nova was cut short: its 2 tables are dropped" in capfd.readouterr().out


def test_a_later_migration_that_fails_touches_no_table(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    server = Server(nova={"instances"})
    for _ in range(2):
        assert run(server, monkeypatch, FAILS.format(tmp_path / "log"), "nova") == 3
    assert server.databases == {"nova": {"instances"}}
    assert not [sql for sql in server.statements if sql.startswith(("DROP", "CREATE"))]


def test_a_database_that_refuses_is_named_without_the_password(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def refuse(url: str) -> Server:
        raise SqlError("Access denied for user 'nova'", 1045)

    monkeypatch.setattr(migration, "_session", refuse)
    assert migration.main(["DB_URL", "nova", "--", "true"], {"DB_URL": URL}) == 1
    out = capfd.readouterr().out
    assert "demo-haproxy.ns.svc" in out
    assert "Access denied" in out
    assert "a/b" not in out
    assert "a%2Fb" not in out


def test_every_migration_of_a_service_is_run_this_way() -> None:
    syncs = [
        (service, task)
        for service in registry.SERVICES
        for step in service.steps
        for task in step.tasks
        if "sync" in task.name
    ]
    covered: dict[str, set[str]] = {}
    for service, task in syncs:
        command = list(task.command)
        at = command.index("stackroles.agents.migration")
        assert any(isinstance(mount, AgentMount) for mount in task.mounts)
        covered.setdefault(service.name, set()).update(command[at + 2 : command.index("--")])
    assert covered == {s.name: set(s.databases) for s in registry.SERVICES if s.databases}

"""Runs a service's database migration, and begins again where the first one was cut short.

MariaDB commits each change of a schema by itself, and the services' migrations do not expect half
of one: after a lost connection the next attempt ends with "Duplicate column name" or "Table ...
already exists", for ever. A database that had no table when a migration began holds nothing of
anybody's until that migration has ended, so its tables are dropped and made anew. A table of our
own marks such a database; one with tables and without the mark is never touched.
"""

import os
import signal
import subprocess
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from enum import Enum
from urllib.parse import unquote, urlsplit

from stackroles.agents.galera.accounts import connect
from stackroles.agents.galera.accounts_protocol import Server
from stackroles.agents.galera.mariadb import Connection, SqlError, identifier

MARK = "stackroles_first_migration"
_LOCK_WAIT_SECONDS = 60


class Schema(Enum):
    """What a database holds before a migration."""

    EMPTY = "no table: this migration is its first"
    CUT_SHORT = "tables of a first migration that did not end"
    IN_USE = "tables of a migration that ended"


def schema_of(tables: Collection[str]) -> Schema:
    """Return what a database with these tables holds."""
    if MARK in tables:
        return Schema.CUT_SHORT
    return Schema.IN_USE if tables else Schema.EMPTY


def begin(database: str, tables: Collection[str]) -> Sequence[str]:
    """Return the statements that make a database ready for a migration.

    Args:
        database: its name.
        tables: its tables and views.
    """
    schema = schema_of(tables)
    if schema is Schema.EMPTY:
        return (f"CREATE TABLE {_mark(database)} (id INT PRIMARY KEY)",)
    if schema is Schema.CUT_SHORT:
        others = sorted(set(tables) - {MARK})
        drops = [f"DROP TABLE {identifier(database)}.{identifier(name)}" for name in others]
        return ("SET SESSION foreign_key_checks = 0", *drops)
    return ()


def end(database: str) -> Sequence[str]:
    """Return the statements that note that a database's first migration has ended."""
    return (f"DROP TABLE IF EXISTS {_mark(database)}",)


def _mark(database: str) -> str:
    return f"{identifier(database)}.{identifier(MARK)}"


def _tables(session: Connection, database: str) -> list[str]:
    rows = session.query(f"SHOW TABLES FROM {identifier(database)}")
    return [str(name) for (name,) in rows]


def _session(url: str) -> Connection:
    """Return a session with the database of an SQLAlchemy URL.

    Raises:
        SqlError: the account was refused.
        OSError: there was no answer within two minutes.
    """
    parts = urlsplit(url)
    server = Server(host=parts.hostname or "", port=parts.port or 3306, user=parts.username or "")
    session = connect(server, unquote(parts.password or ""))
    # A process of an attempt that was ended may still hold a table for a moment.
    session.query(f"SET SESSION lock_wait_timeout = {_LOCK_WAIT_SECONDS}")
    return session


def _prepare(url: str, databases: Iterable[str]) -> None:
    with _session(url) as session:
        for database in databases:
            tables = _tables(session, database)
            if schema_of(tables) is Schema.CUT_SHORT:
                print(
                    f"The first migration of {database} was cut short: its {len(tables) - 1} tables"
                    " are dropped and made anew",
                    flush=True,
                )
            for statement in begin(database, tables):
                session.query(statement)


def _finish(url: str, databases: Iterable[str]) -> None:
    with _session(url) as session:
        for database in databases:
            for statement in end(database):
                session.query(statement)


def _run(command: Sequence[str]) -> int:
    """Run the migration and return its exit code; it gets the signal that ends this process."""
    process = subprocess.Popen(command)
    signal.signal(signal.SIGTERM, lambda *_: process.terminate())
    return process.wait()


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a migration.

    Args:
        arguments: name of the variable with the URL, the databases, ``--`` and the command.
        environment: this process's.

    Returns:
        The command's exit code; 1 when the database refused or did not answer.
    """
    at = list(arguments).index("--")
    (variable, *databases), command = arguments[:at], arguments[at + 1 :]
    url = environment[variable]
    try:
        _prepare(url, databases)
        code = _run(command)
        if code == 0:
            _finish(url, databases)
    except (OSError, SqlError) as error:
        print(f"The database at {urlsplit(url).hostname} refused: {error}", flush=True)
        return 1
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))

"""Makes the databases and accounts of all services, through the proxy; safe to run again.

Reads which belong to whom from a file, passwords from the environment. SQL carries hashes only. An
account whose password and rights are right already is not touched.
"""

import os
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.galera.accounts_protocol import Account, Accounts, Server
from stackroles.agents.galera.mariadb import (
    Connection,
    SqlError,
    identifier,
    literal,
    native_hash,
)

_PATIENCE = 120.0
_TIMEOUT = 60.0


def statements(account: Account, password: str, stored: str | None) -> Sequence[str]:
    """Return what makes one account right.

    Args:
        account: the account.
        password: the password it shall have.
        stored: the hash it has, None where there is no such account.
    """
    who = f"{literal(account.user)}@'%'"
    wanted = native_hash(password)
    made = [f"CREATE DATABASE IF NOT EXISTS {identifier(name)}" for name in account.databases]
    if stored is None:
        made.append(f"CREATE USER IF NOT EXISTS {who} IDENTIFIED BY PASSWORD '{wanted}'")
    elif stored != wanted:
        made.append(f"ALTER USER {who} IDENTIFIED BY PASSWORD '{wanted}'")
    # An underscore in the name of a database in GRANT stands for any character.
    made += [
        f"GRANT ALL PRIVILEGES ON {identifier(name.replace('_', chr(92) + '_'))}.* TO {who}"
        for name in account.databases
    ]
    return made


def connect(server: Server, password: str, timeout: float = _TIMEOUT) -> Connection:
    """Return a session with the writer, waiting while it moves or starts.

    Args:
        server: where it is, and as whom to enter.
        password: the user's.
        timeout: seconds that the answer to one statement may take.

    Raises:
        SqlError: the account was refused.
        OSError: there was no answer within two minutes.
    """
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            return Connection.tcp(server.host, server.port, server.user, password, timeout)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def main(environment: Mapping[str, str]) -> int:
    """Make all accounts; returns the exit code and says in a sentence what failed."""
    wanted = wire.loads(Accounts, Path(environment["ACCOUNTS_FILE"]).read_bytes())
    server = wanted.server
    try:
        with connect(server, environment["OPERATOR_PASSWORD"]) as session:
            rows = session.query(
                "SELECT user, JSON_VALUE(priv, '$.authentication_string') FROM mysql.global_priv"
                " WHERE host = '%'"
            )
            stored = {str(user): hashed or "" for user, hashed in rows}
            for account in wanted.accounts:
                password = environment[account.password]
                for statement in statements(account, password, stored.get(account.user)):
                    session.query(statement)
                print(f"{account.user}: {', '.join(account.databases)}", flush=True)
    except (OSError, SqlError) as error:
        print(f"The database at {server.host}:{server.port} refused: {error}", flush=True)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))

"""A database server on a copy, which is thrown away: for a look at what the copy holds.

Runs inside role pods: standard library only. It is reached over its socket alone and belongs to no
cluster: nothing that it does leaves the pod.
"""

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from stackroles.agents.backup.comparison import FoundTable
from stackroles.agents.backup.verification_protocol import VerificationSettings
from stackroles.agents.galera import mariadb, tables
from stackroles.agents.galera.physical_copy import (
    ALONE,
    GIVE_UP_SECONDS,
    CopyFailed,
    last_words,
    server_on,
)
from stackroles.agents.galera.process import ServerProcess
from stackroles.agents.galera.table_changes import Table

# A large table on a slow disk.
_SQL_SECONDS = 3600.0
_VERSION_SECONDS = 60.0
_VERSION = re.compile(r"\bVer (\S+)")
_TAKEN_BY = re.compile(r"^server_version = (\S+)", re.MULTILINE)
# Fits into the memory of a verification, whatever the cloud's database has.
_BUFFER_POOL = "128M"
_LOG = "96M"
_SESSIONS = 20
# What a session may meet that is not the copy's fault: locks and time limits, an end that was asked
# for, no memory, a full disk.
_OF_PLACE = frozenset({1021, 1037, 1038, 1041, 1053, 1205, 1213, 1317, 1969})
_NAMES = (
    "SELECT table_schema, table_name, engine FROM information_schema.tables"  # noqa: S608
    f" WHERE {tables.USER_TABLES}"
)


def command(settings: VerificationSettings, data: Path) -> list[str]:
    """Return the command of a server that nobody reaches over the network.

    Its options are the cloud's, so that it opens what the cloud's would, but for what would make
    it a member or take more memory than a verification has.
    """
    return [
        settings.server,
        f"--defaults-file={settings.defaults}",
        f"--datadir={data}",
        f"--socket={settings.socket}",
        f"--pid-file={Path(settings.socket).with_name('verification.pid')}",
        *ALONE,
        "--performance-schema=OFF",
        # The cloud's limit is for its services; a check of a large table takes as long as it does.
        "--max-statement-time=0",
        # It is made anew at the start, and a large one of the cloud's would not fit in here.
        f"--innodb-log-file-size={_LOG}",
        f"--max-connections={_SESSIONS}",
        f"--innodb-buffer-pool-size={_BUFFER_POOL}",
        # It is thrown away.
        "--innodb-flush-log-at-trx-commit=0",
    ]


class ScratchServer:
    """A server that has opened a copy.

    Args:
        session: a session with it.
    """

    def __init__(self, session: mariadb.Connection) -> None:
        self._session = session

    def version(self) -> str:
        """Return its version; raises SqlError, OSError."""
        return tables.version(self._session.query)

    def definitions(self) -> dict[Table, tuple[str, str]]:
        """Return a digest of the columns of each table and its engine; raises SqlError, OSError.

        The engine is empty where the server cannot open the table.
        """
        names = self._session.query(_NAMES)
        digests = tables.definitions(self._session.query)
        listed = (((str(schema), str(name)), engine or "") for schema, name, engine in names)
        return {table: (digests.get(table, ""), engine) for table, engine in listed}

    def complaint(self, table: Table) -> str:
        """Return what CHECK TABLE says against a table, "" where nothing; raises as `version`."""
        return tables.complaint(self._session.query, table)

    def found(self, table: Table, definition: str) -> FoundTable:
        """Return a table with its rows counted; raises as `version`."""
        rows, checksum = tables.count(self._session.query, table)
        return FoundTable(definition=definition, rows=rows, checksum=checksum)


def version(settings: VerificationSettings) -> str:
    """Return the version that the server's program says it is; raises OSError where it does not."""
    try:
        done = subprocess.run(
            [settings.server, "--version"],
            capture_output=True,
            check=True,
            timeout=_VERSION_SECONDS,
        )
    except subprocess.SubprocessError as error:
        raise OSError(f"{settings.server} does not say its version: {error}") from error
    found = _VERSION.search(done.stdout.decode(errors="replace"))
    return found[1] if found else ""


def taken_by(data: Path) -> str:
    """Return the version of the server that was copied, as the copy says; empty where it does not.

    Args:
        data: where the copy was unpacked.
    """
    for name in ("mariadb_backup_info", "xtrabackup_info"):
        with contextlib.suppress(FileNotFoundError):
            text = (data / name).read_text(encoding="utf-8", errors="replace")
            if found := _TAKEN_BY.search(text):
                return found[1]
    return ""


@contextlib.contextmanager
def serving(settings: VerificationSettings, data: Path) -> Iterator[ScratchServer]:
    """Start a server on a prepared copy, for as long as the context lasts.

    Raises:
        CopyFailed: it does not come up with the copy, breaks off, or does not end in good order.
        OSError: the program does not start.
    """
    with server_on(command(settings, data), settings.socket, settings.user, data) as server:
        session = mariadb.Connection.unix(settings.socket, settings.user, _SQL_SECONDS)
        try:
            with session:
                yield ScratchServer(session)
        except mariadb.SqlError as error:
            raise CopyFailed(
                f"the server refuses to read the copy: {error}",
                proven=error.code not in _OF_PLACE,
            ) from error
        except OSError as error:
            code = server.stop(GIVE_UP_SECONDS)
            raise _broken_off(server, code, error) from error


def _broken_off(server: ServerProcess, code: int, error: OSError) -> CopyFailed:
    """Return why a session broke off; `code` is with what the server ended, asked to or not."""
    if code in (0, -signal.SIGKILL):
        return CopyFailed(f"the server with the copy did not answer: {error}", proven=False)
    return CopyFailed(f"the server broke off with the copy: {last_words(server, code)}")

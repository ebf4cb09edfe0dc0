"""Starts a server on a restored copy once, alone: so that Galera begins a new history with it.

A copy without grastate.dat belongs to no history, and a server that forms a cluster of it begins
one, with a uuid of its own. A member that still has data of the former history, and comes back
later, can so never be taken for one of this history. That the server opens the copy and its tables
is part of the proof that the restore is good.
"""

import contextlib
from pathlib import Path

from stackroles.agents.galera import mariadb
from stackroles.agents.galera.physical_copy import CopyFailed, server_on
from stackroles.agents.galera.process import Wsrep
from stackroles.agents.galera.restore_protocol import RestoreSettings
from stackroles.agents.galera.tables import USER_TABLES
from stackroles.agents.galera.volume import NO_UUID, read_grastate
from stackroles.agents.galera.watch import log

# To open every table of a large database takes its time on a slow disk.
_TABLES_SECONDS = 600.0
_GROUP_PORT = 4567
# What a server that formed a cluster alone leaves besides its data.
_LEFT_BEHIND = ("galera.cache", "gvwstate.dat")
_TABLES = f"SELECT {{}} FROM information_schema.tables WHERE {USER_TABLES}"  # noqa: S608


class RestoreFailed(CopyFailed):
    """A restore cannot go on; says why, and what a person can do."""


def command(settings: RestoreSettings, data: Path) -> list[str]:
    """Return the command of a server that forms a cluster alone and can be reached by nobody."""
    return [
        settings.server,
        f"--defaults-file={settings.defaults}",
        f"--datadir={data}",
        f"--socket={settings.socket}",
        f"--pid-file={_pid_file(settings)}",
        "--bind-address=127.0.0.1",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-new-cluster",
        f"--wsrep-node-name={settings.member}",
        "--wsrep-node-address=127.0.0.1",
        # The member's own: what this server logs, such as that a MEMORY table lost its rows, is
        # no transaction of the cluster.
        f"--gtid-domain-id={100 + int(settings.member.rpartition('-')[2])}",
        f"--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:{_GROUP_PORT}",
    ]


def begin_history(settings: RestoreSettings, data: Path) -> tuple[str, int, int]:
    """Let a copy begin a history; return its uuid, where the copy stands in it, and its tables.

    Raises:
        CopyFailed: the server does not come up with the copy, or does not end in good order.
        OSError: the volume or the program fails.
    """
    state = data / "grastate.dat"
    state.unlink(missing_ok=True)
    for path in (Path(settings.socket), _pid_file(settings)):
        path.unlink(missing_ok=True)
    alone = command(settings, data)
    with server_on(alone, settings.socket, settings.user, data, _is_synced):
        tables = _count_tables(settings)
    text = state.read_text(encoding="utf-8") if state.exists() else ""
    uuid, seqno, _ = read_grastate(text)
    if uuid == NO_UUID or seqno < 0:
        raise RestoreFailed(f"the server began no history with the copy: it left {uuid}:{seqno}")
    for name in _LEFT_BEHIND:
        (data / name).unlink(missing_ok=True)
    return uuid, seqno, tables


def _pid_file(settings: RestoreSettings) -> Path:
    return Path(settings.socket).with_name("restore.pid")


def _is_synced(wsrep: Wsrep) -> bool:
    if wsrep.synced:
        log(f"The copy is open, and its history is {wsrep.uuid}")
    return wsrep.synced


def _count_tables(settings: RestoreSettings) -> int:
    """Return how many tables there are besides the server's own; all must open."""
    connection = mariadb.Connection.unix(settings.socket, settings.user, _TABLES_SECONDS)
    try:
        with contextlib.closing(connection):
            [(count,)] = connection.query(_TABLES.format("COUNT(*)"))
            # How many rows it has is known of a table only once it is open; the comment says why
            # one is not.
            name = "CONCAT(table_schema, '.', table_name, ': ', table_comment)"
            unread = connection.query(f"{_TABLES.format(name)} AND table_rows IS NULL")
    except mariadb.SqlError as error:
        raise RestoreFailed(f"the server does not say which tables it has: {error}") from error
    if unread:
        raise RestoreFailed(
            f"{len(unread)} of {count} tables of the copy do not open, the first is {unread[0][0]}"
        )
    return int(count or 0)

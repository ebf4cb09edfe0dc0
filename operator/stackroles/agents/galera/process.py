"""The database server as a child: started, sampled, stopped."""

import contextlib
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stackroles.agents import children
from stackroles.agents.galera import mariadb
from stackroles.agents.galera.protocol import DONOR, SYNCED, Connections, View
from stackroles.agents.text import shorten

_SQL_SECONDS = 1.0
_ENDED_AT_ONCE = 20
# Longer than a client takes from the question whether its connection answers to its first
# statement, and short: one that writes ten times a second is met at its next write if it is waited
# for 100 ms (seen).
_IDLE_MS = 20
_REMOTE = "p.host NOT LIKE 'localhost%' AND p.host <> '' AND p.user <> 'system user'"
# From how many of max_connections on it is asked who has them.
_CROWDED = 0.8
# Logged by Galera when a joiner has given up and only a new start helps; the server stays up.
_GIVEN_UP = ("node restart required", "Will never receive state. Need to abort")
# When a line was logged: one that only repeats another is no sign of progress.
_REMEMBERED_LINES = 1024
_LONGEST_LINE = 65536
_TIMES = re.compile(r"^\d{4}-\d\d-\d\d +\d+:\d\d:\d\d \d+ |\(\d{8} [0-9:.]+\)$")
_STATUS = (
    "SHOW GLOBAL STATUS WHERE Variable_name IN ('wsrep_cluster_status', 'wsrep_connected',"
    " 'wsrep_ready', 'wsrep_local_state', 'wsrep_local_state_comment', 'wsrep_cluster_size',"
    " 'wsrep_cluster_state_uuid', 'wsrep_last_committed', 'wsrep_local_index',"
    " 'wsrep_cluster_conf_id', 'wsrep_flow_control_paused_ns', 'wsrep_flow_control_sent',"
    " 'wsrep_flow_control_recv', 'wsrep_desync_count',"
    " 'wsrep_incoming_addresses', 'wsrep_local_recv_queue', 'wsrep_local_cert_failures',"
    " 'wsrep_local_bf_aborts',"
    " 'Threads_connected', 'Queries', 'Uptime')"
)


@dataclass(frozen=True)
class Wsrep:
    """A running server's own view of the cluster.

    Attributes:
        primary: it belongs to the primary component.
        ready: it takes queries.
        connected: it is connected to the group at all.
        state: wsrep_local_state (4 is Synced, 2 is Donor/Desynced).
        comment: the state's name.
        uuid: the history of the component.
        committed: the last committed transaction.
        size: members of the component.
        addresses: where the component's members are.
        counters: further status variables, for metrics.
        connections: who uses the connections, once few are left.
    """

    primary: bool
    ready: bool
    connected: bool
    state: int
    comment: str
    uuid: str
    committed: int
    size: int
    addresses: tuple[str, ...]
    counters: Mapping[str, float]
    connections: Connections | None = None

    @property
    def synced(self) -> bool:
        """Whether it is a whole member of the primary component."""
        return self.primary and self.ready and self.state == SYNCED

    @property
    def serves(self) -> bool:
        """Whether clients may use it: synced, or the donor of a transfer.

        mariabackup blocks nobody, and the rsync of a new cluster stops writes for a second or two:
        cutting the clients off would take longer.
        """
        return self.primary and self.ready and self.state in (SYNCED, DONOR)

    def view(self) -> View:
        """Return what of it is reported."""
        return View(
            primary=self.primary,
            synced=self.synced,
            uuid=self.uuid,
            committed=self.committed,
            size=self.size,
            state=self.state,
            addresses=frozenset(self.addresses),
        )


def parse_status(values: Mapping[str, str]) -> Wsrep:
    """Return a server's view from its status variables."""

    def number(name: str) -> int:
        with contextlib.suppress(ValueError):
            return int(values.get(name, ""))
        return -1

    counters: dict[str, float] = {}
    for name, value in values.items():
        with contextlib.suppress(ValueError):
            counters[name.lower()] = float(value)
    return Wsrep(
        primary=values.get("wsrep_cluster_status") == "Primary",
        ready=values.get("wsrep_ready") == "ON",
        connected=values.get("wsrep_connected") == "ON",
        state=number("wsrep_local_state"),
        comment=values.get("wsrep_local_state_comment", ""),
        uuid=values.get("wsrep_cluster_state_uuid", ""),
        committed=number("wsrep_last_committed"),
        size=number("wsrep_cluster_size"),
        addresses=tuple(
            address.rpartition(":")[0]
            for address in values.get("wsrep_incoming_addresses", "").split(",")
            if ":" in address
        ),
        counters=counters,
    )


class LogProgress:
    """Counts the lines of a log that repeat none of the lines shortly before them.

    It lives in PID 1 for as long as the server does, so it remembers a fixed number of lines, and
    none once the count is not asked for any more.
    """

    def __init__(self, remembered: int = _REMEMBERED_LINES) -> None:
        self._limit = remembered
        self._recent: dict[int, None] = {}
        self._ended = False
        self.count = 0

    def add(self, line: str) -> None:
        """Count a line unless it differs from a remembered one in its time stamp alone."""
        if self._ended:
            return
        key = hash(_TIMES.sub("", line))
        if key in self._recent:
            return
        if len(self._recent) >= self._limit:
            del self._recent[next(iter(self._recent))]
        self._recent[key] = None
        self.count += 1

    def end(self) -> None:
        """Count nothing more, and forget the lines."""
        self._ended = True
        self._recent = {}


class ServerProcess:
    """One run of the database server."""

    def __init__(self, command: Sequence[str], socket: str, user: str) -> None:
        self._socket, self._user = socket, user
        self._session: mariadb.Connection | None = None
        self._lock = threading.Lock()
        self._most_connections = 0
        self.progress = LogProgress()
        self.given_up = False
        self.last_errors: list[str] = []
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._pass_on, daemon=True)
        self._reader.start()

    def _pass_on(self) -> None:
        """Copy the server's log to our own, and note what shows progress or of its end."""
        assert self._process.stdout is not None  # noqa: S101 - it was opened as a pipe
        with self._process.stdout as log:
            # A line without an end is passed on in pieces.
            while raw := log.readline(_LONGEST_LINE):
                line = raw.decode(errors="replace").rstrip("\n")
                print(line, flush=True)
                self.progress.add(line)
                self.given_up |= any(phrase in line for phrase in _GIVEN_UP)
                if "[ERROR]" in line:
                    self.last_errors = [*self.last_errors[-4:], shorten(line, 300)]

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """Return the exit code, or None while it runs."""
        return self._process.poll()

    def query(self, sql: str) -> list[mariadb.Row]:
        """Run a statement over the server's socket; raises OSError or SqlError."""
        with self._lock:
            if self._session is None:
                self._session = mariadb.Connection.unix(self._socket, self._user, _SQL_SECONDS)
                # A member outside the primary component must still answer what it sees.
                self._session.query("SET SESSION wsrep_sync_wait=0")
            try:
                return self._session.query(sql)
            except (OSError, mariadb.SqlError):
                self._session.close()
                self._session = None
                raise

    def sample(self) -> Wsrep | None:
        """Return the server's view, or None when it gives no answer."""
        try:
            wsrep = parse_status(mariadb.pairs(self.query(_STATUS)))
            return replace(wsrep, connections=self._connections(wsrep.counters))
        except (OSError, mariadb.SqlError):
            return None

    def _connections(self, counters: Mapping[str, float]) -> Connections | None:
        """Return who has the connections, None while enough are left; raises as `query` does."""
        used = int(counters.get("threads_connected", 0))
        if not used:
            return None
        if not self._most_connections:
            self._most_connections = int(self.query("SELECT @@max_connections")[0][0] or 0)
        if used < _CROWDED * self._most_connections:
            return None
        [(account, count)] = self.query(
            "SELECT user, COUNT(*) FROM information_schema.processlist"
            " WHERE user <> 'system user' GROUP BY user ORDER BY COUNT(*) DESC, user LIMIT 1"
        )
        return Connections(
            account=account or "", count=int(count or 0), used=used, limit=self._most_connections
        )

    def transfer_effort(self) -> int:
        """Return the processor time that programs started by the server have used, in ticks."""
        return sum(ticks for pid, ticks in children.session_of(self.pid).items() if pid != self.pid)

    def clients(self) -> int:
        """Return how many sessions came over the network; raises OSError or SqlError."""
        rows = self.query(f"SELECT COUNT(*) FROM information_schema.processlist p WHERE {_REMOTE}")  # noqa: S608
        return int(rows[0][0] or 0)

    def close_idle(self) -> None:
        """End some sessions from the network that neither run a statement nor have a transaction.

        Those that have been idle longest, and few at a time: one that begins a statement between
        the look at it and its end would lose that.

        A client finds its connection closed when it asks next, and connects anew.

        Raises:
            OSError: the server does not answer.
            SqlError: it refuses.
        """
        rows = self.query(
            "SELECT p.id FROM information_schema.processlist p"  # noqa: S608
            " LEFT JOIN information_schema.innodb_trx t ON t.trx_mysql_thread_id = p.id"
            f" WHERE {_REMOTE} AND p.command = 'Sleep' AND p.time_ms >= {_IDLE_MS}"
            f" AND t.trx_mysql_thread_id IS NULL ORDER BY p.time_ms DESC LIMIT {_ENDED_AT_ONCE}"
        )
        for row in rows:
            # It may have gone by itself meanwhile.
            with contextlib.suppress(mariadb.SqlError):
                self.query(f"KILL CONNECTION {int(row[0] or 0)}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal unless it has ended."""
        if self._process.poll() is None:
            self._process.send_signal(number)

    def stop(self, patience: float) -> int:
        """End the server: ask, wait `patience` seconds, then kill. Returns its exit code."""
        self.signal(signal.SIGTERM)
        try:
            return self._process.wait(patience)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            return self._process.wait()

    def cleanup(self) -> None:
        """End what the server left behind (transfer scripts), and close our session."""
        with self._lock:
            if self._session is not None:
                self._session.close()
                self._session = None
        self._reader.join(timeout=1)
        children.end_group(self.pid)

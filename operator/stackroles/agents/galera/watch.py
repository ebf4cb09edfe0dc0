"""Follows a running database server: does a start make progress, is a member lost for good."""

import time
from typing import Protocol

from stackroles.agents import children
from stackroles.agents.galera import mariadb
from stackroles.agents.galera.process import ServerProcess, Wsrep
from stackroles.agents.galera.protocol import DONOR, Activity, MemberPhase
from stackroles.agents.galera.settings import MemberSettings
from stackroles.agents.galera.volume import Volume
from stackroles.agents.silence import SILENT_SECONDS, Silence

STOP_SECONDS = 240.0
_GIVE_UP_SECONDS = 15.0
_SAMPLE_SECONDS = 0.5
_MEASURE_SECONDS = 2.0


class WatchedMember(Protocol):
    """What a watch reports to and asks of the member it watches for."""

    @property
    def settings(self) -> MemberSettings:
        """The member's settings."""

    @property
    def volume(self) -> Volume:
        """The member's volume."""

    def seen(self, wsrep: Wsrep | None, phase: MemberPhase, activity: Activity | None) -> None:
        """Publish a sample of the running server."""

    def joined(self) -> None:
        """Note that the server is a whole member."""

    def recovery_wanted(self) -> bool:
        """Return whether the operator asks the running attempt to stop and report anew."""


class ServerWatch:
    """Judges one run of a server."""

    def __init__(self, agent: WatchedMember, server: ServerProcess) -> None:
        self._agent, self._server = agent, server
        self._sampled = 0.0
        self._measure: tuple[int, ...] = ()
        self._progress = time.monotonic()
        self._measured = 0.0
        self._account_made = not agent.settings.operator_password
        self._silence = Silence()
        self.was_synced = False
        self.stop_wanted = False

    def check(self) -> tuple[str | None, float]:
        """Return why the server must be stopped now (None: it must not), and with what patience."""
        now = time.monotonic()
        if now - self._sampled < _SAMPLE_SECONDS:
            return None, 0
        self._sampled = now
        wsrep = self._server.sample()
        phase = (
            MemberPhase.RUNNING if wsrep is not None or self.was_synced else MemberPhase.STARTING
        )
        self._agent.seen(wsrep, phase, self._activity(wsrep))
        if wsrep is not None and wsrep.synced:
            if not self.was_synced:
                self._agent.joined()
                # How a start goes on is not asked again.
                self._server.progress.end()
            self.was_synced = True
            self._complete(wsrep)
        if self._agent.recovery_wanted():
            self.stop_wanted = True
            return "the operator asks for a new report of the position", STOP_SECONDS
        if self._server.given_up:
            return "it says that only a new start helps", _GIVE_UP_SECONDS
        hangs = self._silence.hangs(now, answered=wsrep is not None)
        if self.was_synced and hangs:
            return f"it has answered nothing for {SILENT_SECONDS:.0f} s", _GIVE_UP_SECONDS
        if self.was_synced:
            return self._lost(wsrep)
        return self._stuck(now, wsrep)

    def _activity(self, wsrep: Wsrep | None) -> Activity | None:
        if wsrep is not None and (wsrep.synced or wsrep.state == DONOR):
            return Activity.DONOR if wsrep.state == DONOR else None
        if self.was_synced:
            return None
        return Activity.TRANSFER if children.running(b"wsrep_sst_") else Activity.JOINING

    def _complete(self, wsrep: Wsrep) -> None:
        """Finish a first start: the operator's account, then the mark that the database is made."""
        if self._account_made and not self._agent.volume.creating:
            return
        try:
            if not self._account_made:
                ensure_operator(self._server, self._agent.settings)
                self._account_made = True
            self._agent.volume.end_creation()
        except (OSError, mariadb.SqlError) as error:
            log(f"The operator's account could not be made, trying again: {error}")
        else:
            log(f"Synced at {wsrep.uuid}:{wsrep.committed} with {wsrep.size} members")

    def _lost(self, wsrep: Wsrep | None) -> tuple[str | None, float]:
        """A member that was synced comes back by itself, unless it left the group for good."""
        if wsrep is not None and not wsrep.connected and wsrep.comment == "Inconsistent":
            self._agent.volume.begin_join()
            return "it was found inconsistent and left the group", _GIVE_UP_SECONDS
        return None, 0

    def _stuck(self, now: float, wsrep: Wsrep | None) -> tuple[str | None, float]:
        """A start may take as long as it needs, as long as something moves.

        That is: a line in the log that is not a repetition, the size of the data, the work of the
        programs of a transfer, or the last committed transaction.
        """
        if now - self._measured < _MEASURE_SECONDS:
            return None, 0
        self._measured = now
        server = self._server
        measure = (
            server.progress.count,
            self._agent.volume.size(),
            server.transfer_effort(),
            wsrep.committed if wsrep else -1,
        )
        if measure != self._measure:
            self._measure, self._progress = measure, now
        quiet = self._agent.settings.join_seconds
        if now - self._progress > quiet:
            return f"nothing in its log or its data moved for {quiet:.0f} s", _GIVE_UP_SECONDS
        return None, 0


def ensure_operator(server: ServerProcess, settings: MemberSettings) -> None:
    """Make the account through which databases and accounts are set up; idempotent.

    SQL carries the password's hash only. Raises OSError or SqlError.
    """
    account = f"{mariadb.literal(settings.operator_user)}@'%'"
    stored = mariadb.native_hash(settings.operator_password)
    rows = server.query(
        "SELECT JSON_VALUE(priv, '$.authentication_string') FROM mysql.global_priv"  # noqa: S608
        f" WHERE user = {mariadb.literal(settings.operator_user)} AND host = '%'"
    )
    if rows and rows[0][0] == stored:
        return
    server.query(f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY PASSWORD '{stored}'")
    server.query(f"ALTER USER {account} IDENTIFIED BY PASSWORD '{stored}'")
    server.query(f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION")


def log(message: str) -> None:
    """Write one line to the container's log."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}Z agent: {message}", flush=True)

"""PID 1 of a database member: recovers its position, reports it, and starts what was decided.

Before every start of the server the agent draws a fresh attempt id, recovers the position of the
data and reports both. It starts the server only by a decision for exactly that attempt, each once;
left alone it may only re-join, and only when a peer is primary. A crash of the server is therefore
no restart of the container: the agent recovers and reports again.

The report of the position is withdrawn before the server starts and exists again only when the next
recovery is finished: a position that was true before the last start must never be compared.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackroles.agents import galera_http, galera_process, galera_sql
from stackroles.agents.galera_peers import may_rejoin, pull
from stackroles.agents.galera_process import Server, Wsrep
from stackroles.agents.galera_settings import Settings, read_annotation
from stackroles.agents.galera_volume import Position, Volume

_TICK = 0.1
_SAMPLE_SECONDS = 0.5
_STOP_SECONDS = 240.0
_GIVE_UP_SECONDS = 15.0
_PEER_SECONDS = 2.0
_START_MODES = ("create", "bootstrap", "join")


@dataclass(frozen=True)
class Decision:
    """What the operator decided for one attempt of one member.

    Attributes:
        attempt: the attempt it is for.
        epoch: the deciding operator's term; terms only grow.
        mode: create, bootstrap, join, or recover (stop, if need be, and report anew).
        uuid, seqno: the position it was made on.
        transfer: how a full transfer is done (a wsrep_sst_method).
        full: discard the own position, so that the join is a full transfer.
    """

    attempt: str
    epoch: int
    mode: str
    uuid: str | None = None
    seqno: int = -1
    transfer: str = "mariabackup"
    full: bool = False


def parse_decision(text: str) -> Decision | None:
    """Return the decision in an annotation's value, or None when there is no valid one."""
    try:
        found = json.loads(text)
        decision = Decision(
            attempt=str(found["attempt"]),
            epoch=int(found["epoch"]),
            mode=str(found["mode"]),
            uuid=found.get("uuid"),
            seqno=int(found.get("seqno", -1)),
            transfer=str(found.get("transfer", "mariabackup")),
            full=bool(found.get("full", False)),
        )
    except (ValueError, KeyError, TypeError):
        return None
    known = decision.mode in (*_START_MODES, "recover")
    return decision if known and decision.transfer in ("mariabackup", "rsync") else None


def refusal(
    decision: Decision, attempt: str, position: Position, obeyed: Mapping[str, Any]
) -> str | None:
    """Return why a waiting member must not obey a decision, or None when it must."""
    if decision.attempt != attempt:
        return "it is for another attempt"
    if obeyed.get("attempt") == attempt:
        return "it was obeyed before"
    if decision.epoch < int(obeyed.get("epoch", 0)):
        return "a later operator has decided since"
    if decision.mode == "create" and not position.empty:
        return "the volume is not empty"
    if decision.mode == "bootstrap" and (
        position.uuid is None or (decision.uuid, decision.seqno) != (position.uuid, position.seqno)
    ):
        return "it was made for another position"
    return None


class Agent:
    """One member: its volume, its server, and what it says of them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.volume = Volume(settings.volume)
        self.volume_id = self.volume.prepare()
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        self._state: dict[str, Any] = {"attempt": "", "phase": "Recovering", "position": None}
        self._wsrep: Wsrep | None = None
        self._server: Server | None = None
        self._primary = time.monotonic()
        self._failed_joins = 0
        self._failure = ""
        self._said = ""

    # -- what others see -------------------------------------------------------------------------

    def _enter(self, phase: str, **changes: Any) -> None:
        with self._lock:
            self._state = {**self._state, "phase": phase, "activity": None, **changes}
            if phase not in ("Running", "Stopping"):
                self._wsrep = None

    def report(self) -> dict[str, Any]:
        """Return what this member knows of itself; `position` only while no server runs."""
        with self._lock:
            state, wsrep = dict(self._state), self._wsrep
            alone = time.monotonic() - self._primary
        return {
            "member": self.settings.member,
            "podUid": self.settings.pod_uid,
            "volumeId": self.volume_id,
            "address": self.settings.address,
            "creating": self.volume.creating,
            "failedJoins": self._failed_joins,
            "failure": self._failure,
            "nonPrimarySeconds": round(alone) if wsrep and not wsrep.primary else 0,
            "wsrep": wsrep.as_json() if wsrep else None,
            **state,
        }

    def serves(self) -> bool:
        """Return whether clients may be sent here."""
        with self._lock:
            wsrep, phase = self._wsrep, self._state["phase"]
        return bool(wsrep and wsrep.serves and phase == "Running" and not self.volume.creating)

    def wsrep(self) -> Wsrep | None:
        """Return the server's last view of the cluster."""
        with self._lock:
            return self._wsrep

    # -- the loop --------------------------------------------------------------------------------

    def run(self) -> None:
        """Recover, wait, start and watch until told to stop."""
        while not self.stopping.is_set():
            position = self._recover()
            decision = self._await_decision(position)
            if decision is None or decision.mode == "recover":
                continue
            if not self._start(decision, position):
                continue
            try:
                self._watch(decision)
            finally:
                self._end()

    def _recover(self) -> Position:
        attempt = uuid.uuid4().hex
        self._enter("Recovering", attempt=attempt, position=None, mode=None)
        self.volume.forget_view()
        began = time.monotonic()
        position = self.volume.position(self.settings.recovery_command())
        say(f"Attempt {attempt}: position {position} after {time.monotonic() - began:.1f} s")
        self._enter("Waiting", position=position.as_json())
        return position

    def _await_decision(self, position: Position) -> Decision | None:
        """Return what to do with this attempt; None when told to stop."""
        attempt = self._state["attempt"]
        began = asked = time.monotonic()
        while not self.stopping.wait(_TICK):
            galera_process.reap(set())
            decision = self._published()
            if decision is not None:
                why_not = refusal(decision, attempt, position, self.volume.obeyed())
                if why_not is None:
                    return decision
                self._say_once(f"Refused {decision.mode} for {decision.attempt}: {why_not}")
            now = time.monotonic()
            if now - began > self.settings.alone_seconds and now - asked > _PEER_SECONDS:
                asked = now
                reports = pull(self.settings.peers)
                here = self.settings.member, self.settings.address
                if may_rejoin(*here, position.as_json(), reports):
                    say("No decision came; a peer is primary: joining it")
                    epoch = int(self.volume.obeyed().get("epoch", 0))
                    return Decision(attempt=attempt, epoch=epoch, mode="join")
        return None

    def _published(self) -> Decision | None:
        try:
            text = self.settings.annotations.read_text()
        except OSError:
            return None
        value = read_annotation(text, self.settings.annotation)
        return parse_decision(value) if value else None

    def _start(self, decision: Decision, position: Position) -> bool:
        """Note the decision on the volume, then start the server; False when it cannot be noted."""
        self._enter("Starting", position=None, mode=decision.mode)
        try:
            self.volume.record_obeyed({"attempt": decision.attempt, "epoch": decision.epoch})
            command = self._command(decision, position)
        except (OSError, subprocess.SubprocessError) as error:
            self._failure = f"The server was not started: {error}"
            say(self._failure)
            self._enter("Recovering")
            self.stopping.wait(1)
            return False
        self.settings.socket.unlink(missing_ok=True)
        say(f"Starting by decision {decision}")
        self._server = Server(command, str(self.settings.socket), self.settings.user)
        return True

    def _command(self, decision: Decision, position: Position) -> list[str]:
        """Prepare the data for a start and return the server's command."""
        command = [self.settings.server, *self.settings.options()]
        if decision.mode == "create":
            self.volume.begin_creation()
            subprocess.run(self.settings.install_command(), check=True, stdout=sys.stderr)
            return [*command, "--wsrep-new-cluster"]
        if decision.mode == "bootstrap":
            self.volume.allow_bootstrap()
            command.append("--wsrep-new-cluster")
        elif position.uuid is None or decision.full:
            # A joiner that names no position is sent everything.
            if position.empty:
                self.volume.clear()
                self.volume.end_creation()
            if decision.full and position.uuid is not None:
                self.volume.forget_position()
            return [*command, f"--wsrep-sst-method={decision.transfer}"]
        start = f"--wsrep-start-position={position.uuid}:{position.seqno}"
        return [*command, start, f"--wsrep-sst-method={decision.transfer}"]

    def _watch(self, decision: Decision) -> None:
        """Follow the running server until it ends or must be ended."""
        assert self._server is not None  # noqa: S101 - called after _start
        watch = Watch(self, self._server, decision)
        while (code := self._server.exit_code()) is None:
            if self.stopping.wait(_TICK):
                self._stop_gracefully()
                return
            galera_process.reap({self._server.pid})
            why, patience = watch.look()
            if why is not None:
                self._failure = f"The server was stopped: {why}"
                say(self._failure)
                self._enter("Stopping")
                self._server.stop(patience)
                break
        else:
            words = "; ".join(self._server.last_words) or "it logged no error"
            self._failure = f"The server ended by itself with {code}: {words}"[:1000]
            say(self._failure)
        if decision.mode == "join" and not watch.was_synced:
            self._failed_joins += 1

    def _stop_gracefully(self) -> None:
        """Let the proxies move the clients away, then stop the server."""
        assert self._server is not None  # noqa: S101 - called while it runs
        self._enter("Stopping")
        deadline = time.monotonic() + self.settings.drain_seconds
        with contextlib.suppress(OSError, galera_sql.SqlError):
            while time.monotonic() < deadline and self._server.clients() > 0:
                time.sleep(_TICK)
        code = self._server.stop(_STOP_SECONDS)
        say(f"The server was stopped: {code}")

    def _end(self) -> None:
        """Withdraw what was said of the ended server."""
        server, self._server = self._server, None
        self._enter("Recovering", position=None)
        if server is not None:
            server.cleanup()

    # -- helpers of the watch --------------------------------------------------------------------

    def seen(self, wsrep: Wsrep | None, phase: str, activity: str | None) -> None:
        """Publish a sample of the running server."""
        with self._lock:
            self._wsrep = wsrep
            if wsrep is None or wsrep.primary:
                self._primary = time.monotonic()
            if self._state["phase"] != "Stopping":
                self._state = {**self._state, "phase": phase, "activity": activity}

    def joined(self) -> None:
        """Forget failures: the server is a whole member."""
        self._failed_joins = 0
        self._failure = ""

    def recovery_wanted(self) -> bool:
        """Return whether the operator asks this running attempt to stop and report anew."""
        found = self._published()
        return bool(found and found.mode == "recover" and found.attempt == self._state["attempt"])

    def _say_once(self, words: str) -> None:
        if words != self._said:
            self._said = words
            say(words)


class Watch:
    """Judges a running server: does a start make progress, is a member lost for good."""

    def __init__(self, agent: Agent, server: Server, decision: Decision) -> None:
        self._agent, self._server, self._decision = agent, server, decision
        self._sampled = 0.0
        self._measure: tuple[int, int] = (0, 0)
        self._progress = time.monotonic()
        self._measured = 0.0
        self._account_made = not agent.settings.operator_password
        self.was_synced = False

    def look(self) -> tuple[str | None, float]:
        """Return why the server must be stopped now (None: it must not), and with what patience."""
        now = time.monotonic()
        if now - self._sampled < _SAMPLE_SECONDS:
            return None, 0
        self._sampled = now
        wsrep = self._server.sample()
        phase = "Running" if wsrep is not None or self.was_synced else "Starting"
        self._agent.seen(wsrep, phase, self._activity(wsrep))
        if wsrep is not None and wsrep.synced:
            if not self.was_synced:
                self._agent.joined()
            self.was_synced = True
            self._complete(wsrep)
        if self._agent.recovery_wanted():
            return "the operator asks for a new report of the position", _STOP_SECONDS
        if self._server.given_up:
            return "it says that only a new start helps", _GIVE_UP_SECONDS
        if self.was_synced:
            return self._lost(wsrep)
        return self._stuck(now)

    def _activity(self, wsrep: Wsrep | None) -> str | None:
        if wsrep is not None and (wsrep.synced or wsrep.state == galera_process.DONOR):
            return "Donor" if wsrep.state == galera_process.DONOR else None
        if self.was_synced:
            return None
        return "SST" if galera_process.running(b"wsrep_sst_") else "Joining"

    def _complete(self, wsrep: Wsrep) -> None:
        """Finish a first start: the operator's account, then the mark that the database is made."""
        if self._account_made and not self._agent.volume.creating:
            return
        try:
            if not self._account_made:
                ensure_operator(self._server, self._agent.settings)
                self._account_made = True
            self._agent.volume.end_creation()
        except (OSError, galera_sql.SqlError) as error:
            say(f"The operator's account could not be made, trying again: {error}")
        else:
            say(f"Synced at {wsrep.uuid}:{wsrep.committed} with {wsrep.size} members")

    def _lost(self, wsrep: Wsrep | None) -> tuple[str | None, float]:
        """A member that was synced comes back by itself, unless it left the group for good."""
        if wsrep is not None and not wsrep.connected and wsrep.comment == "Inconsistent":
            return "it was found inconsistent and left the group", _GIVE_UP_SECONDS
        return None, 0

    def _stuck(self, now: float) -> tuple[str | None, float]:
        """A start may take as long as it needs, as long as log or data move."""
        if now - self._measured < 2:
            return None, 0
        self._measured = now
        measure = (self._server.lines, self._agent.volume.size())
        if measure != self._measure:
            self._measure, self._progress = measure, now
        if now - self._progress > self._agent.settings.join_seconds:
            quiet = self._agent.settings.join_seconds
            return f"neither its log nor its data moved for {quiet:.0f} s", _GIVE_UP_SECONDS
        return None, 0


def ensure_operator(server: Server, settings: Settings) -> None:
    """Make the account through which databases and accounts are set up; idempotent.

    SQL carries the password's hash only. Raises OSError or SqlError.
    """
    account = f"{galera_sql.literal(settings.operator_user)}@'%'"
    stored = galera_sql.native_hash(settings.operator_password)
    rows = server.query(
        "SELECT JSON_VALUE(priv, '$.authentication_string') FROM mysql.global_priv"  # noqa: S608
        f" WHERE user = {galera_sql.literal(settings.operator_user)} AND host = '%'"
    )
    if rows and rows[0][0] == stored:
        return
    server.query(f"CREATE USER IF NOT EXISTS {account} IDENTIFIED BY PASSWORD '{stored}'")
    server.query(f"ALTER USER {account} IDENTIFIED BY PASSWORD '{stored}'")
    server.query(f"GRANT ALL PRIVILEGES ON *.* TO {account} WITH GRANT OPTION")


def say(words: str) -> None:
    """Write one line to the container's log."""
    print(f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime())}Z agent: {words}", flush=True)


def main() -> int:
    """Run until SIGTERM or SIGINT; returns 0 after a clean stop of the server."""
    agent = Agent(Settings.from_environment(os.environ))
    galera_process.adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stopping.set())
    with galera_http.serving(agent):
        agent.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

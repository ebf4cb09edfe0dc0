"""PID 1 of a database member: recovers its position, reports it, and starts what was decided.

Before every start of the server the agent draws a fresh attempt id, recovers the position of the
data and reports both. It starts the server only by a decision for exactly that attempt, each once;
left alone it may only re-join, and only when a peer is primary. A crash of the server is therefore
no restart of the container: the agent recovers and reports again.

The report of the position is withdrawn before the server starts and exists again only when the next
recovery is finished: a position that was true before the last start must never be compared.
"""

import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from dataclasses import replace
from typing import Any

from stackroles.agents import children, signals, wire
from stackroles.agents.annotations import read_annotation
from stackroles.agents.galera import http_server, mariadb, start
from stackroles.agents.galera.decision import rejection
from stackroles.agents.galera.flow_control import FlowControl, FlowControlWatch
from stackroles.agents.galera.peers import are_synced, may_rejoin, pull
from stackroles.agents.galera.process import ServerProcess, Wsrep
from stackroles.agents.galera.protocol import (
    Activity,
    Decision,
    MemberPhase,
    Mode,
    Position,
    Report,
)
from stackroles.agents.galera.settings import MemberSettings
from stackroles.agents.galera.volume import AppliedDecision, Volume
from stackroles.agents.galera.watch import STOP_SECONDS, ServerWatch, log
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.agents.text import shorten

_TICK = 0.1
_PEER_SECONDS = 2.0
# A joiner that fails again and again disturbs the writers each time.
_REST_SECONDS = 60.0
# After which all proxies have noticed that a member drains: two of their checks, a second each.
_PROXY_SECONDS = 2.5
# information_schema.innodb_trx is made anew only when it was not read for 100 ms.
_ROUND_SECONDS = 0.2


class Agent:
    """One member: its volume, its server, and what it says of them."""

    def __init__(self, settings: MemberSettings) -> None:
        self.settings = settings
        self.volume = Volume(settings.volume, settings.room_bytes)
        self.volume_id = self.volume.prepare()
        self.stopping = signals.StopRequest()
        self._lock = threading.Lock()
        # What changes with the loop; `report` adds what is known at any time.
        self._report = Report(
            member=settings.member,
            pod_uid=settings.pod_uid,
            volume_id=self.volume_id,
            address=settings.address,
            attempt="",
            phase=MemberPhase.RECOVERING,
        )
        self._wsrep: Wsrep | None = None
        self._flow_control = FlowControlWatch()
        self._server: ServerProcess | None = None
        self._primary = time.monotonic()
        self._failed_starts = 0
        self._failure = ""
        self._rested = 0.0
        self._asked_peers = 0.0
        self._last_logged = ""
        self._draining = False

    # -- what others see -------------------------------------------------------------------------

    def _enter(self, phase: MemberPhase, **changes: Any) -> None:
        with self._lock:
            self._report = replace(self._report, phase=phase, activity=None, **changes)
            if phase not in (MemberPhase.RUNNING, MemberPhase.STOPPING):
                self._wsrep = None

    def report(self) -> Report:
        """Return what this member knows of itself; `position` only while no server runs."""
        with self._lock:
            report, wsrep = self._report, self._wsrep
            flow = self._flow_control.last if wsrep else FlowControl()
            alone = time.monotonic() - self._primary
        return replace(
            report,
            creating=self.volume.creating,
            failed_starts=self._failed_starts,
            failure=self._failure,
            applied_epoch=self.volume.applied_decision().epoch,
            backing_off=time.monotonic() < self._rested,
            non_primary_seconds=round(alone) if wsrep and not wsrep.primary else 0,
            view=wsrep.view() if wsrep else None,
            leaving=self._is_to_leave(),
            disk_percent=self.volume.percent_used(),
            full=self.volume.is_full(),
            connections=wsrep.connections if wsrep else None,
            paused_percent=flow.percent,
            pauses=flow.sent,
        )

    def serves(self) -> bool:
        """Return whether clients may be sent here."""
        with self._lock:
            wsrep, phase = self._wsrep, self._report.phase
        return bool(
            wsrep and wsrep.serves and phase is MemberPhase.RUNNING and not self.volume.creating
        )

    def drains(self) -> bool:
        """Return whether it serves on only until its sessions have ended."""
        return self._draining

    def wsrep(self) -> Wsrep | None:
        """Return the server's last view of the cluster."""
        with self._lock:
            return self._wsrep

    # -- the loop --------------------------------------------------------------------------------

    def run(self) -> None:
        """Recover, wait, start and watch until asked to stop."""
        while not self.stopping.is_set():
            position = self._recover()
            decision = self._await_decision(position)
            if decision is None or decision.mode is Mode.RECOVER:
                continue
            if not self._start(decision, position):
                continue
            try:
                self._watch()
            finally:
                self._end()

    def _recover(self) -> Position:
        attempt = uuid.uuid4().hex
        self._enter(MemberPhase.RECOVERING, attempt=attempt, position=None, mode=None)
        self.volume.forget_view()
        began = time.monotonic()
        position = self.volume.position(self.settings.recovery_command())
        log(f"Attempt {attempt}: position {position} after {time.monotonic() - began:.1f} s")
        self._enter(MemberPhase.WAITING, position=position)
        return position

    def _await_decision(self, position: Position) -> Decision | None:
        """Return what to do with this attempt; None when asked to stop."""
        attempt = self._report.attempt
        began = asked = time.monotonic()
        while not self.stopping.wait(_TICK):
            children.reap(set())
            decision = self._published()
            if decision is not None:
                why_not = rejection(decision, attempt, position, self.volume.applied_decision())
                if why_not is None:
                    return decision
                self._log_once(f"Rejected {decision.mode} for {decision.attempt}: {why_not}")
            now = time.monotonic()
            began = max(began, self._rested)
            if self._is_to_leave() or self.volume.is_full():
                continue
            if now - began > self.settings.alone_seconds and now - asked > _PEER_SECONDS:
                asked = now
                reports = pull(self.settings.peers)
                here = self.settings.member, self.settings.address
                if may_rejoin(*here, position, reports):
                    log("No decision came; a peer is primary: joining it")
                    epoch = self.volume.applied_decision().epoch
                    return Decision(attempt=attempt, epoch=epoch, mode=Mode.JOIN)
        return None

    def _published(self) -> Decision | None:
        value = self._annotation(self.settings.annotation)
        try:
            return wire.loads(Decision, value) if value else None
        except wire.WireError:
            return None

    def _annotation(self, name: str) -> str | None:
        try:
            return read_annotation(self.settings.annotations.read_text(), name)
        except OSError:
            return None

    def _is_to_leave(self) -> bool:
        """Return whether the operator asks this member to leave its cluster for good."""
        asked = self.settings.surplus and self._annotation(LEAVE_ANNOTATION)
        return bool(asked) and asked == self.settings.pod_uid

    def _why_leaving(self) -> str:
        """Return why it leaves now, with all who stay having everything that it has; else "".

        Of members whose volumes are full together one leaves, whose data stays whole.
        """
        now = time.monotonic()
        if now - self._asked_peers < _PEER_SECONDS:
            return ""
        if self._is_to_leave():
            why = "Leaving the cluster for good"
        elif self.volume.is_full():
            why = "Leaving the cluster until there is room on the volume"
        else:
            return ""
        self._asked_peers = now
        wsrep = self.wsrep()
        left = bool(wsrep and wsrep.synced) and are_synced(pull(self.settings.peers))
        return why if left and self.settings.peers else ""

    def _start(self, decision: Decision, position: Position) -> bool:
        """Note the decision on the volume, then start the server; False when it cannot be noted."""
        self._enter(MemberPhase.STARTING, position=None, mode=decision.mode)
        try:
            start.check_options(self.settings)
            self.volume.record_applied(AppliedDecision(decision.attempt, decision.epoch))
            command = start.prepare(self.settings, self.volume, decision, position)
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            self._fail(f"The server was not started: {error}")
            self._enter(MemberPhase.RECOVERING)
            self.stopping.wait(1)
            return False
        self.settings.socket.unlink(missing_ok=True)
        log(f"Starting by decision {decision}")
        self._server = ServerProcess(command, str(self.settings.socket), self.settings.user)
        return True

    def _watch(self) -> None:
        """Follow the running server until it ends or must be ended."""
        assert self._server is not None  # noqa: S101 - called after _start
        watch = ServerWatch(self, self._server)
        while (code := self._server.exit_code()) is None:
            if self.stopping.wait(_TICK):
                self._stop_gracefully()
                return
            children.reap({self._server.pid})
            why, patience = watch.check()
            if why is None and (leaving := self._why_leaving()):
                log(leaving)
                self._stop_gracefully()
                return
            if why is not None:
                self._enter(MemberPhase.STOPPING)
                self._server.stop(patience)
                break
        else:
            errors = "; ".join(self._server.last_errors) or "it logged no error"
            why = f"it ended by itself with {code}: {errors}"
        # A stop that was asked for says nothing against the member.
        if watch.was_synced or watch.stop_wanted:
            log(f"The server is gone: {why}")
        else:
            self._fail(f"The server never was synced: {why}")

    def _fail(self, why: str) -> None:
        """Note a start that came to nothing; the next join waits the longer the more there were."""
        with self._lock:
            self._failure = shorten(why, 1000)
            self._failed_starts += 1
            self._rested = time.monotonic() + min(2.0**self._failed_starts, _REST_SECONDS)
        log(why)

    def _stop_gracefully(self) -> None:
        """Have the proxies send nobody here any more, end idle sessions, then stop the server."""
        server = self._server
        assert server is not None  # noqa: S101 - called while it runs
        self._draining = self.serves()
        self._enter(MemberPhase.STOPPING)
        began = time.monotonic()
        while (waited := time.monotonic() - began) < self.settings.drain_seconds:
            try:
                if server.exit_code() is not None or not self._drain(server, waited):
                    break
            except (OSError, mariadb.SqlError) as error:
                self._log_once(f"The sessions could not be asked for: {error}")
            time.sleep(_ROUND_SECONDS)
        else:
            log("Sessions that did not end are cut")
        code = server.stop(STOP_SECONDS)
        self._draining = False
        log(f"The server was stopped: {code}")

    def _drain(self, server: ServerProcess, waited: float) -> bool:
        """End idle sessions; return whether some may still come, or are left."""
        wsrep = server.sample()
        if wsrep is not None and not wsrep.serves:
            # The proxies are to cut what is here: it would wait for a component in vain.
            self._draining = False
        # One that connects again before the proxies have noticed would come back here.
        if self._draining and waited <= _PROXY_SECONDS:
            return True
        if not server.clients():
            return False
        server.close_idle()
        return True

    def _end(self) -> None:
        """Withdraw what was reported of the ended server."""
        server, self._server = self._server, None
        self._enter(MemberPhase.RECOVERING, position=None)
        if server is not None:
            server.cleanup()

    # -- helpers of the watch --------------------------------------------------------------------

    def seen(self, wsrep: Wsrep | None, phase: MemberPhase, activity: Activity | None) -> None:
        """Publish a sample of the running server."""
        with self._lock:
            self._wsrep = wsrep
            if wsrep is not None:
                self._flow_control.add(wsrep.counters, time.monotonic())
            if wsrep is None or wsrep.primary:
                self._primary = time.monotonic()
            if self._report.phase is not MemberPhase.STOPPING:
                self._report = replace(self._report, phase=phase, activity=activity)

    def joined(self) -> None:
        """Forget failures: the server is a whole member."""
        self.volume.end_join()
        self._failed_starts = 0
        self._failure = ""

    def recovery_wanted(self) -> bool:
        """Return whether the operator asks this running attempt to stop and report anew."""
        found = self._published()
        return bool(found and found.mode is Mode.RECOVER and found.attempt == self._report.attempt)

    def _log_once(self, message: str) -> None:
        if message != self._last_logged:
            self._last_logged = message
            log(message)


def main() -> int:
    """Run until SIGTERM or SIGINT; returns 0 after a clean stop of the server."""
    agent = Agent(MemberSettings.from_environment(os.environ))
    children.adopt_orphans()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: agent.stopping.ask())
    with http_server.serving(agent):
        agent.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

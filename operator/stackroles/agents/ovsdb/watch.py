"""Watches the server of an OVN database's member while it runs."""

import time
from dataclasses import replace

from stackroles.agents.ovsdb.cluster_status import read_view, stale_servers
from stackroles.agents.ovsdb.control import Refused, control
from stackroles.agents.ovsdb.log import log
from stackroles.agents.ovsdb.member import Member
from stackroles.agents.ovsdb.membership import Peer, other_cluster
from stackroles.agents.ovsdb.peers import ask
from stackroles.agents.ovsdb.protocol import ClusterView, State
from stackroles.agents.ovsdb.server import OvsdbServer
from stackroles.agents.silence import SILENT_SECONDS, Silence

PERIOD = 1.0
# A server is asked in a millisecond; one that is starved of CPU may miss two calls.
MISSED = 3
# A member of a cluster of its own may well serve: it does not learn of the others by itself.
ASK_OTHERS_EVERY = 10.0
# A server that is asked to end does so at once; one that hangs does not heed it.
KILL_SECONDS = 15.0


class Watch:
    """One run of the server."""

    def __init__(self, member: Member, server: OvsdbServer) -> None:
        self._member = member
        self._server = server
        self._asked = time.monotonic()
        self._missed = 0
        self._silence = Silence()
        self._ended_at = 0.0
        self._removed: set[str] = set()
        self.again = False
        """Whether the file has to be prepared anew once the server has ended."""
        self.fault = ""
        """Why it is not to be used any more, empty where it may be."""

    def run(self) -> None:
        """Observe until the server has ended."""
        self._member.change(state=State.STARTING)
        while not self._server.ended.wait(PERIOD):
            self.observe()

    def observe(self) -> None:
        """Take one answer of the server, and do what follows from it."""
        if self.again:
            self._insist()
            return
        try:
            view = self._view()
        except Refused as refusal:
            # It has left, or was removed: the server goes on without its database.
            self._end(f"the server has no cluster any more: {refusal}")
            return
        if not self._is_late(view):
            self._take(view)

    def _insist(self) -> None:
        """Kill a server that does not end when it is asked to."""
        if time.monotonic() - self._ended_at > KILL_SECONDS:
            self._server.kill()

    def _is_late(self, view: ClusterView | None) -> bool:
        """Return whether nothing follows yet from no answer; end a server that hangs."""
        if self._silence.hangs(time.monotonic(), answered=view is not None):
            silent = f"answered nothing for {SILENT_SECONDS:.0f} s"
            self._member.note(f"starts its server again, which {silent}")
            self._end(f"it has {silent}")
            return True
        self._missed = 0 if view is not None else self._missed + 1
        return 0 < self._missed < MISSED and self._member.status.state is State.MEMBER

    def _take(self, view: ClusterView | None) -> None:
        member = self._member
        answer = ask("127.0.0.1", member.settings.port, member.settings.database)
        connected = answer.state is Peer.SERVING
        shown = replace(view, entries=0) if view is not None and connected else view
        member.change(state=_state(view), view=shown, connected=connected)
        if view is None or view.status == "leaving cluster":
            return
        if member.ready:
            member.change(fault="")
            self._remove_former_self(view)
        if view.is_member and member.is_to_leave:
            log("leaving the cluster, as the operator asks")
            self._command("cluster/leave")
            return
        decided = member.decision
        if decided is not None and decided.incident and not member.ready:
            self._end(f"the operator has decided to {decided.mode} the cluster")
            return
        self._give_way(view, connected=connected)

    def _view(self) -> ClusterView | None:
        """Return what the server reports of its cluster; None where it does not answer."""
        settings = self._member.settings
        try:
            return read_view(control(settings.control, "cluster/status", settings.database))
        except (OSError, ValueError):
            return None

    def _remove_former_self(self, view: ClusterView) -> None:
        """Remove servers that this member's lost file left in the cluster.

        After joining anew a member has another identity. Its former self has its address, and would
        count against the majority for ever.
        """
        for sid in stale_servers(view, self._member.settings.raft(self._member.ordinal)):
            if sid not in self._removed:
                self._member.note(f"has joined anew and removes its former self, server {sid}")
            self._removed.add(sid)
            self._command("cluster/kick", sid)

    def _give_way(self, view: ClusterView, *, connected: bool) -> None:
        """End the server when a majority of the others serve in another cluster."""
        now = time.monotonic()
        if connected and now - self._asked < ASK_OTHERS_EVERY:
            return
        self._asked = now
        member = self._member
        enough = 1 if member.status.state is State.JOINING else member.majority
        other = other_cluster(view.cluster_id, member.ask_others(), enough)
        if other:
            self.fault = f"it is of cluster {view.cluster_id}, and others serve in {other}"
            self._end(f"its file is not used any more: {self.fault}")

    def _command(self, command: str, *arguments: str) -> None:
        settings = self._member.settings
        try:
            control(settings.control, command, settings.database, *arguments)
        except (OSError, ValueError, Refused) as error:
            log(f"{command} failed: {error}")

    def _end(self, because: str) -> None:
        log(f"ending the server: {because}")
        self.again = True
        self._ended_at = time.monotonic()
        self._member.change(view=None, connected=False)
        self._server.terminate()


def _state(view: ClusterView | None) -> State:
    if view is None:
        return State.STARTING
    match view.status:
        case "joining cluster":
            return State.JOINING
        case "leaving cluster":
            return State.LEAVING
        case _:
            # Also "disconnected from the cluster (election timeout)".
            return State.MEMBER

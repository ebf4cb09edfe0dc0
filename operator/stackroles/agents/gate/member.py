"""A gate's state and how it changes by what happens; pure but for being changed.

It knows no process, no network and no clock: the agent (agent.py) tells it what happened and when,
and does what it says. The property test (tests/unit/agents/gate/test_world.py) drives the same
code.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from stackroles.agents.gate import decision, lease
from stackroles.agents.gate.model import Child, ChildMove, Leaving, Object, Own, Request, Rules
from stackroles.agents.gate.protocol import GateStatus, State


@dataclass(frozen=True, slots=True)
class Ask:
    """A request to the API: read the Lease, or replace it by a body."""

    request: Request
    body: Object | None = None


class Member:
    """One gate's view, and its decisions."""

    def __init__(self, identity: str, rules: Rules, now: float) -> None:
        self.rules = rules
        self.own = Own(identity=identity)
        self.child = Child()
        self._outstanding = False
        self._state, self._state_since = State.STANDBY, now

    # What happens to the claim.

    def tick(self, now: float, wall: datetime) -> None:
        """Let time pass: hand over for a reason that came up, end a hand-over that nobody took."""
        leaving = self.own.leaving
        if leaving and not leaving.stopping and leaving.taken_back(now):
            self.own = replace(self.own, leaving=None)
        reason, wait = decision.why_leave(self.own, self.child, now, self.rules)
        if reason:
            self._leave(Leaving(reason=reason, since=now, at=lease.stamp(wall), wait=wait), now)
        found = decision.state(self.own, self.child, now, self.rules)
        if found is not self._state:
            self._state, self._state_since = found, now

    def stop(self, now: float, wall: datetime) -> None:
        """Begin to stop, for good."""
        if self.own.stopping:
            return
        reason = f"{lease.pod_of(self.own.identity)} was stopped"
        leaving = Leaving(reason=reason, since=now, at=lease.stamp(wall), wait=0.0, stopping=True)
        self._leave(leaving, now)

    def _leave(self, leaving: Leaving, now: float) -> None:
        own = self.own
        # A hot child takes requests until the next one does.
        hot = own.held and not self.rules.cold
        overlap = now + self.rules.duration if hot else own.overlap
        self.own = replace(own, leaving=leaving, overlap=overlap)
        self.child = replace(self.child, ends=0)

    def ask(self, now: float, wall: datetime) -> Ask | None:
        """Return what to ask of the API now; None while a request is under way, or for nothing."""
        if self._outstanding or self.rules.standby is None:
            return None
        request = decision.request(self.own, self.child, now, self.rules)
        if request is None:
            return None
        self._outstanding = True
        self.own = replace(self.own, asked=now)
        return Ask(request, self._body(request, now, wall))

    def _body(self, request: Request, now: float, wall: datetime) -> Object | None:
        own, seen, duration = self.own, self.own.seen, self.rules.duration
        if request is Request.LOOK or seen is None:
            return None
        if request is Request.TAKE:
            return lease.taken(seen, own.identity, duration=duration, now=now, wall=wall)
        if request is Request.RENEW or own.leaving is None:
            active = decision.state(own, self.child, now, self.rules) is State.ACTIVE
            return lease.renewed(seen, duration=duration, wall=wall, active=active)
        # Whatever becomes of the request, the claim ends here.
        leaving = replace(own.leaving, released=now)
        not_before = max(own.not_before, now + leaving.wait)
        self.own = replace(own, held=False, leaving=leaving, not_before=not_before)
        return lease.released(seen, leaving)

    def answered(self, ask: Ask, sent: float, found: Object, now: float) -> None:
        """Take the API's answer.

        Args:
            ask: what was asked.
            sent: when, before the first byte left.
            found: the Lease.
            now: when the answer is looked at.
        """
        self._outstanding = False
        own = self.own
        seen = lease.sighted(found, now, own.seen, self.rules.duration)
        own = replace(own, seen=seen, stale=False, conflict=False, trouble="")
        if ask.request in (Request.TAKE, Request.RENEW):
            own = replace(own, held=True, until=sent + self.rules.deadline)
        elif seen.holder != own.identity:
            own = replace(own, held=False)
            if seen.holder:
                # Another member has it: who handed over may soon take no requests any more.
                ended = own.leaving if own.stopping else None
                overlap = min(own.overlap, now + self.rules.drain)
                own = replace(own, leaving=ended, overlap=overlap)
        self.own = own

    def failed(self, why: str, *, conflict: bool = False) -> None:
        """Take that a request had no answer, or was refused.

        Args:
            why: for a person.
            conflict: because somebody else wrote.
        """
        self._outstanding = False
        trouble = self.own.trouble if conflict else why
        self.own = replace(self.own, stale=True, conflict=conflict, trouble=trouble)

    # What happens to the child.

    def move(self, now: float) -> ChildMove:
        """Return what to do with the child now."""
        return decision.child_move(self.own, self.child, now, self.rules)

    def started(self, now: float) -> None:
        """Take that the child was started."""
        old = self.child
        self.child = Child(running=True, since=now, health_since=now, ends=old.ends)

    def terminated(self, now: float) -> None:
        """Take that the child was asked to end."""
        self.child = replace(self.child, asked=now)

    def health(self, *, healthy: bool, now: float) -> None:
        """Take whether the child can serve."""
        child = self.child
        if child.running and child.healthy is not healthy:
            was = child.was_healthy or healthy
            self.child = replace(child, healthy=healthy, health_since=now, was_healthy=was)

    def backlog(self, *, waits: bool) -> None:
        """Take whether connections wait that the child has not accepted."""
        self.child = replace(self.child, backlog=waits)

    def ended(self, how: str, now: float) -> None:
        """Take that no process of the child runs any more.

        Args:
            how: its exit status, for a person.
            now: when.
        """
        old, ends = self.child, 0
        stopped = self.rules.cold and not decision.claimed(self.own, now, self.rules)
        if old.asked is None and not stopped and not self.own.stopping:
            ends = old.ends + 1 if now - old.since < decision.QUICK else 1
        self.child = Child(
            since=now,
            ends=ends,
            last_end=how if ends else old.last_end,
            not_before=now + decision.backoff(ends),
        )

    # What it reports.

    def serving(self, now: float) -> int:
        """Return HTTP's status for the proxies."""
        return decision.serving(self.own, self.child, now, self.rules)

    def ready(self, now: float) -> bool:
        """Return whether this member is settled."""
        return decision.ready(self.own, self.child, now, self.rules)

    def may_exit(self, now: float) -> bool:
        """Return whether a member that stops has done all that it can."""
        return decision.may_exit(self.own, self.child, now, self.rules)

    def status(self, now: float) -> GateStatus:
        """Return its report."""
        own = self.own
        known = own.seen.lease if own.seen else {}
        return GateStatus(
            state=decision.state(own, self.child, now, self.rules),
            holder=lease.pod_of(own.holder),
            since=round(max(now - self._state_since, 0.0), 1),
            transitions=lease.transitions(known),
            last_switchover=lease.last_switchover(known),
            message=self._message(now),
        )

    def _message(self, now: float) -> str:
        own, child = self.own, self.child
        if own.leaving:
            return own.leaving.reason
        if own.trouble:
            return f"The Lease cannot be used: {own.trouble}"
        if not child.running and child.ends:
            wait = max(child.not_before - now, 0.0)
            return f"Its program ended {child.last_end}; it is started again in {wait:.0f} s"
        if child.running and child.was_healthy and not child.healthy:
            return f"Its program has not answered for {now - child.health_since:.0f} s"
        return ""

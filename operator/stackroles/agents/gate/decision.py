"""What a gate does next; pure.

The rules that keep two cold children from running at once:

1. A claim ends `deadline` after its request was sent, whenever the answer came.
2. By then the child is dead: it is not started, and killed by the gate or its watchdog.
3. The Lease of another is taken only when it was not written for its own duration, which is longer
   than the deadline, counted from when this member first saw it so, on its own clock.
4. One that was given back may be taken at once, as its holder did so after its child had ended. One
   that was never held may be a deleted one's successor: it is waited for like another's.
"""

from stackroles.agents.gate.model import Child, ChildMove, Own, Request, Rules
from stackroles.agents.gate.protocol import BACKLOG_SECONDS, State

# How soon after giving the Lease up a member looks who takes it.
FOLLOW_UP = 0.5
# A child that ends sooner has ended quickly; after so many in a row another member may try.
QUICK = 10.0
QUICK_ENDS = 3
# A cold member whose child does not serve leaves the Lease to others for so long; a hot one shows
# that its child serves again before it takes it.
ILL_WAIT = 30.0
# A child that served and does not any more. A cold one may have all its workers at uploads, which
# its end would lose.
ILL_HOT = 6.0
ILL_COLD = 600.0
# One that has not served since its start.
ILL_START = 120.0
_FIRST_BACKOFF = 0.5
_LONGEST_BACKOFF = 30.0


def claimed(own: Own, now: float, rules: Rules) -> bool:
    """Return whether this member's claim holds."""
    return own.held and (rules.keep or now < own.until)


def request(own: Own, child: Child, now: float, rules: Rules) -> Request | None:
    """Return what to ask of the API now, None for nothing yet."""
    seen = own.seen
    pause = FOLLOW_UP if own.leaving and not own.held else rules.retry
    due = now >= own.asked + pause
    if seen is None or own.stale:
        return Request.LOOK if due or own.conflict else None
    if seen.holder != own.identity:
        if _may_take(own, child, now, rules):
            return Request.TAKE
        return Request.LOOK if due else None
    if own.leaving and not (rules.cold and child.running):
        return Request.RELEASE
    # What an update whose answer was lost has taken is a claim only once it is renewed.
    return Request.RENEW if due or not own.held else None


def _may_take(own: Own, child: Child, now: float, rules: Rules) -> bool:
    seen = own.seen
    if seen is None or own.leaving or now < own.not_before:
        return False
    if child.running if rules.cold else not child.healthy:
        return False
    if not seen.holder:
        return not rules.cold or seen.held_before or seen.expired(now)
    return seen.expired(now)


def child_move(own: Own, child: Child, now: float, rules: Rules) -> ChildMove:
    """Return what to do with the child now."""
    if not child.running:
        return ChildMove.START if _may_start(own, child, now, rules) else ChildMove.NONE
    if rules.cold and not claimed(own, now, rules):
        return ChildMove.KILL
    if child.asked is not None:
        return ChildMove.KILL if now >= child.asked + rules.stop else ChildMove.NONE
    return ChildMove.TERMINATE if _must_end(own, child, now, rules) else ChildMove.NONE


def _may_start(own: Own, child: Child, now: float, rules: Rules) -> bool:
    if own.stopping or now < child.not_before:
        return False
    return not rules.cold or (
        claimed(own, now, rules) and own.leaving is None and not _ending(own, now, rules)
    )


def _must_end(own: Own, child: Child, now: float, rules: Rules) -> bool:
    if rules.cold:
        return own.leaving is not None or _ending(own, now, rules)
    if own.leaving is None or not own.stopping:
        return False
    drained = max(own.leaving.since, own.overlap) + rules.drain
    # A program that stops completes what it has accepted, and resets what waits.
    return now >= drained + (BACKLOG_SECONDS if child.backlog else 0.0)


def _ending(own: Own, now: float, rules: Rules) -> bool:
    """Return whether the claim is about to end: a child that is asked may still end by itself."""
    return not rules.keep and now >= own.until - rules.grace


def deadline(own: Own, now: float, rules: Rules) -> float:
    """Return until when the watchdog lets the child live without hearing from the gate again."""
    return now + rules.deadline if rules.keep else own.until


def why_leave(own: Own, child: Child, now: float, rules: Rules) -> tuple[str, float]:
    """Return why a holder should hand over now, and for how long it leaves the Lease to others.

    Returns:
        A reason for a person and seconds; "" for no reason.
    """
    if own.seen is None or own.leaving or not claimed(own, now, rules):
        return "", 0.0
    if own.seen.request:
        return own.seen.request, rules.duration
    wait = ILL_WAIT if rules.cold else rules.duration
    if child.ends >= QUICK_ENDS:
        return f"its program ended {child.ends} times in a row, last {child.last_end}", wait
    if child.running and not child.healthy and child.asked is None:
        patience = ILL_COLD if rules.cold else ILL_HOT
        if now >= child.health_since + (patience if child.was_healthy else ILL_START):
            return f"its program has not answered for {now - child.health_since:.0f} s", wait
    return "", 0.0


def backoff(ends: int) -> float:
    """Return how long to wait before a child is started that ended `ends` times in a row."""
    return min(_FIRST_BACKOFF * 2.0 ** min(ends - 1, 10), _LONGEST_BACKOFF) if ends else 0.0


def serving(own: Own, child: Child, now: float, rules: Rules) -> int:
    """Return HTTP's status for the proxies: 200 takes requests, 404 drains, 503 neither."""
    overlaps = child.healthy and not rules.cold and now < own.overlap
    if own.leaving:
        return 200 if overlaps else 404
    active = rules.standby is None or claimed(own, now, rules)
    return 200 if overlaps or (active and child.healthy) else 503


def ready(own: Own, child: Child, now: float, rules: Rules) -> bool:
    """Return whether this member is settled: it serves, or stands by for one that may."""
    if own.stopping:
        return False
    if rules.standby is None or claimed(own, now, rules):
        return child.healthy
    seen = own.seen
    if seen is None or seen.holder in ("", own.identity) or seen.expired(now):
        return False
    return rules.cold or child.healthy


def state(own: Own, child: Child, now: float, rules: Rules) -> State:
    """Return what this member is."""
    holds = rules.standby is None or claimed(own, now, rules)
    if own.stopping or (own.leaving and holds):
        return State.STOPPING
    if not holds:
        return State.STANDBY
    return State.ACTIVE if child.healthy else State.ACTIVATING


def may_exit(own: Own, child: Child, now: float, rules: Rules) -> bool:
    """Return whether a member that stops has done all that it can."""
    if not own.stopping or child.running:
        return False
    settled = own.seen is not None and not own.stale and own.holder != own.identity
    # The Lease that cannot be given back runs out.
    patience = rules.duration / 2
    gave_up = own.leaving is not None and now >= max(child.since, own.leaving.since) + patience
    return rules.standby is None or settled or gave_up

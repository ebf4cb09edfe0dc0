"""What a gate does next, case by case."""

from dataclasses import replace
from datetime import UTC, datetime
from math import inf
from typing import Any

import pytest

from stackroles.agents.gate import agent, decision, lease
from stackroles.agents.gate.health import Judge, Outcome
from stackroles.agents.gate.member import Member
from stackroles.agents.gate.model import Child, ChildMove, Leaving, Own, Request, Rules, Sighting
from stackroles.agents.gate.protocol import (
    LAST_SWITCHOVER,
    SWITCHOVER,
    GateSettings,
    OnApiLoss,
    Standby,
    State,
    Switchover,
)
from tests.support.gates import claim, cold, hot

ME = "me_u_1"
NOW = 100.0
WALL = datetime(2026, 1, 1, tzinfo=UTC)
COLD = Rules(standby=Standby.COLD, duration=8.0, deadline=6.0, retry=1.5, drain=5.0, stop=10.0)
HOT = replace(COLD, standby=Standby.HOT)
KEEP = replace(COLD, keep=True)
SYMMETRIC = Rules(standby=None, drain=5.0, stop=10.0)
LEAVING = Leaving(reason="a test", since=NOW - 1, at="", wait=8.0)
STOPPING = replace(LEAVING, stopping=True)
RUNNING = Child(running=True, since=50.0, healthy=True, health_since=50.0, was_healthy=True)
SILENT = replace(RUNNING, healthy=False, health_since=NOW - 5)


def seen(holder: str, **changes: Any) -> Sighting:
    known = {"version": "1", "held_before": True, "duration": 8.0, "request": "", "at": NOW - 1}
    return Sighting(holder=holder, lease={}, **{**known, **changes})


def own(holder: str | None = None, **changes: Any) -> Own:
    """Return a member that has just asked; one that holds the Lease renewed it a second ago."""
    known: dict[str, Any] = {"seen": None if holder is None else seen(holder), "asked": NOW - 1}
    if holder == ME:
        known |= {"held": True, "until": NOW + 5}
    return Own(identity=ME, **{**known, **changes})


HOLDS, LAPSED, STANDS_BY = own(ME), own(ME, until=NOW), own("other")
FREE, EXPIRED = own(""), own(seen=seen("other", at=NOW - 8))


@pytest.mark.parametrize(
    ("rules", "member", "child", "asks"),
    [
        (COLD, own(), Child(), None),
        (COLD, own(asked=-inf), Child(), Request.LOOK),
        (COLD, STANDS_BY, Child(), None),
        (COLD, own("other", asked=NOW - 1.5), Child(), Request.LOOK),
        (COLD, own("other", stale=True), Child(), None),
        (COLD, own("other", stale=True, conflict=True), Child(), Request.LOOK),
        (COLD, FREE, Child(), Request.TAKE),
        (COLD, FREE, RUNNING, None),
        (COLD, own("", not_before=NOW + 1), Child(), None),
        (COLD, own("", leaving=LEAVING, asked=NOW - 0.1), Child(), None),
        (COLD, own("", leaving=LEAVING), Child(), Request.LOOK),
        (COLD, own(seen=seen("", held_before=False)), Child(), None),
        (COLD, own(seen=seen("", held_before=False, at=NOW - 8)), Child(), Request.TAKE),
        (HOT, own(seen=seen("", held_before=False)), RUNNING, Request.TAKE),
        (HOT, FREE, SILENT, None),
        (COLD, EXPIRED, Child(), Request.TAKE),
        (COLD, own(seen=seen("other", at=NOW - 7.9)), Child(), None),
        (COLD, own(seen=seen("other", at=NOW - 8, duration=20.0)), Child(), None),
        (COLD, HOLDS, RUNNING, None),
        (COLD, own(ME, asked=NOW - 1.5), RUNNING, Request.RENEW),
        (COLD, own(ME, held=False), Child(), Request.RENEW),
        (COLD, own(ME, leaving=LEAVING), RUNNING, None),
        (COLD, own(ME, leaving=LEAVING, asked=NOW - 1.5), RUNNING, Request.RENEW),
        (COLD, own(ME, leaving=LEAVING), Child(), Request.RELEASE),
        (HOT, own(ME, leaving=LEAVING), RUNNING, Request.RELEASE),
    ],
)
def test_what_is_asked_of_the_api(
    rules: Rules, member: Own, child: Child, asks: Request | None
) -> None:
    assert decision.request(member, child, NOW, rules) is asks


@pytest.mark.parametrize(
    ("rules", "member", "child", "move"),
    [
        (COLD, HOLDS, Child(), ChildMove.START),
        (COLD, HOLDS, Child(not_before=NOW + 1), ChildMove.NONE),
        (COLD, own(ME, until=NOW + 0.9), Child(), ChildMove.NONE),
        (COLD, own(ME, leaving=LEAVING), Child(), ChildMove.NONE),
        (COLD, STANDS_BY, Child(), ChildMove.NONE),
        (COLD, HOLDS, RUNNING, ChildMove.NONE),
        (COLD, own(ME, until=NOW + 0.9), RUNNING, ChildMove.TERMINATE),
        (COLD, LAPSED, RUNNING, ChildMove.KILL),
        (COLD, STANDS_BY, RUNNING, ChildMove.KILL),
        (COLD, own(ME, leaving=LEAVING), RUNNING, ChildMove.TERMINATE),
        (COLD, HOLDS, replace(RUNNING, asked=NOW - 9), ChildMove.NONE),
        (COLD, HOLDS, replace(RUNNING, asked=NOW - 10), ChildMove.KILL),
        (KEEP, LAPSED, RUNNING, ChildMove.NONE),
        (KEEP, LAPSED, Child(), ChildMove.START),
        (KEEP, STANDS_BY, RUNNING, ChildMove.KILL),
        (HOT, STANDS_BY, Child(), ChildMove.START),
        (HOT, STANDS_BY, RUNNING, ChildMove.NONE),
        (HOT, LAPSED, RUNNING, ChildMove.NONE),
        (HOT, own("other", leaving=LEAVING), RUNNING, ChildMove.NONE),
        (HOT, own("other", leaving=STOPPING), RUNNING, ChildMove.NONE),
        (HOT, own("other", leaving=replace(STOPPING, since=NOW - 5)), RUNNING, ChildMove.TERMINATE),
        (HOT, own("", leaving=replace(STOPPING, since=0.0), overlap=NOW), RUNNING, ChildMove.NONE),
        (SYMMETRIC, own(), Child(), ChildMove.START),
        (SYMMETRIC, own(leaving=STOPPING), Child(), ChildMove.NONE),
        (SYMMETRIC, own(leaving=STOPPING), RUNNING, ChildMove.NONE),
        (SYMMETRIC, own(leaving=replace(STOPPING, since=NOW - 5)), RUNNING, ChildMove.TERMINATE),
    ],
)
def test_what_is_done_with_the_child(
    rules: Rules, member: Own, child: Child, move: ChildMove
) -> None:
    assert decision.child_move(member, child, NOW, rules) is move


@pytest.mark.parametrize(
    ("rules", "member", "child", "reported"),
    [
        (COLD, HOLDS, RUNNING, (200, True, State.ACTIVE)),
        (COLD, HOLDS, SILENT, (503, False, State.ACTIVATING)),
        (COLD, LAPSED, RUNNING, (503, False, State.STANDBY)),
        (COLD, STANDS_BY, Child(), (503, True, State.STANDBY)),
        (COLD, EXPIRED, Child(), (503, False, State.STANDBY)),
        (COLD, FREE, Child(), (503, False, State.STANDBY)),
        (COLD, own(), Child(), (503, False, State.STANDBY)),
        (COLD, own(ME, leaving=LEAVING), RUNNING, (404, True, State.STOPPING)),
        (HOT, STANDS_BY, RUNNING, (503, True, State.STANDBY)),
        (HOT, STANDS_BY, SILENT, (503, False, State.STANDBY)),
        (HOT, own("", leaving=LEAVING, overlap=NOW + 1), RUNNING, (200, False, State.STANDBY)),
        (HOT, own("", leaving=LEAVING, overlap=NOW + 1), SILENT, (404, False, State.STANDBY)),
        (HOT, own("other", overlap=NOW + 1), RUNNING, (200, True, State.STANDBY)),
        (HOT, own("other", leaving=STOPPING), RUNNING, (404, False, State.STOPPING)),
        (SYMMETRIC, own(), RUNNING, (200, True, State.ACTIVE)),
        (SYMMETRIC, own(), SILENT, (503, False, State.ACTIVATING)),
        (SYMMETRIC, own(leaving=STOPPING), RUNNING, (404, False, State.STOPPING)),
    ],
)
def test_what_a_member_reports(
    rules: Rules, member: Own, child: Child, reported: tuple[int, bool, State]
) -> None:
    assert reported == (
        decision.serving(member, child, NOW, rules),
        decision.ready(member, child, NOW, rules),
        decision.state(member, child, NOW, rules),
    )


@pytest.mark.parametrize(
    ("rules", "member", "child", "why", "wait"),
    [
        (COLD, HOLDS, RUNNING, "", 0.0),
        (COLD, own(seen=seen(ME, request="r"), held=True, until=inf), RUNNING, "r", 8.0),
        (COLD, own(seen=seen("other", request="r")), Child(), "", 0.0),
        (COLD, HOLDS, Child(ends=2), "", 0.0),
        (COLD, HOLDS, Child(ends=3, last_end="by SIGSEGV"), "ended 3 times", 30.0),
        (HOT, HOLDS, Child(ends=3, last_end="by SIGSEGV"), "last by SIGSEGV", 8.0),
        (COLD, HOLDS, replace(SILENT, health_since=NOW - 599), "", 0.0),
        (COLD, HOLDS, replace(SILENT, health_since=NOW - 600), "not answered for 600 s", 30.0),
        (HOT, HOLDS, replace(SILENT, health_since=NOW - 6), "not answered for 6 s", 8.0),
        (HOT, HOLDS, Child(running=True, health_since=NOW - 119), "", 0.0),
        (HOT, HOLDS, Child(running=True, health_since=NOW - 120), "for 120 s", 8.0),
    ],
)
def test_why_a_holder_hands_over(
    rules: Rules, member: Own, child: Child, why: str, wait: float
) -> None:
    reason, found = decision.why_leave(member, child, NOW, rules)
    assert (why in reason, bool(reason), found) == (True, bool(why), wait)


@pytest.mark.parametrize(
    ("rules", "member", "until"),
    [(COLD, HOLDS, NOW + 5), (COLD, LAPSED, NOW), (COLD, own(), -inf), (KEEP, LAPSED, NOW + 6)],
)
def test_the_watchdog_waits_until_the_claim_ends_and_no_longer(
    rules: Rules, member: Own, until: float
) -> None:
    assert decision.deadline(member, NOW, rules) == until


def held(rules: Rules) -> Member:
    """Return a member that took the Lease by a request sent 2 s ago, whose answer came now."""
    member = Member(ME, rules, NOW - 3)
    looked = member.ask(NOW - 3, WALL)
    assert looked is not None
    member.answered(looked, NOW - 3, body(""), NOW - 2)
    if not rules.cold:
        member.started(NOW - 2)
        member.health(healthy=True, now=NOW - 2)
    took = member.ask(NOW - 2, WALL)
    assert took is not None
    assert took.request is Request.TAKE
    assert took.body is not None
    assert member.ask(NOW, WALL) is None, "one request at a time"
    member.answered(took, NOW - 2, took.body, NOW)
    return member


def test_a_claim_counts_from_the_request() -> None:
    assert held(COLD).own.until == NOW - 2 + 6


def test_a_claim_ends_when_the_release_is_sent_whatever_becomes_of_it() -> None:
    member = held(COLD)
    member.stop(NOW, WALL)
    asked = member.ask(NOW, WALL)
    assert asked is not None
    assert asked.request is Request.RELEASE
    assert not decision.claimed(member.own, NOW, COLD)
    member.failed("no answer")
    assert not decision.claimed(member.own, NOW, COLD)
    assert not member.may_exit(NOW), "it is not known whether it was given back"
    assert member.may_exit(NOW + 4), "it runs out"


def test_a_claim_ends_when_another_holder_is_seen() -> None:
    member = held(COLD)
    member.started(NOW)
    renews = member.ask(NOW + 1, WALL)
    assert renews is not None
    member.failed("", conflict=True)
    looks = member.ask(NOW + 1, WALL)
    assert looks is not None
    assert looks.request is Request.LOOK
    member.answered(looks, NOW + 1, body("other_u_1"), NOW + 1)
    assert member.move(NOW + 1) is ChildMove.KILL


def test_a_look_that_shows_the_own_name_is_no_claim_until_it_is_renewed() -> None:
    member = Member(ME, COLD, NOW)
    looks = member.ask(NOW, WALL)
    assert looks is not None
    member.answered(looks, NOW, body(ME), NOW)
    assert member.move(NOW) is ChildMove.NONE
    renews = member.ask(NOW, WALL)
    assert renews is not None
    assert renews.request is Request.RENEW


def test_a_hot_member_serves_until_the_next_one_has_for_as_long_as_proxies_take() -> None:
    member = held(HOT)
    member.stop(NOW, WALL)
    released = member.ask(NOW, WALL)
    assert released is not None
    assert released.request is Request.RELEASE
    assert released.body is not None
    member.answered(released, NOW, released.body, NOW)
    assert member.serving(NOW + 7.9) == 200
    looks = member.ask(NOW + 0.5, WALL)
    assert looks is not None
    member.answered(looks, NOW + 0.5, body("other_u_1"), NOW + 0.5)
    assert [member.serving(NOW + after) for after in (5.4, 5.6)] == [200, 404]
    assert [member.move(NOW + after) for after in (10.4, 10.6)] == [
        ChildMove.NONE,
        ChildMove.TERMINATE,
    ]


@pytest.mark.parametrize("standby", [Standby.COLD, Standby.HOT])
def test_the_longest_stop_is_known_to_the_kubelet(standby: Standby) -> None:
    """Nobody takes over, the API fails, and the child does not end by SIGTERM."""
    settings = GateSettings(
        command=(),
        health=None,
        drain_seconds=5.0,
        stop_seconds=10.0,
        claim=claim(standby=standby.value, duration_seconds=8, renew_deadline_seconds=6.0),
    )
    member = held(Rules.of(settings))
    member.started(NOW)
    member.health(healthy=True, now=NOW)
    member.stop(NOW, WALL)
    now = NOW
    while not member.may_exit(now):
        now += 0.25
        assert now < NOW + settings.longest_stop, "the kubelet kills it"
        move = member.move(now)
        if move is ChildMove.TERMINATE:
            member.terminated(now)
        elif move is ChildMove.KILL:
            member.ended("by SIGKILL", now)
        if member.ask(now, WALL):
            member.failed("no answer")


def test_a_program_that_keeps_ending_is_started_less_and_less_often() -> None:
    assert [decision.backoff(n) for n in (0, 1, 2, 3, 8, 5000)] == [0.0, 0.5, 1.0, 2.0, 30.0, 30.0]


@pytest.mark.parametrize(
    ("outcomes", "healthy"),
    [
        ([], False),
        ([Outcome.GOOD], True),
        ([Outcome.GOOD, Outcome.BAD, Outcome.BAD], True),
        ([Outcome.GOOD, Outcome.BAD, Outcome.BAD, Outcome.BAD], False),
        ([Outcome.GOOD, Outcome.BAD, Outcome.GOOD, Outcome.BAD, Outcome.BAD], True),
        ([Outcome.GOOD, Outcome.REFUSED], False),
    ],
)
def test_a_busy_child_is_not_taken_for_a_dead_one(outcomes: list[Outcome], healthy: bool) -> None:
    judge = Judge(missed=3)
    for outcome in outcomes:
        judge.take(outcome)
    assert judge.healthy is healthy


def body(holder: str, **annotations: str) -> dict[str, Any]:
    spec = {"holderIdentity": holder, "renewTime": "t", "leaseTransitions": 4}
    return {"metadata": {"resourceVersion": "7", "annotations": annotations}, "spec": spec}


def test_who_takes_a_silent_holders_lease_says_for_how_long_it_was_silent() -> None:
    found = lease.sighted(body("a_u_1", **{SWITCHOVER: "r"}), NOW - 8, None, 8.0)
    taken = lease.taken(found, ME, duration=8, now=NOW, wall=WALL)

    assert taken["spec"]["holderIdentity"] == ME
    assert taken["spec"]["leaseTransitions"] == 5
    assert taken["metadata"]["resourceVersion"] == "7"
    assert SWITCHOVER not in taken["metadata"]["annotations"], "it is carried out"
    assert lease.last_switchover(taken) == Switchover(
        source="a",
        target="me",
        at="2025-12-31T23:59:52.000000Z",
        reason="a did not renew the Lease for 8.0 s",
    )


def test_any_write_is_a_sign_of_life_also_by_a_clock_that_was_set_back() -> None:
    first = lease.sighted(body("a_u_1"), NOW, None, 8.0)
    again = lease.sighted(body("a_u_1"), NOW + 5, first, 8.0)
    written = body("a_u_1")
    written["metadata"]["resourceVersion"] = "8"
    renewed = lease.sighted(written, NOW + 6, again, 8.0)

    assert (first.at, again.at, renewed.at) == (NOW, NOW, NOW + 6)
    assert [renewed.expired(NOW + after) for after in (8, 13.9, 14)] == [False, False, True]


def test_a_hand_over_is_recorded_by_both_and_its_duration_when_the_taker_serves() -> None:
    begun = "2026-01-01T00:00:00.000000Z"
    leaving = replace(LEAVING, at=begun)
    released = lease.released(lease.sighted(body("a_u_1"), NOW, None, 8.0), leaving)
    free = lease.sighted(released, NOW, None, 8.0)
    taken = lease.sighted(lease.taken(free, ME, duration=8, now=NOW, wall=WALL), NOW, None, 8.0)
    later = WALL.replace(second=2)
    waiting = lease.renewed(taken, duration=8, wall=later, active=False)
    active = lease.renewed(taken, duration=8, wall=later, active=True)

    expected = Switchover(source="a", target="me", at=begun, reason="a test")
    assert lease.last_switchover(waiting) == expected
    assert lease.last_switchover(active) == replace(expected, duration=2.0)


@pytest.mark.parametrize("text", ["", "no JSON", '{"from": 1}'])
def test_what_somebody_else_wrote_into_the_record_is_none(text: str) -> None:
    assert lease.last_switchover(body("", **{LAST_SWITCHOVER: text})) is None


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (cold(renew_deadline_seconds=3.0), "must hold"),
        (cold(retry_seconds=2.2), "must hold"),
        (replace(cold(), claim=claim(standby="Hot")), "needs health"),
    ],
)
def test_settings_that_would_be_unsafe_are_refused(settings: GateSettings, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        agent.check(settings)


def test_the_rules_are_those_of_the_settings() -> None:
    agent.check(hot())
    assert Rules.of(cold(on_api_loss=OnApiLoss.KEEP.value)).keep
    assert Rules.of(hot()).standby is Standby.HOT
    assert not Rules.of(replace(hot(), claim=None)).cold

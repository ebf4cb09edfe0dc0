"""Who is active, by what gates report."""

from dataclasses import replace
from datetime import datetime

import pytest

from stackroles.agents.gate.protocol import GateStatus, State, Switchover
from stackroles.domains.clustering.status import Turns, assess_turns, decisions, has_lease

CHANGE = Switchover(source="a", target="b", at="2026-01-01T00:00:01Z", reason="a test")


def report(state: State, holder: str = "", message: str = "") -> GateStatus:
    return GateStatus(state=state, holder=holder, since=1.0, message=message)


def test_the_active_member_is_the_one_that_says_so() -> None:
    reports = {"a": report(State.STANDBY, "b"), "b": report(State.ACTIVE, "b"), "c": None}

    assert assess_turns(reports) == Turns(active="b")


def test_nobody_is_active_while_one_begins() -> None:
    reports = {"a": report(State.ACTIVATING, "a", "its child does not answer"), "b": None}

    assert assess_turns(reports) == Turns(message="a: its child does not answer.")


def test_two_that_say_so_are_nobody() -> None:
    reports = {"a": report(State.ACTIVE, "a"), "b": report(State.ACTIVE, "b")}

    assert assess_turns(reports).active is None


def test_the_last_change_is_the_newest_that_any_of_them_knows() -> None:
    former = Switchover(source="", target="a", at="2026-01-01T00:00:00Z", reason="start")
    reports = {
        "a": GateStatus(state=State.STANDBY, holder="b", since=1.0, last_switchover=former),
        "b": GateStatus(state=State.ACTIVE, holder="b", since=1.0, last_switchover=CHANGE),
    }

    assert assess_turns(reports).last == CHANGE


def test_a_lease_is_there_when_a_gate_knows_a_holder() -> None:
    assert has_lease({"a": None, "b": report(State.STANDBY, "a")})
    assert not has_lease({"a": None, "b": report(State.STANDBY)})
    assert not has_lease({})


def test_the_last_change_of_the_active_member_is_a_decision() -> None:
    (found,) = decisions(Turns(last=CHANGE))
    assert found.at == datetime.fromisoformat(CHANGE.at)
    assert found.text == f"{CHANGE.target} takes over from {CHANGE.source}: {CHANGE.reason}"


@pytest.mark.parametrize("change", [None, replace(CHANGE, target=""), replace(CHANGE, at="now")])
def test_what_did_not_end_or_has_no_time_is_no_decision(change: Switchover | None) -> None:
    assert decisions(Turns(last=change)) == []

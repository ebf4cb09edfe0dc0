"""Hosts on which builds fail are closed, and opened by a probe guest."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from stackroles.agents.compute.node_protocol import FAILURES_LIMIT, BuildFailure
from stackroles.domains.compute.gate import FAILING, GateAction, HostGate, decide

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
GOOD = HostGate(enabled=True, failures=(), proven=True)
REQUEST = "guests-failing-20260101t120000z"


def failing(count: int, since: datetime = NOW) -> HostGate:
    failures = tuple(
        BuildFailure(at=int(since.timestamp()) + n, instance=f"i{n}", fault=f"fault {n}")
        for n in range(count)
    )
    return replace(GOOD, failures=failures)


def closed(**changes: object) -> HostGate:
    gate = replace(failing(3), enabled=False, reason=f"{FAILING}fault 2", request=REQUEST)
    return replace(gate, **changes)  # type: ignore[arg-type]


def test_a_host_is_closed_after_as_many_failures_in_a_row_as_the_pool_says() -> None:
    hosts = {"n1": failing(3), "n2": GOOD}
    assert decide(hosts, 3, NOW) == {
        "n1": GateAction(close=f"{FAILING}fault 2", request=REQUEST),
    }
    assert decide({"n1": failing(2), "n2": GOOD}, 3, NOW) == {}
    assert decide(hosts, 0, NOW) == {}


def test_no_more_than_half_of_the_hosts_are_closed_for_failed_builds() -> None:
    assert decide({"n1": failing(3)}, 3, NOW) == {}
    four = {f"n{n}": failing(5) for n in range(4)}
    assert decide(four, 3, NOW).keys() == {"n0", "n1"}
    assert decide({"n1": closed(), "n2": failing(3)}, 3, NOW) == {}


def test_a_host_is_opened_by_the_probe_that_was_asked_for_and_by_no_other() -> None:
    others = {"n2": GOOD}
    assert decide({"n1": closed(answered=REQUEST), **others}, 3, NOW) == {
        "n1": GateAction(open=True)
    }
    assert decide({"n1": closed(answered="before"), **others}, 3, NOW) == {}
    assert decide({"n1": closed(answered=REQUEST, proven=False), **others}, 3, NOW) == {}


def test_failures_that_a_probe_answered_do_not_count_again() -> None:
    answered = replace(failing(3), counted_from=NOW + timedelta(minutes=1))
    assert answered.counted == ()
    assert decide({"n1": answered, "n2": GOOD}, 3, NOW) == {}


def test_a_closed_host_whose_request_was_lost_gets_another_but_not_just_after_its_opening() -> None:
    lost = closed(request="")
    assert decide({"n1": lost, "n2": GOOD}, 3, NOW) == {"n1": GateAction(request=REQUEST)}
    opened = closed(request="", counted_from=NOW - timedelta(seconds=20))
    assert decide({"n1": opened, "n2": GOOD}, 3, NOW) == {}


def test_a_host_on_which_no_probe_guest_runs_is_closed_until_one_does() -> None:
    unproven = replace(GOOD, proven=False, proof="Could not access KVM")
    [action] = decide({"n1": unproven}, 3, NOW).values()
    assert action.close == "no probe guest runs here: Could not access KVM"
    shut = replace(unproven, enabled=False, reason=action.close)
    assert decide({"n1": shut}, 3, NOW) == {}
    assert decide({"n1": replace(shut, proven=True)}, 3, NOW) == {"n1": GateAction(open=True)}


def test_what_a_person_disabled_stays_disabled() -> None:
    by_hand = replace(GOOD, enabled=False, reason="new disks")
    assert decide({"n1": by_hand}, 3, NOW) == {}


def test_nova_takes_no_longer_reason_than_its_table_has() -> None:
    long = replace(
        GOOD, failures=tuple(BuildFailure(at=1, instance="i", fault="x" * 400) for _ in range(3))
    )
    assert len(decide({"n1": long, "n2": GOOD}, 3, NOW)["n1"].close) == 255


def test_a_threshold_that_no_node_can_reach_counts_as_what_it_keeps() -> None:
    host = failing(FAILURES_LIMIT)
    assert decide({"a": host, "b": GOOD}, 100, NOW).keys() == {"a"}

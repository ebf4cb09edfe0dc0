"""Real gates, watchdogs and children: what runs, and for how long after a fault."""

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from stackroles.agents.gate.protocol import (
    LAST_SWITCHOVER,
    SWITCHOVER,
    GateSettings,
    State,
    Switchover,
)
from tests.support.gates import (
    LEASE,
    GateProcess,
    Gates,
    active_active,
    alive,
    boottime,
    cold,
    gates,
    hot,
    wait_for,
    web,
)

Record = Callable[[str, object], None]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Gates]:
    with gates(tmp_path) as made:
        yield made


def start_pair(world: Gates, one: GateSettings, two: GateSettings) -> tuple[GateProcess, ...]:
    """Start two gates; return the active one and the standby."""
    for name, settings in (("one", one), ("two", two)):
        world.start(name, settings, *(web(settings) if settings.health else ()))
    pair = world.gates.values()
    wait_for(lambda: all(gate.code("/ready") == 200 for gate in pair), "both are ready")
    active = world.gates[world.holder()]
    (standby,) = [gate for gate in world.gates.values() if gate is not active]
    return active, standby


def annotate(world: Gates, reason: str) -> None:
    """Request a switchover, as a person does."""
    with world.server.lock:
        lease = world.lease()
        lease["metadata"].setdefault("annotations", {})[SWITCHOVER] = reason
        world.server.store(LEASE, lease)


def last_switchover(gate: GateProcess, *, complete: bool = False) -> Switchover:
    """Return the last change of the holder that a gate tells of."""

    def found() -> Switchover | None:
        last = gate.status().last_switchover
        return last if last and (last.duration is not None or not complete) else None

    switchover: Switchover = wait_for(found, f"{gate.name} tells of the last switchover")
    return switchover


@contextmanager
def sampled(*gates: GateProcess) -> Iterator[list[tuple[int, ...]]]:
    """Yield what the gates answer to the proxies' check, again and again."""
    samples: list[tuple[int, ...]] = []
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            samples.append(tuple(gate.code("/serving") for gate in gates))

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield samples
    finally:
        done.set()
        thread.join()


def test_after_a_kill_of_all_processes_the_standby_is_active_within_15_seconds(
    tmp_path: Path, record_testsuite_property: Record
) -> None:
    default = {"duration_seconds": 8, "renew_deadline_seconds": 6.0, "retry_seconds": 1.5}
    with gates(tmp_path / "cold") as one, gates(tmp_path / "hot") as two:
        pairs = {
            "cold": start_pair(one, cold(**default), cold(**default)),
            "hot": start_pair(two, hot(**default), hot(**default)),
        }
        killed = boottime()
        for active, _ in pairs.values():
            active.kill_all()
        waiting = dict(pairs)
        while waiting:
            for kind, (_, standby) in list(waiting.items()):
                if standby.code("/serving") == 200:
                    took = boottime() - killed
                    record_testsuite_property(f"failover_{kind}_seconds", round(took, 1))
                    assert took <= 15.0
                    del waiting[kind]
            assert boottime() - killed <= 15.0, f"{[*waiting]} not active"
        for active, standby in pairs.values():
            last = last_switchover(standby)
            assert (last.source, last.target) == (active.name, standby.name)
            assert "did not renew" in last.reason


def test_the_child_of_a_killed_gate_is_killed(world: Gates) -> None:
    active, standby = start_pair(world, cold(), cold())
    child = wait_for(active.child, "it runs")
    active.send(signal.SIGKILL)
    wait_for(lambda: not alive(child), "the watchdog kills it", 1.0)
    assert not standby.child()
    wait_for(standby.child, "the standby takes over")


def test_the_child_of_a_stopped_gate_is_dead_before_the_claim_ends(
    world: Gates, record_testsuite_property: Record
) -> None:
    active, standby = start_pair(world, cold(), cold())
    child = wait_for(active.child, "it runs")
    renewals = len(world.server.history)
    wait_for(lambda: len(world.server.history) > renewals, "one renewal")
    written = world.server.history[-1][0]
    active.send(signal.SIGSTOP)
    wait_for(lambda: not alive(child), "the watchdog kills it")
    dead = boottime()
    record_testsuite_property("dead_after_renewal_seconds", round(dead - written, 2))
    # The last renewal may have been written after `written`, at most one period later.
    assert dead - world.server.history[-1][0] < 2.2 + 0.3
    assert not standby.child(), "the claim is still counted"

    wait_for(standby.child, "the standby takes over")
    active.send(signal.SIGCONT)
    wait_for(lambda: active.status().holder == standby.name, "it sees the other")
    assert active.status().state is State.STANDBY
    assert world.running() == [standby.name]


def test_a_pod_that_was_frozen_as_a_whole_runs_its_child_for_moments_only(
    world: Gates, record_testsuite_property: Record
) -> None:
    active, standby = start_pair(world, cold(), cold())
    child, watchdog = wait_for(active.child, "it runs"), wait_for(active.watchdog, "watched")
    frozen = (active.process.pid, watchdog, child)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    wait_for(standby.child, "the standby takes over")
    resumed = time.monotonic()
    for pid in reversed(frozen):
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: not alive(child), "the child is killed", 2.0)
    window = time.monotonic() - resumed
    record_testsuite_property("residual_window_seconds", round(window, 4))
    assert window < 1.0
    wait_for(lambda: active.code("/ready") == 200, "it stands by")
    assert world.running() == [standby.name]


def test_a_member_that_is_stopped_gives_the_lease_back_after_its_child(world: Gates) -> None:
    active, standby = start_pair(world, cold(), cold())
    began = boottime()
    active.send(signal.SIGTERM)
    wait_for(standby.child, "the standby takes over")
    assert not active.child()
    assert active.process.wait(5) == 0
    assert boottime() - began < 2.5, "nobody waited for the Lease to run out"
    last = last_switchover(standby, complete=True)
    assert (last.source, last.target, last.reason) == (
        active.name,
        standby.name,
        f"{active.name} was stopped",
    )


def test_a_child_that_ignores_sigterm_is_killed_before_the_lease_is_given_back(
    world: Gates,
) -> None:
    deaf = ("/bin/sh", "-c", 'trap "" TERM; echo $$ >> "$0"; while :; do sleep 1; done')
    gate = world.start("one", cold(), *deaf)
    child = wait_for(gate.child, "it runs")
    wait_for(lambda: gate.status().state is State.ACTIVE, "active")
    gate.send(signal.SIGTERM)
    wait_for(lambda: not world.holder(), "it is given back")
    assert not alive(child)
    assert gate.process.wait(5) == 0


def test_a_requested_switchover_is_carried_out_once(world: Gates) -> None:
    active, standby = start_pair(world, cold(), cold())
    annotate(world, "a new kernel for its node")
    wait_for(standby.child, "the standby takes over")
    assert last_switchover(standby, complete=True).reason == "a new kernel for its node"
    assert SWITCHOVER not in world.annotations()
    written = json.loads(world.annotations()[LAST_SWITCHOVER])
    assert written["from"] == active.name
    assert written["to"] == standby.name
    assert written["reason"] == "a new kernel for its node"
    count = standby.status().transitions
    renewals = len(world.server.history)
    wait_for(lambda: len(world.server.history) >= renewals + 2, "renewals")
    assert standby.status().transitions == count
    assert active.code("/ready") == 200, "it stands by"


def test_a_switchover_without_a_standby_ends_where_it_began(world: Gates) -> None:
    gate = world.start("one", cold())
    first = wait_for(gate.child, "it runs")
    wait_for(lambda: gate.status().state is State.ACTIVE, "active")
    annotate(world, "a test")
    wait_for(lambda: not alive(first), "it hands over")
    assert wait_for(gate.child, "it takes the Lease again") != first
    assert SWITCHOVER not in world.annotations()


def test_requests_find_a_member_at_every_moment_of_a_hot_switchover(world: Gates) -> None:
    active, standby = start_pair(world, hot(), hot())
    children = (active.child(), standby.child())
    with sampled(active, standby) as samples:
        annotate(world, "a test")
        wait_for(lambda: samples[-1:] and samples[-1][1] == 200 != samples[-1][0], "moved")
    assert all(200 in sample for sample in samples), samples
    assert (active.child(), standby.child()) == children, "no child was restarted"


def test_requests_find_a_member_at_every_moment_of_a_hot_members_stop(world: Gates) -> None:
    active, standby = start_pair(world, hot(), hot())
    with sampled(active, standby) as samples:
        active.send(signal.SIGTERM)
        assert active.process.wait(10) == 0
    assert all(200 in sample for sample in samples), samples
    assert (404, 200) in samples, "it drains before it stops"


def test_a_child_without_a_watchdog_is_killed_and_started_anew(world: Gates) -> None:
    gate = world.start("one", cold())
    first = wait_for(gate.child, "it runs")
    os.kill(wait_for(gate.watchdog, "watched"), signal.SIGKILL)
    wait_for(lambda: not alive(first), "it is killed", 2.0)
    second = wait_for(gate.child, "it runs again")
    os.kill(wait_for(gate.watchdog, "watched"), signal.SIGSTOP)
    wait_for(lambda: not alive(second), "a frozen watchdog is none", 8.0)
    wait_for(gate.child, "it runs again")


def test_a_program_that_keeps_ending_is_left_to_another_member(world: Gates) -> None:
    bad = world.start("bad", cold(), "/bin/sh", "-c", 'echo $$ >> "$0"; exit 3')
    wait_for(lambda: world.holder() == "bad", "it holds the Lease")
    good = world.start("good", cold())
    wait_for(good.child, "the other takes over", 15.0)
    assert len(bad.children) == 3
    last = json.loads(world.annotations()[LAST_SWITCHOVER])
    assert last["reason"] == "its program ended 3 times in a row, last with status 3"


def test_without_the_api_the_child_ends_unless_it_is_to_be_kept(tmp_path: Path) -> None:
    with gates(tmp_path / "stop") as one, gates(tmp_path / "keep") as two:
        stops, keeps = one.start("a", cold()), two.start("b", cold(on_api_loss="Keep"))
        ended, kept = wait_for(stops.child, "it runs"), wait_for(keeps.child, "it runs")
        wait_for(lambda: stops.status().state is State.ACTIVE, "active")
        one.server.down.set()
        two.server.down.set()
        wait_for(lambda: not alive(ended), "it ends", 2.2 + 0.3)
        assert "503: etcd has no leader" in stops.status().message
        assert stops.code("/serving") == 503
        wait_for(lambda: "etcd has no leader" in keeps.status().message, "it tries to renew")
        one.server.down.clear()
        wait_for(stops.child, "it runs again")
        assert keeps.child() == kept
        two.new_lease(holderIdentity="another")
        two.server.down.clear()
        wait_for(lambda: not alive(kept), "it sees another holder")


def test_a_lease_that_nobody_ever_held_may_be_a_deleted_ones_successor(world: Gates) -> None:
    gate = world.start("one", cold())
    child = wait_for(gate.child, "it runs")
    world.new_lease(renewTime=None, leaseTransitions=None)
    made = boottime()
    wait_for(lambda: not alive(child), "its Lease is gone")
    wait_for(gate.child, "it runs again")
    assert boottime() - made > 3.0


def test_active_active_drains_before_its_child_ends(world: Gates) -> None:
    settings = active_active()
    gate = world.start("one", settings, *web(settings))
    wait_for(lambda: gate.code("/serving") == 200, "it serves")
    assert gate.code("/ready") == 200
    child, began = gate.child(), boottime()
    gate.send(signal.SIGTERM)
    wait_for(lambda: gate.code("/serving") == 404, "it drains")
    assert gate.code("/ready") == 503
    wait_for(lambda: not alive(child), "it ends")
    assert boottime() - began > 0.5
    assert gate.process.wait(5) == 0
    assert world.server.requests == []


def test_active_active_ends_with_its_childs_status(world: Gates) -> None:
    fails = world.start("one", active_active(), "/bin/sh", "-c", "exit 3")
    killed = world.start("two", active_active(), "/bin/sh", "-c", "kill -9 $$")
    assert fails.process.wait(5) == 3
    assert killed.process.wait(5) == 128 + 9


def test_orphans_are_collected_and_what_an_ended_child_left_is_killed(world: Gates) -> None:
    program = 'echo $$ >> "$0"; sleep 1000 & echo $! >> "$0"; (setsid sleep 0.1 &); exec sleep 0.5'
    gate = world.start("one", active_active(), "/bin/sh", "-c", program)
    assert gate.process.wait(5) == 0
    child, left = gate.children
    assert not alive(left)
    assert not alive(child)

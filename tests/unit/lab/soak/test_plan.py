"""The plan of a fault campaign."""

from collections import Counter

import pytest

from lab.soak import faults
from lab.soak.plan import COUNTS, FAULTS, Fault, Group, Target, plan


def test_a_seed_always_gives_the_same_plan_and_another_seed_another() -> None:
    assert plan(1) == plan(1)
    assert plan(1) != plan(2)


def test_the_default_plan_has_the_cycles_that_are_to_be_on_record() -> None:
    cycles = plan(7)

    assert Counter(cycle.fault.group for cycle in cycles) == COUNTS
    assert [cycle.number for cycle in cycles] == list(range(1, sum(COUNTS.values()) + 1))
    assert {cycle.fault for cycle in cycles} == set(FAULTS)


def test_faults_of_a_group_take_turns() -> None:
    counts = Counter(cycle.fault for cycle in plan(3))

    for group in Group:
        each = [counts[fault] for fault in FAULTS if fault.group is group]
        assert max(each) - min(each) <= 1


def test_victims_are_distinct_members_and_every_member_has_its_turn() -> None:
    cycles = plan(5)
    for cycle in cycles:
        chosen = cycle.fault.target is Target.CHOSEN
        assert len(set(cycle.victims)) == (cycle.fault.victims if chosen else 0)
        assert all(0 <= victim < cycle.fault.of for victim in cycle.victims)
    one = [
        c.victims[0] for c in cycles if (c.fault.group, c.fault.name) == ("rabbitmq", "kill one")
    ]
    assert len(set(one)) > 1


def test_a_plan_of_one_group_has_no_other() -> None:
    assert {cycle.fault.group for cycle in plan(1, {Group.OVN: 4})} == {Group.OVN}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault.group} {fault.name}")
def test_every_fault_can_be_made_and_one_that_lasts_can_be_undone(fault: Fault) -> None:
    action = faults.action(fault)

    assert faults.of(fault.group, fault.name) is action
    assert bool(action.hold) == (action.undo is not faults.Action(action.begin).undo)

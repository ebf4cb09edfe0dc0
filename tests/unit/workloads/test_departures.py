"""Which member leaves next: never one whose loss could cost the majority."""

import random
from collections.abc import Mapping

import pytest

from stackroles.workloads.departures import (
    Ask,
    Departure,
    MemberView,
    Remove,
    Wait,
    next_departure,
    size_for,
)

WELL, AWAY, LEFT = MemberView(healthy=True), MemberView(), MemberView(left=True)


def views(*members: MemberView | None) -> dict[int, MemberView]:
    return {n: member for n, member in enumerate(members) if member is not None}


@pytest.mark.parametrize(
    ("members", "settled", "step"),
    [
        (views(WELL, WELL, WELL, WELL, WELL), True, Ask(4)),
        (views(WELL, WELL, WELL, WELL, LEFT), True, Remove(4)),
        # What has left is removed, whatever else is wrong.
        (views(WELL, AWAY, WELL, None, LEFT), False, Remove(4)),
        # One that is itself of no use takes nothing with it.
        (views(WELL, WELL, WELL, WELL, AWAY), True, Ask(4)),
    ],
)
def test_the_last_member_leaves_first(
    members: Mapping[int, MemberView], settled: bool, step: Departure
) -> None:
    assert next_departure(wanted=3, present=5, settled=settled, members=members) == step


@pytest.mark.parametrize(
    ("members", "settled", "because"),
    [
        (views(WELL, WELL, WELL, WELL, WELL), False, "new configuration"),
        (views(WELL, AWAY, WELL, WELL, WELL), True, "members 1, which stay"),
        (views(WELL, None, WELL, None, WELL), True, "members 1, 3, which stay"),
        (views(WELL, WELL, WELL, WELL, None), True, "member 4 does not answer"),
        ({}, True, "members 0, 1, 2, 3"),
    ],
)
def test_nobody_leaves_while_something_is_wrong(
    members: Mapping[int, MemberView], settled: bool, because: str
) -> None:
    step = next_departure(wanted=3, present=5, settled=settled, members=members)
    assert isinstance(step, Wait)
    assert because in step.because


@pytest.mark.parametrize("wanted", [3, 5])
def test_nothing_is_to_be_done_when_there_are_not_too_many(wanted: int) -> None:
    assert next_departure(wanted=wanted, present=3, settled=True, members=views(WELL)) is None


@pytest.mark.parametrize(
    ("wanted", "present", "going", "size"),
    [
        (3, None, None, 3),
        (5, 3, None, 5),
        (3, 3, 2, 3),
        (3, 5, None, 5),
        (3, 5, 4, 4),
        # It was said of the size before.
        (3, 4, 4, 4),
        (3, 4, 3, 3),
    ],
)
def test_the_set_has_its_size_until_its_last_member_has_left(
    wanted: int, present: int | None, going: int | None, size: int
) -> None:
    assert size_for(wanted, present, going) == size


@pytest.mark.parametrize("seed", range(200))
def test_every_history_ends_at_the_number_wanted_and_never_takes_a_member(seed: int) -> None:
    chance = random.Random(seed)
    wanted, present = chance.choice([(3, 5), (1, 3), (3, 7), (1, 5)])
    left: set[int] = set()
    going: int | None = None
    for turn in range(300):
        calm = turn > 200
        # Members come and go, answers are lost, an operator begins anew and knows nothing.
        seen = {
            n: MemberView(healthy=n not in left and (calm or chance.random() < 0.8), left=n in left)
            for n in range(present)
            if calm or chance.random() < 0.9
        }
        settled = calm or chance.random() < 0.7
        step = next_departure(wanted=wanted, present=present, settled=settled, members=seen)
        if isinstance(step, Ask):
            assert step.ordinal == present - 1
            assert all(seen[n].healthy for n in range(step.ordinal))
            if calm or chance.random() < 0.5:
                left.add(step.ordinal)
        going = step.ordinal if isinstance(step, Remove) else None
        if not calm and chance.random() < 0.1:
            going = None
        size = size_for(wanted, present, going)
        assert size in (present, present - 1)
        assert size == present or present - 1 in left
        present = size
    assert present == wanted

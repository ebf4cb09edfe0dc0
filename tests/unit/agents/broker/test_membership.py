"""When a broker may start, and which of two clusters gives way."""

import itertools
from collections.abc import Iterable
from dataclasses import replace

import pytest

from stackroles.agents.broker.membership import (
    Start,
    Wait,
    decide,
    gives_way,
    is_forgotten,
    is_parted,
    majority_apart,
    may_start_first,
    other_cluster,
)
from stackroles.agents.broker.protocol import BrokerStatus, State

NODES = [f"rabbit@demo-rabbitmq-{n}.demo-rabbitmq.ns.svc" for n in range(3)]
ALL = frozenset(NODES)
EMPTY = BrokerStatus(State.EMPTY)
SERVING = BrokerStatus(State.RUNNING, ALL)
STOPPED = BrokerStatus(State.STOPPED)
ALONE = frozenset({NODES[1]})
# The others go on without member 1.
WITHOUT = BrokerStatus(State.RUNNING, ALL - ALONE)


def others(
    first: BrokerStatus | None, second: BrokerStatus | None
) -> dict[str, BrokerStatus | None]:
    """Return what the peers of member 1 answer."""
    return {NODES[0]: first, NODES[2]: second}


def test_a_member_that_lost_its_volume_is_forgotten_by_one_that_serves_first() -> None:
    assert decide(NODES[1], others(SERVING, SERVING)) == Start(forget_by=NODES[0])
    assert decide(NODES[1], others(None, SERVING)) == Start(forget_by=NODES[2])


def test_a_new_member_joins_those_who_do_not_know_it() -> None:
    assert (
        decide(NODES[1], others(BrokerStatus(State.RUNNING, frozenset(NODES[:1])), EMPTY))
        == Start()
    )


def test_a_cluster_is_formed_only_when_all_say_that_they_have_no_data() -> None:
    assert decide(NODES[1], others(EMPTY, EMPTY)) == Start()
    assert decide(NODES[1], others(EMPTY, BrokerStatus(State.FORMING))) == Start()
    assert decide(NODES[0], {}) == Start()


@pytest.mark.parametrize("other", [None, STOPPED, BrokerStatus(State.SPLIT)])
def test_a_member_that_may_have_data_forbids_a_new_cluster(other: BrokerStatus | None) -> None:
    decision = decide(NODES[1], others(EMPTY, other))
    assert isinstance(decision, Wait)
    assert NODES[2] in decision.because


def test_of_two_clusters_the_larger_one_stays() -> None:
    alone = frozenset({NODES[1]})
    assert other_cluster(NODES[1], alone, others(SERVING, SERVING)) == ALL
    stranger = BrokerStatus(State.RUNNING, alone)
    assert other_cluster(NODES[0], ALL, {NODES[1]: stranger, NODES[2]: SERVING}) == frozenset()


def test_of_two_equal_clusters_one_stays() -> None:
    alone = [frozenset({node}) for node in NODES]
    first = other_cluster(NODES[0], alone[0], {NODES[2]: BrokerStatus(State.RUNNING, alone[2])})
    last = other_cluster(NODES[2], alone[2], {NODES[0]: BrokerStatus(State.RUNNING, alone[0])})
    assert (first, last) == (frozenset(), alone[0])


def test_members_of_one_cluster_and_silent_ones_are_no_second_cluster() -> None:
    assert other_cluster(NODES[1], ALL, others(SERVING, None)) == frozenset()
    assert other_cluster(NODES[1], ALL, others(STOPPED, EMPTY)) == frozenset()


def test_who_lost_its_volume_waits_until_queues_have_a_majority_to_vote_it_out() -> None:
    alone = replace(SERVING, running=frozenset(NODES[:1]))
    decision = decide(NODES[1], others(alone, STOPPED))
    assert isinstance(decision, Wait)
    majority = replace(SERVING, running=ALL - ALONE)
    assert decide(NODES[1], others(alone, majority)) == Start(forget_by=NODES[2])
    assert NODES[0] in decision.because


def test_a_majority_is_counted_by_what_each_member_says_of_itself() -> None:
    assert majority_apart(ALONE, others(WITHOUT, WITHOUT)) == ALL - ALONE
    assert majority_apart(ALONE, others(SERVING, SERVING)) == ALL
    assert majority_apart(ALONE, others(WITHOUT, None)) == frozenset()
    assert majority_apart(ALONE, others(WITHOUT, SERVING)) == frozenset()
    apart = BrokerStatus(State.RUNNING, frozenset({NODES[2]}))
    first = BrokerStatus(State.RUNNING, frozenset({NODES[0]}))
    assert majority_apart(ALONE, others(first, apart)) == frozenset()


def test_only_data_that_was_shared_with_a_majority_is_forgotten_by_it() -> None:
    assert is_forgotten(NODES[1], ALL, others(WITHOUT, WITHOUT))
    assert not is_forgotten(NODES[1], ALONE, others(WITHOUT, WITHOUT))
    assert not is_forgotten(NODES[1], ALL, others(WITHOUT, STOPPED))
    assert not is_forgotten(NODES[1], ALL, others(SERVING, SERVING))


def test_what_a_consent_gave_up_is_forgotten_by_the_one_that_continued() -> None:
    alone = BrokerStatus(State.RUNNING, frozenset({NODES[0]}))
    consented = replace(alone, recovered="0123abcd")
    assert is_forgotten(NODES[1], ALL, others(consented, None))
    assert not is_forgotten(NODES[1], ALL, others(alone, None))
    assert not is_forgotten(NODES[1], ALONE, others(consented, None))
    assert not is_forgotten(NODES[1], ALL, others(replace(SERVING, recovered="0123abcd"), None))


def test_a_second_cluster_gives_way_by_itself_only_where_that_loses_no_message() -> None:
    assert gives_way(NODES[1], ALONE, 0, others(WITHOUT, WITHOUT))
    # They do not know that it is in another cluster: its volume was lost.
    assert gives_way(NODES[1], ALONE, 0, others(SERVING, SERVING))
    assert not gives_way(NODES[1], ALONE, 1, others(WITHOUT, WITHOUT))
    assert not gives_way(NODES[1], ALONE, 0, others(WITHOUT, None))
    # A fellow of it may still take messages.
    assert not gives_way(NODES[1], ALL - {NODES[2]}, 0, others(None, WITHOUT))


def waiting(*seen: int, first: bool = False) -> BrokerStatus:
    return BrokerStatus(State.STOPPED, last_seen=frozenset(NODES[n] for n in seen), first=first)


def starting(statuses: Iterable[BrokerStatus | None]) -> list[int]:
    """Return the members that start first when all of them see the same."""
    listed = list(statuses)
    found = []
    for number, own in enumerate(listed):
        peers = {NODES[n]: status for n, status in enumerate(listed) if n != number}
        if own and own.last_seen and may_start_first(NODES[number], own.last_seen, peers):
            found.append(number)
    return found


def test_of_a_majority_without_the_rest_one_starts_that_ran_to_the_last() -> None:
    everyone = waiting(0, 1, 2)
    assert starting([everyone, everyone, None]) == [0]
    assert starting([everyone, everyone, EMPTY]) == [0]
    # Member 0 was killed first: queues that were declared since are known to member 1.
    assert starting([everyone, waiting(1, 2), None]) == [1]
    assert starting([everyone, None, waiting(1, 2)]) == [2]


def test_nobody_starts_first_without_a_majority_nor_while_all_are_there() -> None:
    everyone = waiting(0, 1, 2)
    assert starting([everyone, None, EMPTY]) == []
    assert starting([everyone, everyone, everyone]) == []


@pytest.mark.parametrize("other", [SERVING, BrokerStatus(State.FORMING), waiting(0, 1, first=True)])
def test_nobody_starts_first_beside_one_that_starts(other: BrokerStatus) -> None:
    assert not may_start_first(NODES[0], ALL, {NODES[1]: other, NODES[2]: waiting(0, 1, 2)})


def test_two_never_start_first_and_never_one_that_another_outlived() -> None:
    """Whoever was killed in which order, and whichever one is missing."""
    sets = [frozenset(s) for k in range(1, 4) for s in itertools.combinations(range(3), k)]
    for seen in itertools.product(sets, repeat=3):
        if any(number not in own for number, own in enumerate(seen)):
            continue
        for missing in range(3):
            statuses = [None if n == missing else waiting(*seen[n]) for n in range(3)]
            found = starting(statuses)
            assert len(found) <= 1
            there = [n for n in range(3) if n != missing]
            assert all(chosen in seen[n] for chosen in found for n in there)


def side(*numbers: int) -> BrokerStatus:
    """Return the answer of a member that is connected to some."""
    return BrokerStatus(State.RUNNING, ALL, running=frozenset(NODES[n] for n in numbers))


@pytest.mark.parametrize(
    ("running", "first", "third", "parted"),
    [
        # The others are together without member 1.
        ((1,), side(0, 2), side(0, 2), True),
        ((1,), side(0, 2), None, True),
        ((1,), None, None, False),
        # All three are alone: the first stays.
        ((1,), side(0), side(2), True),
        ((1, 2), side(0), side(1, 2), False),
        ((0, 1), side(0, 1), side(2), False),
        # Those of which one sees both.
        ((0, 1), side(0, 1, 2), side(0, 2), False),
        ((1, 2), side(0, 2), side(0, 1, 2), True),
        # One side knows of the other again: it is about to be whole.
        ((1,), side(0, 1, 2), side(0, 1, 2), False),
        ((0, 1, 2), side(0, 1, 2), side(0, 1, 2), False),
        # What does not serve, or does not say whom it sees, is no side.
        ((1,), STOPPED, EMPTY, False),
        ((1,), SERVING, SERVING, False),
    ],
)
def test_of_sides_that_are_parted_the_smaller_one_starts_again(
    running: tuple[int, ...],
    first: BrokerStatus | None,
    third: BrokerStatus | None,
    parted: bool,
) -> None:
    own = frozenset(NODES[n] for n in running)
    assert is_parted(NODES[1], own, others(first, third)) is parted


@pytest.mark.parametrize("sides", [[{0}, {1}, {2}], [{0, 1}, {2}], [{0}, {1, 2}], [{0, 2}, {1}]])
def test_of_all_sides_exactly_one_stays(sides: list[set[int]]) -> None:
    answers = {NODES[n]: side(*own) for own in sides for n in own}
    stays = [
        own
        for own in sides
        for n in [min(own)]
        if not is_parted(
            NODES[n], answers[NODES[n]].running, {k: a for k, a in answers.items() if k != NODES[n]}
        )
    ]
    assert len(stays) == 1
    assert len(stays[0]) == max(map(len, sides))

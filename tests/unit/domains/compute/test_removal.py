"""How far a host has come on its way out of a pool."""

import pytest

from stackroles.domains.compute.removal import Occupation, RemovalStep, decide

EMPTY = Occupation(empty=frozenset({"n1"}))
FREE = Occupation(empty=frozenset({"n1"}), free=frozenset({"n1"}))


@pytest.mark.parametrize(
    ("seen", "labelled", "pods", "step"),
    [
        (Occupation(), True, 6, RemovalStep.OBSERVE),
        (EMPTY, True, 6, RemovalStep.OBSERVE),
        (Occupation(occupied={"n1": "2 guests"}), True, 6, RemovalStep.BLOCK),
        (FREE, True, 6, RemovalStep.UNPIN),
        (FREE, False, 6, RemovalStep.WAIT),
        (FREE, False, 0, RemovalStep.REMOVE),
    ],
)
def test_a_host_leaves_step_by_step(
    seen: Occupation, labelled: bool, pods: int, step: RemovalStep
) -> None:
    assert decide("n1", seen, labelled=labelled, pods=pods) is step


def test_what_was_seen_of_one_host_says_nothing_of_another() -> None:
    assert decide("n2", FREE, labelled=True, pods=6) is RemovalStep.OBSERVE

"""Which member has which server: tables, and what holds for every history."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stackroles.agents.endpoint.slices import members
from stackroles.agents.endpoint.slots import Slot, State, assign, commands, unplaced

EMPTY = Slot()
READY, DRAIN, MAINT = State.READY, State.DRAIN, State.MAINT
STAYS, LEAVES = False, True


@pytest.mark.parametrize(
    ("slots", "found", "expected"),
    [
        # New members take servers that never had one.
        ([EMPTY, EMPTY], {"a": STAYS}, [Slot("a", READY), EMPTY]),
        ([EMPTY, Slot("a", READY)], {"b": STAYS, "a": STAYS},
         [Slot("b", READY), Slot("a", READY)]),
        # Who leaves is drained where it is; who leaves and has no server needs none.
        ([Slot("a", READY, 3), EMPTY], {"a": LEAVES}, [Slot("a", DRAIN, 3), EMPTY]),
        ([EMPTY, EMPTY], {"a": LEAVES}, [EMPTY, EMPTY]),
        # Who is gone keeps its server until another needs it.
        ([Slot("a", DRAIN, 2), EMPTY], {}, [Slot("a", MAINT, 2), EMPTY]),
        ([Slot("a", MAINT), EMPTY], {"b": STAYS}, [Slot("a", MAINT), Slot("b", READY)]),
        ([Slot("a", MAINT, 1), Slot("b", MAINT)], {"c": STAYS},
         [Slot("a", MAINT, 1), Slot("c", READY)]),
        # A server with sessions goes last, the one with the fewest first.
        ([Slot("a", MAINT, 5), Slot("b", MAINT, 2)], {"c": STAYS},
         [Slot("a", MAINT, 5), Slot("c", READY, 2)]),
        ([Slot("a", READY, 1), Slot("b", READY)], {"a": LEAVES, "b": STAYS, "c": STAYS},
         [Slot("c", READY, 1), Slot("b", READY)]),
        # The address of one that is gone may come back with another pod.
        ([Slot("a", MAINT), EMPTY], {"a": STAYS}, [Slot("a", READY), EMPTY]),
        # One address in two servers, as a person may set it: one of them goes.
        ([Slot("a", READY), Slot("a", READY)], {"a": STAYS}, [Slot("a", READY), Slot("a", MAINT)]),
        # Too few servers: those that have one keep it.
        ([Slot("b", READY)], {"a": STAYS, "b": STAYS}, [Slot("b", READY)]),
    ],
)  # fmt: skip
def test_members_get_servers(
    slots: list[Slot], found: dict[str, bool], expected: list[Slot]
) -> None:
    assert list(assign(slots, found)) == expected


def test_members_without_a_server_are_named() -> None:
    assert unplaced([Slot("b", READY)], {"a": STAYS, "b": STAYS, "c": LEAVES}) == ["a"]


ADDRESSES = st.sampled_from([f"10.0.0.{n}" for n in range(8)])
HISTORY = st.lists(
    st.tuples(
        st.dictionaries(ADDRESSES, st.booleans(), max_size=8),
        st.lists(st.integers(0, 3), min_size=5, max_size=5),
    ),
    max_size=12,
)


@given(HISTORY)
@settings(max_examples=300)
def test_no_server_is_shared_and_no_member_waits_while_servers_suffice(
    history: list[tuple[dict[str, bool], list[int]]],
) -> None:
    slots: list[Slot] = [EMPTY] * 5
    for found, sessions in history:
        slots = [Slot(s.address, s.state, n) for s, n in zip(slots, sessions, strict=True)]
        after = assign(slots, found)

        used = [slot.address for slot in after if slot.state is not MAINT]
        assert len(used) == len(set(used)), "one address in two servers"
        assert len(after) == len(slots)
        for old, new in zip(slots, after, strict=True):
            if found.get(old.address) is STAYS and old.state is READY:
                assert new == old, "a member that stays lost its server"
            if new.state is READY:
                assert found[new.address] is STAYS
            if new.state is DRAIN:
                assert found[new.address] is LEAVES
        staying = {address for address, leaves in found.items() if not leaves}
        assert len(unplaced(after, found)) == max(0, len(staying) - len(slots))
        assert assign(after, found) == after, "it changes servers without a reason"
        slots = list(after)


def test_a_member_serves_from_its_first_check_that_passes() -> None:
    assert commands("keystone/s2", 5000, Slot("a", MAINT, 1), Slot("b", READY, 1)) == [
        "set server keystone/s2 state maint",
        "set server keystone/s2 addr b port 5000",
        "set server keystone/s2 state drain",
        "set server keystone/s2 health down",
        "set server keystone/s2 state ready",
    ]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (Slot("a", READY, 1), Slot("a", READY, 7), []),
        (EMPTY, EMPTY, []),
        (Slot("a", READY), Slot("a", DRAIN), ["set server k/s1 state drain"]),
        (Slot("a", DRAIN), Slot("a", MAINT), ["set server k/s1 state maint"]),
    ],
)
def test_only_changes_are_commands(before: Slot, after: Slot, expected: list[str]) -> None:
    assert commands("k/s1", 5000, before, after) == expected


def piece(service: str, kind: str = "IPv4", **endpoints: bool | None) -> dict[str, Any]:
    """Return an EndpointSlice; a dot in an address is written as "_"."""
    return {
        "metadata": {"labels": {"kubernetes.io/service-name": service}},
        "addressType": kind,
        "endpoints": [
            {
                "addresses": [name.strip("_").replace("_", ".")],
                "conditions": {"ready": True, "terminating": terminating},
            }
            for name, terminating in endpoints.items()
        ],
    }


def test_slices_are_read() -> None:
    slices: list[dict[str, Any]] = [
        piece("k", _10_0_0_1=None, _10_0_0_2=True),
        piece("k", _10_0_0_3=False),
        piece("other", _10_0_0_9=False),
        piece("k", "FQDN", _a_b=False),
        {"metadata": {}, "addressType": "IPv4", "endpoints": None},
        {**piece("k"), "endpoints": None},
        {**piece("k"), "endpoints": [{"addresses": ["10.0.0.4"]}]},
    ]

    assert members(slices, "k") == {
        "10.0.0.1": False,
        "10.0.0.2": True,
        "10.0.0.3": False,
        "10.0.0.4": False,
    }


@pytest.mark.parametrize("first", [True, False])
def test_a_pod_in_two_slices_leaves_when_both_say_so(first: bool) -> None:
    slices = [piece("k", _10_0_0_1=first), piece("k", _10_0_0_1=not first)]

    assert members(slices, "k") == {"10.0.0.1": False}
    assert members([piece("k", _10_0_0_1=True)] * 2, "k") == {"10.0.0.1": True}

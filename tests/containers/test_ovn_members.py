"""An OVN database of real servers: every fault once. The campaign repeats them (ovn_campaign.py).

It needs a container engine and the image of the `ovn` role: `make build`, and the exports that
`python -m lab env` prints.
"""

import random
from collections.abc import Iterator
from functools import partial

import pytest

from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.agents.ovsdb.protocol import Mode, State
from tests.support.ovn_faults import DAMAGES, FAULTS, Recovery, recover
from tests.support.ovn_members import OvnMembers, await_until, image

CHANCE = random.Random(0)
IMAGE = image()

pytestmark = pytest.mark.skipif(not IMAGE, reason="no container engine with the ovn image answers")


@pytest.fixture(scope="module")
def members() -> Iterator[OvnMembers]:
    """Three members that serve."""
    with OvnMembers("test-ovn-members", IMAGE) as found:
        found.write(60)
        found.await_members(60)
        yield found


def within(recovery: Recovery, seconds: float) -> bool:
    """Return whether all was as before in time; says how long it took when it was not."""
    assert recovery.members <= seconds, recovery
    return True


@pytest.mark.parametrize("name", FAULTS)
def test_members_come_back_without_a_person(members: OvnMembers, name: str) -> None:
    several = name in ("kill 2", "kill 3", "restart all in another order")
    assert within(recover(members, FAULTS[name], CHANCE, 60), 60 if several else 20)


@pytest.mark.parametrize("name", DAMAGES)
def test_a_member_with_a_file_of_no_use_joins_anew(members: OvnMembers, name: str) -> None:
    assert within(recover(members, DAMAGES[name], CHANCE, 60), 20)
    kept = [status.aside for n in range(members.size) if (status := members.status(n))]
    assert any(kept)
    assert all(len(files) <= 2 for files in kept)


def test_a_survivor_continues_by_consent_and_the_others_join_it(members: OvnMembers) -> None:
    for member in (1, 2):
        members.remove_member(member)
    for member in (1, 2):
        members.start(member)
    await_until("0 is alone", 30, partial(is_alone, members, 0), members.report)
    members.decide(0, Mode.CONTINUE, "0123abcd")
    assert members.write(20) < 20
    for member in (1, 2):
        # The former leader may have taken one in again before it noticed that it was alone.
        if is_alone(members, member):
            members.decide(member, Mode.YIELD, "0123abcd")
    assert members.await_members(20) < 20
    assert members.lost() == []


def is_alone(members: OvnMembers, member: int) -> bool:
    status = members.status(member)
    return status is not None and status.state is State.MEMBER and not status.connected


def test_members_leave_one_by_one_and_come_back() -> None:
    with OvnMembers("test-ovn-leave", IMAGE, size=5) as members:
        members.write(60)
        members.await_members(60)
        shrink(members, 3)
        shrink(members, 1)
        members.size = 3
        members.kill(0)
        for member in (1, 2):
            members.start(member)
        members.await_members(60)
        members.write(20)
        assert members.lost() == []


def has_left(members: OvnMembers, member: int) -> bool:
    status = members.status(member)
    return status is not None and status.state is State.LEFT


def shrink(members: OvnMembers, size: int) -> None:
    """Have the last members leave, as the operator does it."""
    present = members.size
    members.size = size
    for member in reversed(range(present)):
        members.replace(member)
    members.await_members(60, range(present))
    for member in reversed(range(size, present)):
        members.annotate(member, f'{LEAVE_ANNOTATION}="uid-{member}"\n')
        await_until(
            f"{member} has left",
            30,
            partial(has_left, members, member),
            members.report,
        )
        # One that begins again stays out.
        members.kill(member)
        members.await_members(30, range(member))
        members.write(20)
        assert has_left(members, member)
        members.remove_member(member)
    assert members.lost() == []

"""An OVN database of real servers: every fault once. The campaign repeats them (ovn_campaign.py).

It needs a container engine and the image of the `ovn` role: `make build`, and the exports that
`python -m lab env` prints.
"""

import random
from collections.abc import Iterator

import pytest

from tests.support.ovn_faults import DAMAGES, FAULTS, Recovery, recover
from tests.support.ovn_members import OvnMembers, image

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

"""A restore whose operator is killed, or whose writes fail, ends as any other."""

import pytest

from stackroles.domains.restore.phases import Phase
from tests.support.restore_cloud import UUID
from tests.support.restore_world import Faults, RestoreWorld, restore_world

# Whatever is tried again ends with what it began: nothing is made twice.
JOBS = ["back-member-0", "back-member-1", "back-member-2", "back-neutron-ovn-sync"]
# More writes than a run has.
_MOST = 200


def check(world: RestoreWorld) -> None:
    """Assert that a restore ended as it does when nothing goes wrong."""
    assert world.told()[0] == "Restored", world.told()
    record = world.record()
    assert record is not None
    assert (record.ended, record.stopped.value) == (True, "Nothing")
    assert world.data == [UUID] * 3
    safety = world.restored()["safetyBackup"]
    assert world.names("Backup") == [safety, "monday"]
    assert [name for name in world.jobs_made() if "reader" not in name] == JOBS


async def test_an_operator_that_is_killed_after_each_pass_goes_on(world: RestoreWorld) -> None:
    world.declare_restore(overwrite="demo")

    await world.play(after=world.restart)

    check(world)


@pytest.mark.parametrize("done", [False, True], ids=["refused", "done without an answer"])
async def test_whichever_write_fails_the_restore_ends_the_same_way(*, done: bool) -> None:
    for number in range(1, _MOST):
        status = 500 if done or number % 2 else 409
        with pytest.MonkeyPatch.context() as patch:
            async with restore_world(patch) as world:
                faults = Faults(world, number, status, done=done)
                faults.inject(patch)
                world.declare_restore(overwrite="demo")
                # What was done without an answer is known to whoever reads it again.
                await world.play(after=world.restart if done else lambda: None)
                check(world)
        if faults.writes < number:
            break
    assert number > len(Phase)

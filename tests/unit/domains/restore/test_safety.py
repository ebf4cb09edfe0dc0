"""What is overwritten is backed up first, unless that cannot be or is not wanted."""

from stackroles.workloads.restoring import Stopped
from tests.support.restore_cloud import SET
from tests.support.restore_world import RestoreWorld


async def test_a_safety_backup_that_fails_ends_the_restore_before_anything_stops(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: len(world.names("Backup")) == 2)
    [name] = set(world.names("Backup")) - {SET}
    world.failing.append(name)
    seen: set[Stopped] = set()

    await world.play(after=lambda: seen.add(world.stopped()))

    what = f"Backup {name} of what would be overwritten failed: it broke"
    world.check_given_up(what, "set spec.safetyBackup to Never")
    assert seen == {Stopped.NOTHING}


async def test_none_is_made_where_none_is_wanted(world: RestoreWorld) -> None:
    world.declare_restore(overwrite="demo", safetyBackup="Never")
    await world.play()

    assert world.names("Backup") == [SET]
    assert "safetyBackup" not in world.restored()
    expected = "No backup of what is overwritten: spec.safetyBackup is Never."
    assert world.phase("SafetyBackup")["message"] == expected


async def test_none_is_made_of_a_database_that_does_not_serve(
    world: RestoreWorld,
) -> None:
    world.serving = False
    world.play_roles()
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: world.stopped() is Stopped.DATABASE)
    world.serving = True
    await world.play()

    assert world.told()[0] == "Restored"
    assert world.names("Backup") == [SET]
    expected = "No backup of what is overwritten: the database does not serve."
    assert world.phase("SafetyBackup")["message"] == expected


async def test_that_of_a_former_restore_of_the_name_does_not_count(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play()
    first = world.restored()["safetyBackup"]
    world.delete_restore()
    world.data = ["former"] * 3
    world.declare_restore(overwrite="demo")

    await world.play()

    assert world.told()[0] == "Restored"
    assert world.restored()["safetyBackup"] != first
    assert len(world.names("Backup")) == 3


async def test_the_reader_does_not_hold_the_volume_that_the_backup_writes(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")

    await world.play(until=lambda: len(world.names("Backup")) == 2)
    world.collect()

    assert "back-reader" not in world.names("Job")

"""A deleted Backup and its recovery set, on a small API server."""

import copy
from collections.abc import AsyncIterator

import pytest

from stackroles.constants import FINALIZER
from stackroles.errors import Forbidden
from tests.support.backup_world import World, backup_world
from tests.support.fake_api import Fault


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with backup_world() as made:
        yield made


async def make(world: World, name: str = "one") -> None:
    """Make a verified Backup."""
    world.apply(name)
    await world.run(name)
    await world.verify(name)
    await world.run(name)


def delete(world: World, name: str = "one") -> None:
    """Delete a Backup as a person would: it stays while it has a finalizer."""
    found = copy.deepcopy(world.cluster.get("Backup", "ns", name)) or {}
    assert FINALIZER in found["metadata"]["finalizers"]
    found["metadata"]["deletionTimestamp"] = world.clock.now().isoformat()
    world.store(found)


def is_let_go(world: World, name: str = "one") -> bool:
    found = world.api.get("backups", "ns", name)
    return found is None or FINALIZER not in (found["metadata"].get("finalizers") or ())


def end_removal(world: World, name: str = "one", kind: str = "Complete") -> None:
    job = copy.deepcopy(world.api.get("jobs", "ns", f"{name}-removal")) or {}
    at = world.clock.now().isoformat()
    ended = {"type": kind, "status": "True", "lastTransitionTime": at}
    world.store({**job, "status": {"conditions": [ended]}})


def events(world: World) -> list[tuple[str, str, str]]:
    return [
        (event["regarding"]["kind"], event["reason"], event["note"])
        for (plural, _, _), event in world.api._objects.items()
        if plural == "events" and event["reason"] == "RecoverySetLeft"
    ]


async def test_a_backup_goes_once_its_set_is_removed(world: World) -> None:
    await make(world)
    delete(world)

    await world.run("one")

    assert not is_let_go(world)
    job = world.api.get("jobs", "ns", "one-removal") or {}
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert labels["stackroles.io/step"] == "backup.removal"
    assert world.condition("one", "Reconciled")[0] == "Deleting"
    await world.run("one")
    assert not is_let_go(world)

    end_removal(world)
    await world.run("one")

    assert is_let_go(world)
    assert not events(world)


async def test_retain_leaves_the_set_without_a_word(world: World) -> None:
    world.declare(deletionPolicy="Retain")
    await make(world)
    delete(world)

    await world.run("one")

    assert is_let_go(world)
    assert "one-removal" not in world.names("Job")
    assert not events(world)


async def test_a_set_that_gave_way_to_newer_ones_needs_no_removal(world: World) -> None:
    await make(world)
    world.wait(hours=1)
    world.apply("two")
    await world.run("two")
    await world.verify("two", "one")
    delete(world)

    await world.run("one")

    assert is_let_go(world)
    assert "one-removal" not in world.names("Job")


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        ("BackupPolicy", "nightly", "BackupPolicy nightly, which names the repository, is gone"),
        ("CloudController", "demo", "CloudController demo, whose images would do it, is gone"),
    ],
)
async def test_a_set_that_cannot_be_reached_is_left_and_reported(
    world: World, kind: str, name: str, why: str
) -> None:
    await make(world)
    delete(world)
    world.remove(kind, name)

    await world.run("one")

    assert is_let_go(world)
    [(regarding, _, note)] = events(world)
    assert regarding == ("Backup" if kind == "BackupPolicy" else "BackupPolicy")
    assert why in note
    assert "set=one" in note


async def test_a_set_whose_key_is_gone_is_left_and_reported(world: World) -> None:
    await make(world)
    delete(world)
    world.declare(encryptionSecret="absent")

    await world.run("one")

    assert is_let_go(world)
    assert "Secret absent does not exist" in events(world)[0][2]


async def test_a_removal_that_fails_is_given_up_and_reported(world: World) -> None:
    await make(world)
    delete(world)
    await world.run("one")
    end_removal(world, kind="Failed")

    await world.run("one")

    assert is_let_go(world)
    assert "failed 3 times" in events(world)[0][2]


async def test_a_removal_waits_for_a_run_and_a_run_for_a_removal(world: World) -> None:
    await make(world)
    world.wait(seconds=1)
    world.apply("two")
    await world.run("two")
    delete(world)
    await world.run("one")
    assert world.condition("one", "Reconciled") == (
        "Deleting",
        "Backup two works with the repository; it ends first.",
    )

    await world.verify("two")
    await world.run("one")
    assert "one-removal" in world.names("Job")

    world.apply("three")
    await world.run("three")
    assert world.condition("three")[0] == "WaitingForTurn"
    end_removal(world)
    await world.run("one", "three")
    assert world.condition("three")[0] == "BackupRunning"


async def test_a_removal_that_never_gets_its_turn_is_given_up(world: World) -> None:
    await make(world)
    world.wait(seconds=1)
    world.apply("two")
    await world.run("two")
    delete(world)
    world.wait(hours=2)

    await world.run("one")

    assert is_let_go(world)
    assert "Backup two has worked with the repository for more than an hour" in events(world)[0][2]


async def test_a_run_that_is_deleted_is_ended_before_its_parts_are_removed(world: World) -> None:
    world.apply("one")
    await world.run("one")
    world.pod("one")
    delete(world)

    await world.run("one")

    assert world.api.get("jobs", "ns", "one-run") is None
    assert "one-removal" not in world.names("Job")

    world.remove("Pod", "one-run-x")
    await world.run("one")
    assert "one-removal" in world.names("Job")


async def test_a_run_that_failed_leaves_nothing_to_remove(world: World) -> None:
    world.apply("one")
    await world.run("one")
    await world.fail("one")
    delete(world)

    await world.run("one")

    assert is_let_go(world)
    assert "one-removal" not in world.names("Job")


async def test_a_removal_refused_before_an_upgrade_mounts_what_its_inputs_hold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await make(world)
    delete(world)
    world.api.faults.append(Fault("POST", "/jobs", 403, message="exceeded quota: jobs"))
    with pytest.raises(Forbidden):
        await world.run("one")
    world.upgrade(monkeypatch)

    await world.run("one")

    assert world.unserved("one-removal") == set()

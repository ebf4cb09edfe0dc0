"""BackupPolicies on a small API server: marks, volumes, and what is said of them."""

import copy
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from stackroles.errors import Forbidden, SpecInvalid, Unavailable
from tests.support.backup_world import World, backup_world
from tests.support.fake_api import Fault


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with backup_world() as made:
        yield made


def claim(world: World) -> dict[str, object]:
    found = world.api.get("persistentvolumeclaims", "ns", "nightly-repository")
    assert found is not None
    return found


async def test_a_policy_has_a_claim_and_a_schedule(world: World) -> None:
    assert world.policy("Ready")[0] == "AsDesired"
    assert world.policy("LastBackupSucceeded")[0] == "NoBackupYet"
    cron = world.api.get("cronjobs", "ns", "nightly")
    assert cron is not None
    assert cron["spec"]["schedule"] == "0 3 * * *"
    before = world.api.writes()
    await world.settle()
    assert world.api.writes() == before


class TestMarks:
    async def test_a_mark_makes_a_backup_once(self, world: World) -> None:
        world.wait(hours=3)
        world.mark("nightly-1")
        await world.settle()
        assert world.names("Backup") == ["nightly-1"]
        await world.run("nightly-1")
        await world.verify("nightly-1")
        await world.settle()
        assert world.policy("LastBackupSucceeded") == (
            "LastBackupVerified", "nightly-1 is verified.",
        )  # fmt: skip

        world.remove("Backup", "nightly-1")
        await world.settle()

        assert world.names("Backup") == []

    async def test_marks_that_came_meanwhile_share_one_backup(self, world: World) -> None:
        for number in range(5):
            world.wait(hours=1)
            world.mark(f"nightly-{number}")

        await world.settle()

        assert world.names("Backup") == ["nightly-4"]

    async def test_one_backup_waits_however_many_runs_are_due(self, world: World) -> None:
        world.declare(encryptionSecret="later")
        for number in range(5):
            world.wait(hours=1)
            world.mark(f"nightly-{number}")
            await world.settle()
            await world.run("nightly-0")

        assert world.names("Backup") == ["nightly-0"]

        world.secret("later", password="a long password")
        await world.run("nightly-0")
        world.wait(hours=1)
        world.mark("nightly-5")
        await world.settle()

        assert world.names("Backup") == ["nightly-0", "nightly-5"]


class TestNeverDue:
    async def test_a_schedule_without_any_run_gets_no_cron_job(self, world: World) -> None:
        world.declare("never", schedule="0 3 30,31 feb *")

        with pytest.raises(SpecInvalid, match="0 3 30,31 feb"):
            await world.settle("never")

        reason, message = world.policy("Reconciled", "never")
        assert reason == "ScheduleNeverDue"
        assert "none of its months has one of its days" in message
        assert world.policy("Ready", "never")[0] == "ScheduleNeverDue"
        assert world.policy("Stalled", "never")[0] == "NeedsAttention"
        assert world.api.get("cronjobs", "ns", "never") is None

        world.declare("never", schedule="0 3 30,31 mar *")
        await world.settle("never")
        assert world.policy("Ready", "never")[0] == "AsDesired"
        assert world.api.get("cronjobs", "ns", "never") is not None

    async def test_the_former_schedule_goes_on(self, world: World) -> None:
        world.declare(schedule="0 3 31 2 *")

        with pytest.raises(SpecInvalid):
            await world.settle()

        assert world.policy("Reconciled")[0] == "ScheduleNeverDue"
        assert (world.api.get("cronjobs", "ns", "nightly") or {})["spec"]["schedule"] == "0 3 * * *"
        world.wait(days=2)
        world.mark("nightly-1")
        with pytest.raises(SpecInvalid):
            await world.settle()
        assert world.names("Backup") == ["nightly-1"]


class TestOverdue:
    async def test_a_schedule_that_stopped_is_reported(self, world: World) -> None:
        world.wait(hours=3)
        world.mark("nightly-1")
        world.wait(hours=1)
        await world.settle()
        assert world.policy("Ready")[0] == "AsDesired"

        world.wait(hours=23, minutes=20)
        await world.settle()

        reason, message = world.policy("LastBackupSucceeded")
        assert reason == "BackupOverdue"
        assert "2026-01-02 03:00" in message
        assert world.policy("Ready")[0] == "BackupOverdue"
        world.mark("nightly-2")
        await world.settle()
        assert world.policy("LastBackupSucceeded")[0] == "NoBackupYet"

    async def test_no_run_is_missed_while_suspended_or_before_a_new_schedule(
        self, world: World
    ) -> None:
        world.declare(suspend=True)
        world.wait(days=3)
        await world.settle()
        assert world.policy("Ready")[0] == "AsDesired"

        world.declare(schedule="0 1 * * *")
        await world.settle()
        assert world.policy("Ready")[0] == "AsDesired"

        world.wait(days=1)
        await world.settle()
        assert world.policy("Ready")[0] == "BackupOverdue"


class TestVolume:
    async def test_a_larger_size_is_applied(self, world: World) -> None:
        world.declare(repository={"volume": {"size": "20Gi", "storageClassName": "fast"}})

        await world.settle()

        assert claim(world)["spec"]["resources"]["requests"]["storage"] == "20Gi"  # type: ignore[index]
        assert world.policy("Ready")[0] == "AsDesired"

    async def test_a_class_that_refuses_to_grow_is_reported_and_the_schedule_is_applied(
        self, world: World
    ) -> None:
        expected = "only dynamically provisioned pvc can be resized"
        world.api.faults.append(Fault("PATCH", "persistentvolumeclaims", 403, message=expected))
        repository = {"volume": {"size": "20Gi", "storageClassName": "fast"}}
        world.declare(schedule="0 4 * * *", repository=repository)

        await world.settle()

        reason, message = world.policy("Reconciled")
        assert reason == "RepositoryNotResized"
        assert expected in message
        assert (world.api.get("cronjobs", "ns", "nightly") or {})["spec"]["schedule"] == "0 4 * * *"

    async def test_a_smaller_size_leaves_the_claim_as_it_is(self, world: World) -> None:
        world.declare(repository={"volume": {"size": "1Gi", "storageClassName": "fast"}})
        before = copy.deepcopy(claim(world))

        await world.settle()

        assert claim(world) == before

    async def test_an_absent_storage_class_is_reported(self, world: World) -> None:
        world.declare("second", repository={"volume": {"storageClassName": "absent"}})

        await world.settle("second")

        reason, message = world.policy("Ready", "second")
        assert reason == "StorageClassMissing"
        assert "storage class absent does not exist" in message

    async def test_no_class_and_no_default_one_is_reported(self, world: World) -> None:
        world.declare("second", repository={"volume": {}})

        await world.settle("second")

        assert "has no default one" in world.policy("Ready", "second")[1]

    @pytest.mark.parametrize(
        ("binding", "reason"),
        [("Immediate", "VolumePending"), ("WaitForFirstConsumer", "AsDesired")],
    )
    async def test_a_volume_that_does_not_come_is_reported_unless_it_waits_for_its_first_use(
        self, world: World, binding: str, reason: str
    ) -> None:
        world.storage_class("slow", volumeBindingMode=binding)
        world.declare("second", repository={"volume": {"storageClassName": "slow"}})
        world.clock.at += timedelta(minutes=2)

        await world.settle("second")

        assert world.policy("Ready", "second")[0] == reason


async def test_a_bucket_without_its_credentials_is_reported(world: World) -> None:
    bucket = {"endpoint": "https://s3", "bucket": "sets", "credentialsSecret": "s3"}
    world.declare(repository={"s3": bucket})

    await world.settle()

    assert world.policy("Ready")[0] == "RepositorySecretMissing"


class TestRefusals:
    """What the API server refuses is reported, and holds up nothing else."""

    async def test_a_refused_schedule_is_reported_and_a_due_run_begins(self, world: World) -> None:
        world.wait(hours=1)
        world.mark("nightly-1")
        world.declare(schedule="0 4 * * *")
        world.api.faults.append(Fault("PATCH", "/cronjobs/", 403, message="quota: cronjobs"))
        with pytest.raises(Forbidden):
            await world.settle()
        reason, message = world.policy("Reconciled")
        assert (reason, world.policy("Ready")[0]) == ("ApplyFailed", "ApplyFailed")
        assert "quota: cronjobs" in message
        assert world.names("Backup") == ["nightly-1"]

        world.wait(hours=30)
        await world.settle()
        assert world.policy("Reconciled")[0] == "Applied"
        assert world.policy("LastBackupSucceeded")[0] == "NoBackupYet", "nothing was due before"

    @pytest.mark.parametrize(
        ("changed", "after"),
        [
            ({"resources": {"limits": {"memory": "1Gi"}}}, "BackupOverdue"),
            ({"schedule": "0 1 * * *"}, "NoBackupYet"),
            ({"timeZone": "Asia/Tokyo"}, "NoBackupYet"),
            ({"suspend": True}, "NoBackupYet"),
        ],
    )
    @pytest.mark.parametrize("status", [403, 422])
    async def test_a_missed_run_is_reported_while_the_cron_job_is_refused(
        self, world: World, status: int, changed: dict[str, Any], after: str
    ) -> None:
        world.wait(days=2)
        await world.settle()
        missed = world.policy("LastBackupSucceeded")
        assert missed[0] == "BackupOverdue"

        world.declare(**changed)
        for _ in range(2):
            world.api.faults.append(Fault("PATCH", "/cronjobs/", status))
            with pytest.raises((Forbidden, SpecInvalid)):
                await world.settle()
            assert world.policy("LastBackupSucceeded") == missed, "the former CronJob still runs"

        await world.settle()
        assert world.policy("LastBackupSucceeded")[0] == after, "nothing is due of a new schedule"

    async def test_an_invalid_schedule_waits_for_another_and_a_due_run_begins(
        self, world: World
    ) -> None:
        world.mark("nightly-1")
        world.declare(schedule="0 4 * * *")
        world.api.faults.append(Fault("PATCH", "/cronjobs/", 422))
        with pytest.raises(SpecInvalid):
            await world.settle()
        assert world.policy("Reconciled")[0] == "SpecInvalid"
        assert world.names("Backup") == ["nightly-1"]

    async def test_a_refused_claim_is_reported_and_the_schedule_is_applied(
        self, world: World
    ) -> None:
        world.declare("other")
        world.api.faults.append(Fault("POST", "/persistentvolumeclaims", 403, message="storage"))
        with pytest.raises(Forbidden):
            await world.settle("other")
        reason, message = world.policy("Ready", "other")
        assert reason == "ApplyFailed"
        assert "storage" in message
        assert world.api.get("cronjobs", "ns", "other") is not None

    async def test_what_the_next_attempt_may_bring_changes_no_condition(self, world: World) -> None:
        before = world.cluster.get("BackupPolicy", "ns", "nightly")
        world.declare(schedule="0 4 * * *")
        world.api.faults.append(Fault("PATCH", "/cronjobs/", 503))
        with pytest.raises(Unavailable):
            await world.settle()
        after = world.cluster.get("BackupPolicy", "ns", "nightly")
        assert (after or {})["status"] == (before or {})["status"]

"""What waits for a restore, what it waits for, and what becomes of one that is deleted."""

import copy
from typing import Any

import pytest

from stackroles.agents.backup.protocol import RetentionRules
from stackroles.agents.backup.reader_protocol import ReaderProblem
from stackroles.constants import FINALIZER
from stackroles.domains.restore import reconcile_reader
from stackroles.domains.restore.phases import Phase
from stackroles.errors import Conflict, NotReady
from stackroles.workloads.restoring import Stopped
from tests.support.fake_api import Request
from tests.support.restore_cloud import SET, UUID
from tests.support.restore_world import RestoreWorld

COPY = "back-member-0"


def safety(world: RestoreWorld) -> str:
    [name] = [name for name in world.names("Backup") if name.startswith("back-before")]
    return name


async def begun(world: RestoreWorld) -> None:
    """Bring a restore to its safety backup, which does not end."""
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: any("-before-" in name for name in world.names("Backup")))
    world.idle.add(safety(world))
    await world.follow()


async def test_a_second_restore_waits_and_begins_when_the_first_has_ended(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: world.record() is not None)
    world.declare_restore("second", overwrite="demo", safetyBackup="Never")
    names: list[str] = []

    def note() -> None:
        record = world.record()
        names.append(record.name if record else "")

    await world.reconcile("second")
    assert world.told("second") == (
        "AnotherRestoreRuns", "Restore back of this cloud is under way; it ends first.",
    )  # fmt: skip
    assert world.told("second", "Stalled")[0] == "Healthy"
    await world.play("back", "second", after=note)

    assert [world.told(name)[0] for name in ("back", "second")] == ["Restored", "Restored"]
    assert names == sorted(names), "the first ends before the second begins"
    assert names[-1] == "second"


async def test_nothing_of_one_restore_goes_with_another(world: RestoreWorld) -> None:
    for name in ("back", "second"):
        world.declare_restore(name, overwrite="demo", safetyBackup="Never")
        await world.play(name)
    world.delete_restore("back")

    kept = set(world.names("ConfigMap"))

    jobs = [job for name in world.names("Job") if name.startswith("second-")
            if (job := world.api.get("jobs", "ns", name))]  # fmt: skip
    mounted = {
        volume["configMap"]["name"]
        for job in jobs
        for volume in job["spec"]["template"]["spec"]["volumes"]
        if "configMap" in volume
    }
    assert len(jobs) == 1
    assert mounted
    assert mounted <= kept


class TestBackups:
    async def test_another_backup_waits_and_the_safety_backup_does_not(
        self, world: RestoreWorld
    ) -> None:
        await begun(world)
        world.apply("mine")
        world.idle.add("mine")
        await world.run("mine", safety(world))

        assert world.condition("mine") == (
            "WaitingForTurn", "Restore back of this cloud is under way; it ends first.",
        )  # fmt: skip
        assert world.condition(safety(world))[0] == "BackupRunning"
        world.idle.clear()
        await world.play()
        assert world.told()[0] == "Restored"
        await world.run("mine")
        assert world.condition("mine")[0] == "BackupRunning"

    async def test_one_that_waited_before_the_restore_does_not_hold_the_safety_backup_up(
        self, world: RestoreWorld
    ) -> None:
        world.apply("running")
        await world.run("running")
        world.wait(seconds=1)
        world.apply("older")
        await world.run("older")
        assert world.condition("older")[0] == "WaitingForTurn"
        world.declare_restore(overwrite="demo")

        await world.play()

        assert world.told()[0] == "Restored"
        await world.run("older")
        # Which of both begins when the one at work has ended is nobody's concern.
        assert world.condition("older")[0] in {"BackupRunning", "BackupVerified"}

    async def test_a_run_that_is_started_meanwhile_keeps_all_sets(
        self, world: RestoreWorld
    ) -> None:
        world.declare(keepLast=1, keepDaily=7)
        await begun(world)

        assert world.retention_of(safety(world)).rules.last > 1000
        world.idle.clear()
        await world.play()
        world.apply("after")
        await world.run("after")
        assert world.retention_of("after").rules == RetentionRules(last=1, daily=7)

    async def test_the_removal_of_a_deleted_backup_waits(self, world: RestoreWorld) -> None:
        world.apply("old")
        await world.run("old")
        await world.verify("old")
        await world.run("old")
        await begun(world)
        world.leave("Backup", "old")

        await world.run("old")

        reason, message = world.condition("old", "Reconciled")
        assert reason == "Deleting"
        assert message == "Restore back reads the repository; it ends first."
        assert "old-removal" not in world.names("Job")
        world.idle.clear()
        await world.play()
        await world.run("old")
        assert "old-removal" in world.names("Job")


class TestDeleted:
    @pytest.mark.parametrize(
        "stage", [Stopped.NOTHING, Stopped.SERVICES, Stopped.DATABASE], ids=lambda s: s.value
    )
    async def test_before_its_data_phase_the_cloud_goes_on_with_what_it_had(
        self, world: RestoreWorld, stage: Stopped
    ) -> None:
        world.declare_restore(overwrite="demo")
        await world.play(until=lambda: world.record() is not None and world.stopped() is stage)
        world.delete_restore()
        assert world.exists(), "its finalizer holds it"

        await world.reconcile()
        await world.follow()

        assert not world.exists()
        record = world.record()
        assert record is not None
        assert (record.ended, record.stopped, record.history) == (True, Stopped.NOTHING, None)
        assert world.data == ["former"] * 3
        assert len(world.database()) == 3
        assert "back-reader" not in world.names("Job")

    @pytest.mark.parametrize("kind", ["Backup", "BackupPolicy"])
    async def test_what_it_refers_to_need_not_be_there_for_that(
        self, world: RestoreWorld, kind: str
    ) -> None:
        world.declare_restore(overwrite="demo")
        await world.play(until=lambda: world.stopped() is Stopped.SERVICES)
        world.remove(kind, SET if kind == "Backup" else "nightly")
        world.delete_restore()

        await world.reconcile()
        await world.follow()

        assert not world.exists()
        assert world.stopped() is Stopped.NOTHING

    async def test_once_its_data_phase_has_begun_it_goes_on_to_its_end_first(
        self, world: RestoreWorld
    ) -> None:
        world.declare_restore(overwrite="demo")
        world.idle.add(COPY)
        await world.play(until=lambda: COPY in world.names("Job"))
        world.delete_restore()
        await world.reconcile()
        assert world.exists()
        assert world.stopped() is Stopped.DATABASE
        world.idle.clear()

        await world.play()

        assert not world.exists()
        assert world.data == [UUID] * 3
        record = world.record()
        assert record is not None
        assert (record.ended, len(record.done)) == (True, len(Phase))

    @pytest.mark.parametrize("away", ["repository", "Backup"])
    async def test_before_a_job_has_a_volume_its_data_phase_lets_the_cloud_go_on(
        self, world: RestoreWorld, monkeypatch: pytest.MonkeyPatch, away: str
    ) -> None:
        """What cannot be read would keep the cloud stopped for ever."""

        async def read(*_: str) -> Any:
            record = world.record()
            if record is None or "Keys" not in record.done:
                return world.answer
            if away == "Backup":
                world.remove("Backup", SET)
            return ReaderProblem(reason="RepositoryUnavailable", message="away")

        monkeypatch.setattr(reconcile_reader, "read_manifest", read)
        world.declare_restore(overwrite="demo")
        await world.play(until=lambda: any(p["name"] == "Data" for p in world.restored()["phases"]))
        await world.reconcile()
        assert world.stopped() is Stopped.DATABASE
        assert COPY not in world.jobs_made()
        world.delete_restore()

        await world.play(after=world.restart)

        assert not world.exists()
        assert world.stopped() is Stopped.NOTHING
        assert world.data == ["former"] * 3

    async def test_a_deletion_in_the_moment_of_the_first_job_lets_nothing_start_beside_it(
        self, world: RestoreWorld, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The pass that makes the Job knows the Restore as it was before, and cannot write it."""
        answer = world.api.answer

        def delete_then(request: Request) -> Any:
            answered = answer(request)
            if request.method == "POST" and request.body["metadata"]["name"] == COPY:
                found = copy.deepcopy(world.api.get("restores", "ns", "back") or {})
                found["metadata"]["deletionTimestamp"] = world.clock.now().isoformat()
                world.api.put(found)
            return answered

        monkeypatch.setattr(world.api, "answer", delete_then)
        world.tolerated = (NotReady, Conflict)
        world.declare_restore(overwrite="demo")

        await world.play(after=world.restart)

        assert not world.exists()
        assert COPY in world.jobs_made()
        assert world.data == [UUID] * 3

    async def test_a_copy_that_fails_after_the_deletion_ends_it_too(
        self, world: RestoreWorld
    ) -> None:
        world.declare_restore(overwrite="demo")
        world.idle.add(COPY)
        await world.play(until=lambda: COPY in world.names("Job"))
        world.delete_restore()
        world.idle.clear()
        world.failing.append(COPY)

        await world.play()

        assert not world.exists()
        assert world.stopped() is Stopped.NOTHING
        assert world.data == ["former"] * 3

    async def test_one_that_never_began_goes_at_once(self, world: RestoreWorld) -> None:
        world.declare_restore()
        await world.reconcile()
        world.delete_restore()

        await world.reconcile()
        world.collect()

        assert not world.exists()
        assert world.record() is None
        assert "back-reader" not in world.names("Job")

    async def test_one_that_ended_goes_at_once(self, world: RestoreWorld) -> None:
        world.declare_restore(overwrite="demo")
        await world.play()
        world.delete_restore()
        assert not world.exists()

    @pytest.mark.parametrize("gone", [True, False])
    async def test_one_whose_cloud_goes_holds_nothing_up(
        self, world: RestoreWorld, *, gone: bool
    ) -> None:
        """Neither its deletion, nor what has the name of the cloud next."""
        world.declare_restore(overwrite="demo")
        await world.play(until=lambda: COPY in world.names("Job"))
        if gone:
            world.remove("CloudController", "demo")
        else:
            found = copy.deepcopy(world.api.get("cloudcontrollers", "ns", "demo") or {})
            found["metadata"]["finalizers"] = [FINALIZER]
            world.store(found)
            world.leave("CloudController", "demo")
        world.delete_restore()

        await world.reconcile()
        world.collect()

        assert not world.exists()
        record = world.record()
        assert record is not None
        assert (record.ended, record.stopped) == (True, Stopped.NOTHING)


async def test_a_run_at_work_ends_before_a_restore_of_its_policy_begins(
    world: RestoreWorld,
) -> None:
    """Its retention may remove the very set."""
    began = world.clock.now().isoformat()
    world.apply("nightly-2")
    other = copy.deepcopy(world.api.get("backups", "ns", "nightly-2") or {})
    world.store({**other, "status": {"startedAt": began}})
    world.declare_restore(overwrite="demo")
    await world.reconcile()
    assert world.told()[1] == "Preflight: Backup nightly-2 writes the repository; it ends first."
    assert world.record() is None
    world.store({**other, "status": {"startedAt": began, "completedAt": began}})

    await world.play()

    assert world.told()[0] == "Restored"


async def test_a_deleted_restore_that_does_not_get_on_lets_the_cloud_start(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    world.serving = False
    await world.play(until=lambda: bool((record := world.record()) and record.history))
    world.delete_restore()
    await world.reconcile()
    assert world.exists()
    world.wait(minutes=31)

    await world.reconcile()

    record = world.record()
    assert record is not None
    assert (record.ended, record.stopped) == (True, Stopped.NOTHING)
    assert record.history is not None, "the database goes on with it"
    world.collect()
    assert not world.exists()


async def test_a_verification_at_work_ends_before_a_restore_from_its_repository_begins(
    world: RestoreWorld,
) -> None:
    world.declare(verification=[{"level": "Database", "schedule": "0 5 * * *"}])
    await world.settle()
    world.mark("v-1", step="verification-mark-database")
    await world.settle()
    world.declare_restore(overwrite="demo")
    await world.reconcile()
    assert world.told()[1] == (
        "Preflight: A verification of BackupPolicy nightly works with the repository; "
        "it ends first."
    )
    assert world.record() is None
    job = copy.deepcopy(world.api.get("jobs", "ns", "v-1-run") or {})
    ended = {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    world.store({**job, "status": {"conditions": [ended]}})

    await world.play()

    assert world.told()[0] == "Restored"


class TestOrphans:
    """A Restore that was removed with its finalizer has left what it stopped as it was."""

    async def remove_at(self, world: RestoreWorld, done: str) -> None:
        world.declare_restore(overwrite="demo", safetyBackup="Never")
        world.idle |= {COPY, "back-member-1"}
        if done == Phase.DATA:
            world.idle.clear()
            world.serving = False

        def reached() -> bool:
            record = world.record()
            return record is not None and done in record.done

        await world.play(until=reached)
        world.remove("Restore", "back")
        world.collect()
        world.idle.clear()
        world.serving = True

    @pytest.mark.parametrize("done", ["Preflight", "Pause", "Stop", "Keys", "Data"])
    async def test_the_next_one_takes_over(self, world: RestoreWorld, done: str) -> None:
        await self.remove_at(world, done)
        world.declare_restore("next", overwrite="demo", safetyBackup="Never")

        await world.play("next")

        assert world.told("next")[0] == "Restored", world.told("next")
        assert world.data == [UUID] * 3
        assert world.stopped() is Stopped.NOTHING

    async def test_a_dry_run_leaves_it_as_it_is(self, world: RestoreWorld) -> None:
        await self.remove_at(world, "Stop")
        before = world.record()
        world.declare_restore("next", dryRun=True)

        await world.reconcile("next")

        assert world.told("next")[0] == "AnotherRestoreRuns"
        assert world.record() == before

    async def test_data_that_may_be_half_replaced_rest_until_all_of_it_is(
        self, world: RestoreWorld
    ) -> None:
        await self.remove_at(world, "Keys")
        world.declare_restore("next")

        await world.play("next", until=lambda: world.told("next")[0] == "ConsentRequired")

        record = world.record()
        assert record is not None
        assert (record.ended, record.stopped) == (True, Stopped.DATABASE)
        assert world.database() == []

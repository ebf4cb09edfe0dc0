"""Verifications on a small API server: their turn, their results, and what follows from them."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.backup.verification_protocol import Level, VerificationOutcome
from tests.support.backup_world import World, backup_world
from tests.support.objects import owned_by

Object = dict[str, Any]
DAILY = [{"level": "Database", "schedule": "0 5 * * *"}]
MARK = "verification-mark-database"
GOOD = VerificationOutcome(
    ok=True, level=Level.DATABASE, set="one", seconds=12.5, compared=40, skipped=2
)
BAD = VerificationOutcome(
    damaged=True,
    level=Level.DATABASE,
    set="one",
    compared=40,
    different=1,
    names=("nova.instances: 2 rows in the copy, 3 when it was taken",),
    reason="SetDamaged",
    message="1 tables of the copy are not as they were taken",
)
BROKEN = VerificationOutcome(level=Level.DATABASE, set="one", message="connection refused")


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with backup_world() as made:
        made.declare(verification=DAILY)
        await made.settle()
        yield made


async def with_set(world: World, name: str = "one") -> None:
    """Give the policy a verified set."""
    world.wait(hours=1)
    world.apply(name)
    await world.run(name)
    await world.verify(name)


async def begin(world: World, mark: str = "v-1") -> None:
    """Let a verification become due, and start it."""
    world.wait(hours=1)
    world.mark(mark, step=MARK)
    await world.settle()


def end_pod(world: World, outcome: VerificationOutcome | None, name: str = "v-1-run") -> None:
    """Let the kubelet report that the pod of a verification has ended."""
    job = world.api.get("jobs", "ns", name)
    assert job is not None
    metadata = {
        "name": f"{name}-x",
        "namespace": "ns",
        "labels": job["spec"]["template"]["metadata"]["labels"],
        "ownerReferences": owned_by(job),
    }
    message = wire.dumps(outcome) if outcome else ""
    state = {"terminated": {"exitCode": 1, "message": message}}
    statuses = [{"name": "verification", "state": state}]
    found = {"phase": "Failed", "containerStatuses": statuses}
    world.store({"kind": "Pod", "metadata": metadata, "status": found})


def end_job(world: World, kind: str, name: str = "v-1-run") -> None:
    """Let the Job controller report that a verification has ended."""
    job = copy.deepcopy(world.api.get("jobs", "ns", name))
    assert job is not None
    at = world.clock.now().isoformat()
    ended = {"type": kind, "status": "True", "lastTransitionTime": at, "reason": "DeadlineExceeded"}
    world.store({**job, "status": {"conditions": [ended]}})


async def end(
    world: World, outcome: VerificationOutcome | None, mark: str = "v-1", run: str = "run"
) -> None:
    """Let a verification end, and the operator see it."""
    end_pod(world, outcome, f"{mark}-{run}")
    end_job(world, "Complete" if outcome and outcome.ok else "Failed", f"{mark}-{run}")
    await world.settle()
    world.forget_gone()


def programs(world: World) -> list[str]:
    """Return the ConfigMaps of verifications."""
    return [name for name in world.names("ConfigMap") if "verification" in name]


def quarantine(world: World, name: str) -> set[str]:
    """Return the levels that have put a set into quarantine."""
    return {mark["level"] for mark in world.status(name).get("quarantine", ())}


def status(world: World) -> Object:
    found = world.cluster.get("BackupPolicy", "ns", "nightly")
    [one] = (found or {})["status"]["verifications"]
    return dict(one)


async def test_a_level_has_a_schedule_and_waits_for_its_first_time(world: World) -> None:
    cron = world.api.get("cronjobs", "ns", "nightly-verify-database")

    assert (cron or {})["spec"]["schedule"] == "0 5 * * *"
    assert world.policy("Verified")[0] == "NoVerificationYet"
    assert world.policy("Ready")[0] == "AsDesired"
    before = world.api.writes()
    await world.settle()
    assert world.api.writes() == before


async def test_a_level_that_is_not_wanted_any_more_loses_its_schedule(world: World) -> None:
    world.declare(verification=[])

    await world.settle()

    assert world.api.get("cronjobs", "ns", "nightly-verify-database") is None
    assert world.api.get("cronjobs", "ns", "nightly") is not None


async def test_the_newest_verified_set_is_verified_once_for_all_marks(world: World) -> None:
    await with_set(world, "zero")
    await with_set(world)
    world.apply("two")  # not verified
    world.mark("v-0", step=MARK)

    await begin(world)

    assert (status(world)["running"], status(world)["job"]) == ("one", "v-1-run")
    await end(world, GOOD)
    assert status(world)["result"] == "Passed"
    assert status(world)["backup"] == "one"
    assert status(world)["tables"] == {"compared": 40, "skipped": 2, "different": 0}
    assert world.policy("Verified") == ("SetVerified", "Passed: Database of Backup one.")
    await world.settle()
    assert [name for name in world.names("Job") if name.startswith("v-")] == [
        "v-0", "v-1", "v-1-run"
    ]  # fmt: skip


async def test_one_that_is_due_waits_for_a_set(world: World) -> None:
    await begin(world)
    assert status(world)["waits"] == "No verified recovery set is there yet."

    await with_set(world)
    await world.settle()

    assert status(world)["running"] == "one"


async def test_a_verification_and_a_run_wait_for_one_another(world: World) -> None:
    await with_set(world)
    world.apply("two")
    await world.run("two")
    await begin(world)
    assert status(world)["waits"] == "Backup two works with the repository; it ends first."

    await world.verify("two")
    await world.settle()
    assert status(world)["running"] == "two"
    world.apply("three")
    await world.run("three")

    reason, message = world.condition("three")
    assert reason == "WaitingForTurn"
    assert message.startswith("A verification of BackupPolicy nightly comes first")
    await end(world, GOOD)
    await world.run("three")
    assert world.condition("three")[0] == "BackupRunning"


async def test_a_damaged_set_is_in_quarantine_until_its_level_passes(world: World) -> None:
    await with_set(world)
    await begin(world)
    await end(world, BAD)

    assert world.policy("Verified") == (
        "SetDamaged", "Level Database, Backup one: 1 tables of the copy are not as they were taken"
    )  # fmt: skip
    [mark] = world.status("one")["quarantine"]
    assert (mark["level"], mark["message"]) == ("Database", BAD.message)
    assert world.condition("one")[0] == "BackupVerified"

    await begin(world, "v-2")
    await end(world, BROKEN, "v-2")
    assert quarantine(world, "one") == {"Database"}

    await begin(world, "v-3")
    await end(world, GOOD, "v-3")
    assert quarantine(world, "one") == set()
    assert world.policy("Verified")[0] == "SetVerified"


async def test_one_that_could_not_be_made_says_nothing_of_the_set(world: World) -> None:
    await with_set(world)
    await begin(world)
    await end(world, BROKEN)

    assert world.policy("Verified") == (
        "VerificationFailed", "Level Database, Backup one: connection refused"
    )  # fmt: skip
    assert quarantine(world, "one") == set()


async def test_one_that_left_nothing_is_reported_with_its_jobs_end(world: World) -> None:
    await with_set(world)
    await begin(world)
    await end(world, None)

    assert status(world)["result"] == "Failed"
    assert "DeadlineExceeded" in status(world)["message"]


async def test_one_whose_job_is_deleted_has_failed(world: World) -> None:
    await with_set(world)
    await begin(world)
    world.remove("Job", "v-1-run")

    await world.settle()

    assert status(world)["result"] == "Failed"
    assert "deleted before it ended" in status(world)["message"]


async def test_the_job_of_the_last_one_stays_for_its_log(world: World) -> None:
    await with_set(world)
    await begin(world)
    await end(world, GOOD)
    await begin(world, "v-2")
    await world.settle()
    world.forget_gone()

    jobs = {name for name in world.names("Job") if name.endswith("-run")}

    assert "v-2-run" in jobs
    assert "v-1-run" not in jobs


async def test_a_verdict_is_waited_for_where_the_job_is_seen_to_end_before_its_pod(
    world: World,
) -> None:
    await with_set(world)
    await begin(world)
    end_job(world, "Complete")
    await world.settle()
    assert status(world)["running"] == "one"

    world.wait(seconds=30)
    end_pod(world, GOOD)
    await world.settle()

    assert (status(world)["result"], status(world).get("running")) == ("Passed", None)


async def test_a_pod_that_is_never_seen_is_not_waited_for_without_end(world: World) -> None:
    await with_set(world)
    await begin(world)
    end_job(world, "Complete")
    world.wait(seconds=61)

    await world.settle()

    assert status(world)["result"] == "Failed"


class TestAttribution:
    async def test_a_job_names_the_backup_that_it_verifies(self, world: World) -> None:
        await with_set(world)
        await begin(world)

        job = world.api.get("jobs", "ns", "v-1-run") or {}
        uid = (world.cluster.get("Backup", "ns", "one") or {})["metadata"]["uid"]
        noted = job["metadata"]["annotations"]
        assert noted["stackroles.io/backup"] == "one"
        assert noted["stackroles.io/backup-uid"] == uid

    async def test_an_outcome_of_another_set_is_dropped_and_says_so(self, world: World) -> None:
        await with_set(world)
        await begin(world)

        await end(world, replace(BAD, set="zero"))

        assert quarantine(world, "one") == set()
        assert status(world)["result"] == "Failed"
        assert status(world)["message"] == (
            "The outcome is dropped: it is of Backup zero, and Backup one was to be verified."
        )

    async def test_a_backup_that_was_made_anew_meanwhile_gets_no_mark(self, world: World) -> None:
        await with_set(world)
        await begin(world)
        world.remove("Backup", "one")
        world.apply("one")

        await end(world, BAD)

        assert "quarantine" not in (world.cluster.get("Backup", "ns", "one") or {}).get(
            "status", {}
        )
        assert "another of its name made" in status(world)["message"]

    async def test_a_verdict_about_a_backup_that_is_gone_is_kept(self, world: World) -> None:
        await with_set(world)
        await begin(world)
        world.remove("Backup", "one")

        await end(world, BAD)

        assert (status(world)["result"], status(world)["backup"]) == ("Damaged", "one")

    async def test_a_job_whose_status_was_not_written_is_of_the_set_it_was_made_for(
        self, world: World
    ) -> None:
        """A newer set has come meanwhile."""
        await with_set(world)
        policy = copy.deepcopy(world.api.get("backuppolicies", "ns", "nightly") or {})
        await begin(world)
        world.store(policy)  # as if the status had not been written
        end_job(world, "Failed")
        end_pod(world, BAD)
        await with_set(world, "two")

        await world.settle()

        assert (status(world)["result"], status(world)["backup"]) == ("Damaged", "one")
        assert quarantine(world, "one") == {"Database"}
        assert quarantine(world, "two") == set()


class TestRemovedLevels:
    async def test_one_at_work_goes_on_to_its_verdict_and_leaves_nothing(
        self, world: World
    ) -> None:
        await with_set(world)
        await begin(world)
        world.declare(verification=[])
        await world.settle()
        assert status(world)["running"] == "one"
        assert programs(world) != []

        await end(world, BAD)

        assert quarantine(world, "one") == {"Database"}
        for _ in range(2):
            await world.settle()
            world.forget_gone()
        policy = world.cluster.get("BackupPolicy", "ns", "nightly") or {}
        assert not policy["status"].get("verifications")
        assert "v-1-run" not in world.names("Job")
        assert programs(world) == []

    async def test_the_result_of_one_that_had_ended_goes_too(self, world: World) -> None:
        await with_set(world)
        await begin(world)
        await end(world, GOOD)
        world.declare(verification=[])

        for _ in range(2):
            await world.settle()
            world.forget_gone()

        assert "v-1-run" not in world.names("Job")
        assert programs(world) == []

    async def test_what_the_other_level_needs_stays(self, world: World) -> None:
        both = [*DAILY, {"level": "Repository", "schedule": "0 6 * * *"}]
        world.declare(verification=both)
        await with_set(world)
        await begin(world)
        await end(world, GOOD)
        world.declare(verification=DAILY)

        for _ in range(2):
            await world.settle()
            world.forget_gone()

        assert "v-1-run" in world.names("Job")
        assert len(programs(world)) == 1
        assert status(world)["level"] == "Database"


class TestQuarantine:
    async def test_a_set_leaves_it_once_each_level_that_marked_it_has_passed(
        self, world: World
    ) -> None:
        world.declare(verification=[*DAILY, {"level": "Repository", "schedule": "0 6 * * *"}])
        await with_set(world)
        await begin(world)
        await end(world, BAD)
        world.mark("w-1", step="verification-mark-repository")
        await world.settle()
        await end(world, replace(BAD, level=Level.REPOSITORY), "w-1")
        assert quarantine(world, "one") == {"Database", "Repository"}

        await begin(world, "v-2")
        await end(world, GOOD, "v-2")

        assert quarantine(world, "one") == {"Repository"}

    async def test_a_mark_says_since_when_and_when_it_was_seen_last(self, world: World) -> None:
        await with_set(world)
        await begin(world)
        await end(world, BAD)
        [first] = world.status("one")["quarantine"]
        await begin(world, "v-2")
        await end(world, replace(BAD, message="worse"), "v-2")

        [second] = world.status("one")["quarantine"]

        assert second["since"] == first["since"] == first["lastTime"] < second["lastTime"]
        assert second["message"] == "worse"

    async def older(self, world: World) -> None:
        """Have a set in quarantine, and a newer one that passed."""
        await with_set(world)
        await begin(world)
        await end(world, BAD)
        await with_set(world, "two")
        await begin(world, "v-2")
        await end(world, replace(GOOD, set="two"), "v-2")

    async def test_an_older_one_is_verified_again_after_the_newest_and_taken_out(
        self, world: World
    ) -> None:
        await self.older(world)
        assert status(world)["running"] == "one"
        job = world.api.get("jobs", "ns", "v-2-run-again") or {}
        assert job["metadata"]["annotations"]["stackroles.io/backup"] == "one"

        await end(world, GOOD, "v-2", "run-again")

        assert quarantine(world, "one") == set()
        found = status(world)
        assert (found["backup"], found["result"], found["job"]) == ("two", "Passed", "v-2-run")
        assert (found["again"]["backup"], found["again"]["result"]) == ("one", "Passed")
        assert "running" not in found

    async def test_it_is_once_for_each_time_that_the_level_is_due(self, world: World) -> None:
        await self.older(world)
        await end(world, BAD, "v-2", "run-again")
        world.wait(hours=1)
        await world.settle()
        assert "running" not in status(world)
        assert world.policy("Verified") == ("SetVerified", "Passed: Database of Backup two.")

        await begin(world, "v-3")
        assert status(world)["running"] == "two"
        await end(world, replace(GOOD, set="two"), "v-3")

        assert status(world)["running"] == "one"
        assert quarantine(world, "one") == {"Database"}

    async def test_several_take_turns_also_where_one_cannot_be_verified(self, world: World) -> None:
        await self.older(world)
        await end(world, BROKEN, "v-2", "run-again")
        await begin(world, "v-3")
        await end(world, replace(BAD, set="two"), "v-3")
        await end(world, BROKEN, "v-3", "run-again")
        await with_set(world, "three")
        await begin(world, "v-4")

        await end(world, replace(GOOD, set="three"), "v-4")

        assert status(world)["running"] == "two"

    async def test_one_whose_status_was_not_written_is_taken_over(self, world: World) -> None:
        await self.older(world)
        policy = copy.deepcopy(world.api.get("backuppolicies", "ns", "nightly") or {})
        [known] = policy["status"]["verifications"]
        before = {key: value for key, value in known.items() if key not in {"again", "running"}}
        policy["status"]["verifications"] = [before]
        world.store(policy)

        await world.settle()

        assert status(world)["running"] == "one"
        assert status(world)["job"] == "v-2-run"
        assert status(world)["again"]["job"] == "v-2-run-again"

    async def test_a_mark_of_a_former_version_is_one_of_its_level(self, world: World) -> None:
        await with_set(world)
        backup = copy.deepcopy(world.api.get("backups", "ns", "one") or {})
        mark = {"level": "Database", "since": "2026-01-01T00:00:00Z", "message": "a table"}
        world.store({**backup, "status": {**backup["status"], "quarantine": mark}})
        await begin(world)

        await end(world, GOOD)

        assert quarantine(world, "one") == set()


class TestAge:
    async def test_what_has_passed_grows_old(self, world: World) -> None:
        """The clock begins at midnight; the level is due at five."""
        await with_set(world)
        await begin(world)
        await end(world, GOOD)
        world.wait(days=1, hours=2)
        await world.settle()
        assert world.policy("Verified")[0] == "SetVerified"

        world.wait(hours=2)
        await world.settle()

        reason, message = world.policy("Verified")
        assert reason == "VerificationOverdue"
        assert message == (
            "Level Database was due at 2026-01-01 05:00 and once more since, and the last one "
            "ended at 2026-01-01 02:00 UTC. See the events of the level's CronJob, whose Jobs "
            "begin one."
        )
        await begin(world, "v-2")
        await end(world, GOOD, "v-2")
        assert world.policy("Verified")[0] == "SetVerified"

    async def test_one_that_waits_says_for_what(self, world: World) -> None:
        await begin(world)
        world.wait(days=3)

        await world.settle()

        reason, message = world.policy("Verified")
        assert reason == "VerificationOverdue"
        assert message.endswith("none has ended yet. No verified recovery set is there yet.")

    async def test_neither_one_at_work_nor_one_that_is_not_wanted_is_overdue(
        self, world: World
    ) -> None:
        await with_set(world)
        await begin(world)
        world.wait(days=3)
        await world.settle()
        assert world.policy("Verified")[0] == "NoVerificationYet"
        await end(world, GOOD)
        world.declare(verification=DAILY, suspend=True)
        await world.settle()
        world.wait(days=3)

        await world.settle()

        assert world.policy("Verified")[0] == "SetVerified"

    async def test_a_schedule_that_is_new_is_not_overdue(self, world: World) -> None:
        await with_set(world)
        await begin(world)
        await end(world, GOOD)
        world.wait(days=5)
        world.declare(verification=[{"level": "Database", "schedule": "0 6 * * *"}])

        await world.settle()

        assert world.policy("Verified")[0] == "SetVerified"


async def test_a_result_has_the_size_of_what_was_verified(world: World) -> None:
    await with_set(world)
    await begin(world)

    await end(world, GOOD)

    assert (status(world)["seconds"], status(world)["sizeBytes"]) == (12.5, 7)

"""Backups on a small API server: turns, outcomes, and what is left of them."""

import asyncio
import copy
import json
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from stackroles.agents.backup.protocol import RetentionInput, RetentionRules
from stackroles.domains.backup.reconcile_backup import reconcile_backup
from stackroles.errors import Forbidden, NotReady
from stackroles.kube.kinds import Key, ObjectRef
from stackroles.roles import registry
from tests.support.backup_world import BUCKET, World, backup_world, verified
from tests.support.fake_api import Fault


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with backup_world() as made:
        yield made


async def test_a_run_goes_from_its_job_to_a_verified_set(world: World) -> None:
    world.apply("one")

    await world.run("one")
    assert world.condition("one") == ("BackupRunning", "Copying from demo-mariadb-2.")
    world.wait(seconds=30)
    await world.verify("one")

    assert world.condition("one")[0] == "BackupVerified"
    status = world.status("one")
    assert (status["verified"], status["durationSeconds"]) == (True, 30)


async def test_a_set_names_the_image_of_every_role_as_it_runs(world: World) -> None:
    mine = {"mariadb": {"image": "mine/mariadb:2"}, "nova-api": {"image": "mine/nova:3"}}
    world.declare_cloud(roles=mine)
    world.apply("one")
    await world.run("one")
    [inputs] = [
        found for found in world.cluster.list("ConfigMap", "ns")
        if found["metadata"]["name"].startswith("one-")
    ]  # fmt: skip
    stored = world.api.get("configmaps", "ns", inputs["metadata"]["name"])
    assert stored is not None
    images = json.loads(stored["data"]["versions.json"])["images"]
    assert images.keys() == {role.name for role in registry.CONTROLLER_ROLES}
    assert (images["mariadb"], images["nova-api"]) == ("mine/mariadb:2", "mine/nova:3")
    assert images["nova-scheduler"] == "r/nova:latest"


async def test_a_run_that_ended_is_looked_at_again_to_remove_its_inputs(world: World) -> None:
    enqueued: list[Key] = []
    world.context = replace(world.context, enqueue=lambda ref, delay=0.0: enqueued.append(ref))
    world.apply("one")
    await world.run("one")
    assert enqueued == []
    await world.verify("one")
    assert enqueued == [ObjectRef("Backup", "ns", "one")], "nothing else wakes it"
    await world.run("one")
    assert not [name for name in world.names("ConfigMap") if name.startswith("one-")]


async def test_a_second_look_at_a_running_job_writes_nothing(world: World) -> None:
    world.apply("one")
    await world.run("one")
    world.pod("one")
    await world.run("one")
    before = world.api.writes()

    await world.run("one")

    assert world.api.writes() == before


async def test_a_scheduled_run_waits_while_the_cloud_is_degraded_and_a_persons_does_not(
    world: World,
) -> None:
    world.declare(degradedPatienceSeconds=600)
    cloud = copy.deepcopy(world.api.get("cloudcontrollers", "ns", "demo")) or {}
    lost = {"type": "QuorumAtRisk", "status": "True", "message": "demo-mariadb-1 is away"}
    world.store({**cloud, "status": {**cloud["status"], "conditions": [lost]}})
    world.mark("m")
    await world.settle()
    [scheduled] = world.names("Backup")

    await world.run(scheduled)
    reason, message = world.condition(scheduled)
    assert (reason, world.names("Job")) == ("WaitingForSource", ["m"])
    assert "The cloud is degraded (QuorumAtRisk: demo-mariadb-1 is away)" in message
    assert "degradedPatienceSeconds" in message
    world.wait(seconds=601)
    await world.run(scheduled)
    assert world.condition(scheduled)[0] == "BackupRunning"

    await world.verify(scheduled)
    world.apply("mine")
    await world.run("mine")
    assert world.condition("mine")[0] == "BackupRunning", "who applies a Backup wants it now"


class TestTurns:
    async def test_one_run_at_a_time_and_the_others_say_for_whom_they_wait(
        self, world: World
    ) -> None:
        world.apply("b")
        world.wait(seconds=1)
        world.apply("a")

        await world.run("a", "b", "a")

        assert world.names("Job") == ["b-run"]
        reason, message = world.condition("a")
        assert reason == "WaitingForTurn"
        assert message.startswith("Backup b comes first")
        await world.verify("b")
        await world.run("a")
        assert world.condition("a")[0] == "BackupRunning"

    async def test_of_two_reconciled_at_once_one_starts(self, world: World) -> None:
        world.apply("b")
        first = asyncio.create_task(
            reconcile_backup(world.context, world.cluster.get("Backup", "ns", "b") or {})
        )
        async with asyncio.timeout(10):
            while not any(p.endswith("demo-state") for _, p in world.api.requests):  # noqa: ASYNC110
                await asyncio.sleep(0)  # the server tells nobody that b has its turn
        # of the same second and earlier in the alphabet, but seen later
        world.apply("a")
        second = reconcile_backup(world.context, world.cluster.get("Backup", "ns", "a") or {})

        results = await asyncio.gather(first, second, return_exceptions=True)

        assert len(world.names("Job")) == 1
        assert [type(result) for result in results].count(NotReady) == 1

    async def test_runs_into_other_repositories_share_the_members(self, world: World) -> None:
        for name in ("far", "further"):
            world.declare(name)
            await world.settle(name)
        world.apply("one")
        world.apply("two", "far")
        world.apply("three", "further")

        await world.run("one", "two", "three")

        assert [world.status(name)["source"] for name in ("one", "two")] == [
            "demo-mariadb-2",
            "demo-mariadb-1",
        ]
        reason, message = world.condition("three")
        assert (reason, "to Backup one: a member streams one" in message) == (
            "WaitingForSource",
            True,
        )

        await world.log("one", "database", bytes=5)
        await world.run("three")
        assert world.condition("three")[0] == "WaitingForSource"

        await world.log("one", "secrets")  # it is done with its member
        await world.run("three")
        assert world.condition("three") == ("BackupRunning", "Copying from demo-mariadb-2.")

    async def test_a_stalled_repository_is_named_while_its_run_is_at_work(
        self, world: World
    ) -> None:
        world.apply("one")
        await world.run("one")
        trouble = "Save(<data/1>) returned error, retrying after 1s: request timeout"

        await world.log("one", "database", bytes=5 << 20, bytes_per_second=7, trouble=trouble)

        assert (
            world.condition("one")[1]
            == f"Copying from demo-mariadb-2. Its repository does not get on: {trouble}"
        )
        assert world.status("one")["progress"] == {
            "part": "database",
            "bytes": 5 << 20,
            "bytesPerSecond": 7,
            "message": trouble,
        }
        await world.verify("one")
        assert "progress" not in world.status("one")

    async def test_one_that_cannot_begin_keeps_no_other_policy_waiting(self, world: World) -> None:
        world.declare("other", encryptionSecret="absent")
        world.apply("one", "other")
        world.wait(seconds=1)
        world.apply("two")

        await world.run("one", "two")

        assert world.condition("one", "Reconciled")[0] == "EncryptionSecretMissing"
        assert world.condition("two")[0] == "BackupRunning"

    async def test_a_pod_that_outlives_its_job_still_has_its_turn(self, world: World) -> None:
        world.apply("one")
        await world.run("one")
        world.pod("one")
        world.remove("Job", "one-run")
        await world.run("one")
        reason, message = world.condition("one")
        assert (reason, "deleted" in message) == ("BackupFailed", True)
        world.apply("two")

        await world.run("two")
        assert world.condition("two")[0] == "WaitingForTurn"

        world.remove("Pod", "one-run-x")
        await world.run("two")
        assert world.condition("two")[0] == "BackupRunning"

    async def test_the_job_of_an_earlier_backup_of_the_name_is_not_this_ones(
        self, world: World
    ) -> None:
        world.apply("one")
        await world.run("one")
        world.pod("one", "Succeeded", verified())
        world.end("one")
        world.remove("Backup", "one")
        world.apply("one")

        await world.run("one")

        assert "status" not in (world.cluster.get("Backup", "ns", "one") or {})


class TestEnds:
    async def test_a_job_seen_to_end_before_its_pod_is_no_failure(self, world: World) -> None:
        world.apply("one")
        await world.run("one")
        world.pod("one")
        world.end("one")

        await world.run("one")
        assert world.condition("one")[0] == "BackupRunning"

        world.pod("one", "Succeeded", verified())
        await world.run("one")
        assert world.condition("one")[0] == "BackupVerified"

    async def test_a_job_whose_pod_never_reports_is_a_failure_after_a_minute(
        self, world: World
    ) -> None:
        world.apply("one")
        await world.run("one")
        world.end("one")
        await world.run("one")
        assert world.condition("one")[0] == "BackupRunning"

        world.wait(seconds=61)
        await world.run("one")

        assert world.condition("one")[0] == "BackupFailed"

    async def test_a_job_beyond_its_deadline_has_no_pod_and_fails_at_once(
        self, world: World
    ) -> None:
        world.apply("one")
        await world.run("one")
        world.end("one", "Failed", reason="DeadlineExceeded", message="active too long")

        await world.run("one")

        reason, message = world.condition("one")
        assert (reason, "DeadlineExceeded" in message) == ("BackupFailed", True)

    @pytest.mark.parametrize("reason", ["RepositoryFull", "WrongEncryptionKey"])
    async def test_the_programs_reason_is_the_runs(self, world: World, reason: str) -> None:
        world.apply("one")
        await world.run("one")

        await world.fail("one", reason)

        assert world.condition("one") == (reason, "it broke")

    async def test_an_image_that_cannot_be_pulled_is_reported_while_it_waits(
        self, world: World
    ) -> None:
        world.apply("one")
        await world.run("one")
        world.pod("one", "Pending")
        pod = copy.deepcopy(world.api.get("pods", "ns", "one-run-x") or {})
        waiting = {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}
        pod["status"]["containerStatuses"] = [{"name": "backup", "image": "i", "state": waiting}]
        world.store(pod)

        await world.run("one")

        reason, message = world.condition("one")
        assert reason == "BackupRunning"
        assert "cannot be pulled (no such image)" in message


class TestWhatIsLeft:
    async def test_inputs_go_at_once_and_jobs_with_their_logs_after_three_more(
        self, world: World
    ) -> None:
        names = [f"run-{number}" for number in range(4)]
        for name in names:
            world.wait(hours=1)
            world.apply(name)
            await world.run(name)
            await world.verify(name)
            await world.run(*names[: names.index(name) + 1])
            assert world.names("ConfigMap") == []

        assert world.names("Job") == ["run-1-run", "run-2-run", "run-3-run"]
        assert world.condition("run-0")[0] == "BackupVerified"

    async def scheduled(self, world: World, name: str) -> None:
        world.wait(days=1)
        world.mark(name)
        await world.settle()
        await world.run(name)

    async def test_a_set_that_gave_way_takes_its_scheduled_backup_along(self, world: World) -> None:
        await self.scheduled(world, "old")
        await world.verify("old")
        world.apply("mine")
        await world.run("mine")
        await world.verify("mine")
        await self.scheduled(world, "new")
        await world.verify("new", "old", "mine")

        await world.run("old", "mine", "new")

        assert world.names("Backup") == ["mine", "new"]
        assert world.condition("mine")[0] == "BackupExpired"
        assert world.status("mine")["verified"] is False
        assert world.condition("new")[0] == "BackupVerified"
        await world.run("mine")
        assert world.condition("mine")[0] == "BackupExpired"

    async def test_a_run_is_given_the_rules_and_the_sets_that_should_be_there(
        self, world: World
    ) -> None:
        world.declare(keepLast=2, keepDaily=7, keepHourly=3, keepWeekly=4, keepMonthly=12,
                      keepYearly=5, keepWithinDays=30)  # fmt: skip
        await self.scheduled(world, "old")
        await world.verify("old")
        await self.scheduled(world, "bad")
        await world.fail("bad")
        await self.scheduled(world, "middle")
        await world.verify("middle")
        await self.scheduled(world, "new")
        rules = RetentionRules(
            last=2, daily=7, hourly=3, weekly=4, monthly=12, yearly=5, within_days=30
        )
        assert world.retention_of("new") == RetentionInput(rules=rules, backups=("old", "middle"))

        await world.verify("new", "middle")

        await world.run("old", "middle", "new")
        assert world.status("new")["expiredBackups"] == ["middle"]
        await self.scheduled(world, "next")
        assert world.retention_of("next").backups == ("old", "new")
        assert world.condition("old")[0] == "BackupVerified"

    async def test_a_backup_of_an_older_version_is_asked_for_and_expires(
        self, world: World
    ) -> None:
        for name in ("first", "second"):
            world.wait(hours=1)
            world.apply(name)
            await world.run(name)
            await world.verify(name)
        second = copy.deepcopy(world.cluster.get("Backup", "ns", "second")) or {}
        second["status"].pop("expiredBackups", None)
        second["status"]["oldestKept"] = "second"
        world.store(second)
        world.wait(hours=1)
        world.apply("third")

        await world.run("first", "second", "third")

        assert world.condition("first")[0] == "BackupVerified"
        assert world.retention_of("third").backups == ("first", "second")
        await world.verify("third", "first")
        await world.run("first", "second")
        assert world.condition("first")[0] == "BackupExpired"
        assert world.condition("second")[0] == "BackupVerified"

    async def test_old_failures_of_the_schedule_go(self, world: World) -> None:
        for number in range(7):
            await self.scheduled(world, f"bad-{number}")
            await world.fail(f"bad-{number}")

        await world.run(*[f"bad-{number}" for number in range(7)])

        assert world.names("Backup") == [f"bad-{number}" for number in range(2, 7)]


@pytest.mark.parametrize(
    ("secrets", "reason", "expected"),
    [
        ({}, "RepositorySecretMissing", "Secret s3, which spec.repository.s3 names"),
        ({"s3": {"accessKeyId": "a"}}, "RepositorySecretInvalid", "has no secretAccessKey"),
        (
            {"s3": {"accessKeyId": "a", "secretAccessKey": "b"}},
            "RepositorySecretMissing",
            "Secret s3-ca",
        ),
    ],
)
async def test_a_run_waits_for_the_secrets_of_its_bucket(
    world: World, secrets: dict[str, dict[str, str]], reason: str, expected: str
) -> None:
    world.declare(repository=BUCKET)
    for name, data in secrets.items():
        world.secret(name, **data)
    world.apply("one")

    await world.run("one")

    reported, message = world.condition("one", "Reconciled")
    assert reported == reason
    assert expected in message
    assert world.names("Job") == []


async def test_a_run_waits_for_a_claim_that_is_not_there(world: World) -> None:
    world.declare(repository={"volume": {"claimName": "mine"}})
    world.apply("one")

    await world.run("one")

    reason, message = world.condition("one")
    assert reason == "WaitingForSource"
    assert message.startswith("Volume claim mine does not exist in ns")


async def test_a_refused_job_is_reported_until_it_is_made(world: World) -> None:
    world.apply("one")
    world.api.faults.append(Fault("POST", "/jobs", 403, message="exceeded quota: jobs"))
    with pytest.raises(Forbidden):
        await world.run("one")
    reason, message = world.condition("one", "Reconciled")
    assert (reason, world.condition("one", "Ready")[0]) == ("ApplyFailed", "ApplyFailed")
    assert "exceeded quota: jobs" in message

    await world.run("one")
    await world.verify("one")
    assert world.condition("one", "Reconciled")[0] == "Applied"
    assert world.condition("one", "Ready")[0] == "AsDesired"


async def test_a_verified_backup_stays_ready_while_its_cleaning_is_refused(world: World) -> None:
    world.apply("one")
    await world.run("one")
    await world.verify("one")
    world.api.faults.append(Fault("DELETE", "/configmaps/", 403))
    with pytest.raises(Forbidden):
        await world.run("one")
    assert world.condition("one", "Ready")[0] == "AsDesired"


async def test_a_job_refused_before_an_upgrade_mounts_what_its_inputs_hold(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply("one")
    world.api.faults.append(Fault("POST", "/jobs", 403, message="exceeded quota: jobs"))
    with pytest.raises(Forbidden):
        await world.run("one")
    world.upgrade(monkeypatch)

    await world.run("one")

    assert world.unserved("one-run") == set()
    await world.verify("one")
    await world.run("one")
    assert world.names("ConfigMap") == [], "those of the refused Job as well"

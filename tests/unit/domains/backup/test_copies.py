"""Copies in other repositories on a small API server: their turn, their tries, their results."""

import copy
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.backup.protocol import RetentionInput, RunOutcome, StepResult
from stackroles.api.v1alpha1.backup_policy import RepositoryCopy
from stackroles.api.v1alpha1.backup_policy_status import CopyStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.backup.copies import AGAIN, ended, finding_of, is_due
from tests.support.backup_world import BUCKET, World, backup_world
from tests.support.objects import owned_by

Object = dict[str, Any]
NOW = datetime(2026, 11, 1, tzinfo=UTC)
ELSEWHERE = {"name": "elsewhere", "repository": {"volume": {"claimName": "far"}}}
JOB = "nightly-copy-elsewhere-one"
GOOD = RunOutcome(
    ok=True, verified=True, stored=7, steps=(StepResult("manifest", bytes=1, seconds=0.1),)
)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with backup_world() as made:
        claim = {"kind": "PersistentVolumeClaim", "metadata": {"name": "far", "namespace": "ns"}}
        made.store({**claim, "spec": {}, "status": {"phase": "Bound"}})
        made.declare(copies=[ELSEWHERE])
        await made.settle()
        yield made


async def with_set(world: World, name: str = "one") -> None:
    """Give the policy a verified set."""
    world.wait(hours=1)
    world.apply(name)
    await world.run(name)
    await world.verify(name)
    await world.settle()


def end(world: World, outcome: RunOutcome | None, name: str = JOB) -> None:
    """Let the cluster report that a copy has ended."""
    job = copy.deepcopy(world.api.get("jobs", "ns", name)) or {}
    ok = bool(outcome and outcome.ok)
    metadata = {
        "name": f"{name}-x",
        "namespace": "ns",
        "labels": job["spec"]["template"]["metadata"]["labels"],
        "ownerReferences": owned_by(job),
    }
    message = wire.dumps(outcome) if outcome else ""
    state = {"terminated": {"exitCode": int(not ok), "message": message}}
    statuses = [{"name": "copy", "state": state}]
    phase = "Succeeded" if ok else "Failed"
    status = {"phase": phase, "containerStatuses": statuses}
    world.store({"kind": "Pod", "metadata": metadata, "status": status})
    kind, at = "Complete" if ok else "Failed", world.clock.now().isoformat()
    ending = {"type": kind, "status": "True", "lastTransitionTime": at}
    world.store({**job, "status": {"conditions": [ending]}})


def status(world: World) -> Object:
    """Return what the policy says of its copy."""
    found = world.cluster.get("BackupPolicy", "ns", "nightly") or {}
    [one] = found["status"]["copies"]
    return dict(one)


def pod_of(world: World, job: str = JOB) -> Object:
    found = world.api.get("jobs", "ns", job) or {}
    return dict(found["spec"]["template"]["spec"])


async def test_each_verified_set_is_copied_once(world: World) -> None:
    assert world.policy("Copied") == ("NotCopiedYet", "No set is there yet: elsewhere.")
    await with_set(world)
    assert status(world)["running"] == "one"

    end(world, GOOD)
    await world.settle()

    assert world.policy("Copied") == ("SetCopied", "elsewhere has one.")
    assert (status(world)["backup"], status(world)["bytes"]) == ("one", 7)
    before = world.api.writes()
    await world.settle()
    assert world.api.writes() == before
    await with_set(world, "two")
    assert status(world)["running"] == "two"
    await world.settle()
    world.forget_gone()
    assert JOB not in world.names("Job"), "the log of the former one goes with the next"


async def test_nothing_is_left_of_a_copy_that_is_taken_out_of_the_policy(world: World) -> None:
    await with_set(world)
    world.declare()
    await world.settle()
    assert JOB in world.names("Job"), "it is at work"

    end(world, GOOD)
    for _ in range(2):
        await world.settle()
        world.forget_gone()

    left = [*world.names("Job"), *world.names("ConfigMap")]
    assert not [name for name in left if name.startswith("nightly-copy")]
    assert not (world.cluster.get("BackupPolicy", "ns", "nightly") or {})["status"].get("copies")


async def test_its_pod_has_both_repositories_each_by_variables_of_its_own(world: World) -> None:
    await with_set(world)

    pod = pod_of(world)
    [main] = pod["containers"]
    env = {one["name"]: one.get("value") for one in main["env"]}
    paths = {mount["mountPath"] for mount in main["volumeMounts"]}
    claims = {
        one["name"]: one["persistentVolumeClaim"]["claimName"]
        for one in pod["volumes"]
        if "persistentVolumeClaim" in one
    }
    assert (env["RESTIC_REPOSITORY"], env["SOURCE_RESTIC_REPOSITORY"]) == (
        "/repository", "/source",
    )  # fmt: skip
    assert {env["RESTIC_PASSWORD_FILE"], env["SOURCE_RESTIC_PASSWORD_FILE"]} == {
        "/backup/key/password", "/backup/source/key/password",
    }  # fmt: skip
    assert {"/repository", "/source"} <= paths
    assert claims == {"repository": "far", "source-repository": "nightly-repository"}
    assert env["GOMEMLIMIT"] == env["SOURCE_GOMEMLIMIT"] == "160MiB"
    assert world.unserved(JOB) == set()


async def test_the_rules_of_the_policy_hold_for_what_the_copy_has(world: World) -> None:
    world.declare(copies=[ELSEWHERE], keepLast=3, keepDaily=7)
    await world.settle()
    await with_set(world)

    [name] = [one for one in world.names("ConfigMap") if one.startswith("nightly-copy")]
    found = (world.api.get("configmaps", "ns", name) or {})["data"]["retention.json"]
    wanted = wire.loads(RetentionInput, found)
    assert (wanted.rules.last, wanted.rules.daily, wanted.backups) == (3, 7, ())


async def test_no_run_begins_while_a_copy_is_at_work(world: World) -> None:
    await with_set(world)
    world.apply("two")
    await world.run("two")

    reason, message = world.condition("two")
    assert (reason, "A copy of BackupPolicy nightly comes first" in message) == (
        "WaitingForTurn", True,
    )  # fmt: skip


async def test_a_copy_into_a_repository_that_another_writes_waits(world: World) -> None:
    far = {"repository": {"volume": {"claimName": "far"}}}
    world.declare("other", **far)
    await world.settle("other")
    world.apply("busy", "other")
    await world.run("busy")

    await with_set(world)

    assert status(world)["waits"] == "Backup busy works with the repository; it ends first."
    assert JOB not in world.names("Job")


async def test_a_copy_that_failed_says_why_and_is_tried_again_later(world: World) -> None:
    await with_set(world)
    end(world, RunOutcome(reason="RepositoryFull", message="the volume is full"))
    await world.settle()

    assert world.policy("Copied") == (
        "CopyFailed", "Backup one into elsewhere: the volume is full",
    )  # fmt: skip
    assert world.policy("Ready")[0] == "AsDesired", "the set itself is good"
    assert not status(world).get("running")
    world.wait(minutes=11)
    await world.settle()  # the former Job goes
    world.forget_gone()
    await world.settle()
    assert status(world)["running"] == "one"
    end(world, GOOD)
    await world.settle()
    assert world.policy("Copied")[0] == "SetCopied"
    assert not status(world).get("message")


async def test_a_copy_whose_status_was_not_written_is_taken_over(world: World) -> None:
    await with_set(world)
    found = copy.deepcopy(world.api.get("backuppolicies", "ns", "nightly")) or {}
    found["status"]["copies"] = []
    world.store(found)
    await world.settle()

    assert (status(world)["running"], status(world)["job"]) == ("one", JOB)
    end(world, GOOD)
    await world.settle()
    assert world.policy("Copied")[0] == "SetCopied"


async def test_a_job_without_a_report_has_failed(world: World) -> None:
    await with_set(world)
    end(world, None)
    await world.settle()

    reason, message = world.policy("Copied")
    assert (reason, "did not succeed" in message) == ("CopyFailed", True)


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        (
            {"name": "elsewhere", "repository": {"volume": {"claimName": "nightly-repository"}}},
            "It names the policy's own repository: name another one.",
        ),
        ({**ELSEWHERE, "encryptionSecret": "gone"}, "Secret gone does not exist in ns"),
        (
            {"name": "elsewhere", "repository": {"volume": {"claimName": "nowhere"}}},
            "Volume claim nowhere does not exist in ns",
        ),
        (
            {"name": "elsewhere", "repository": BUCKET},
            "which spec.repository.s3 names, does not exist",
        ),
    ],
)
async def test_what_keeps_a_copy_from_its_begin_is_reported(
    world: World, item: Object, problem: str
) -> None:
    world.declare(copies=[item])
    await world.settle()
    await with_set(world)

    assert problem in status(world)["waits"]
    assert not [name for name in world.names("Job") if "copy" in name]


def test_a_set_is_due_unless_it_is_there_or_has_just_failed() -> None:
    known = CopyStatus(name="a", backup="one", failed="two", failed_at=NOW)

    assert not is_due(known, "one", NOW)
    assert not is_due(known, "two", NOW + AGAIN / 2)
    assert is_due(known, "two", NOW + AGAIN)
    assert is_due(known, "three", NOW)


def test_what_is_there_stays_known_when_a_newer_one_fails() -> None:
    known = CopyStatus(name="a", running="two", backup="one", copied_at=NOW)
    wanted = RepositoryCopy.model_validate({"name": "a", "repository": {"volume": {}}})

    failed = ended(known, RunOutcome(message="full"), "", NOW)

    assert (failed.backup, failed.failed, failed.message) == ("one", "two", "full")
    assert finding_of((wanted,), (failed,)).reason is Reason.COPY_FAILED
    other = wanted.model_copy(update={"name": "b"})
    assert finding_of((other,), (failed,)).reason is Reason.NOT_COPIED_YET

"""A cloud's housekeeping on a small API server; the schedule, Jobs and the kubelet are played."""

import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from stackroles.agents import wire
from stackroles.agents.housekeeping.protocol import HousekeepingOutcome, Mode
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import LABEL_STEP
from stackroles.domains.database.status import DatabaseState
from stackroles.domains.housekeeping.build import parent_of
from stackroles.kube.kinds import ref_of
from stackroles.reconcile.clouds import cloud_of
from stackroles.reconcile.context import Parts
from stackroles.reconcile.parts import housekeeping_of
from stackroles.runtime.wakeups import owners_of_child
from stackroles.workloads.conditions import Finding
from stackroles.workloads.housekeeping import is_run
from stackroles.workloads.restoring import RestoreRecord, Stopped, dump_record
from tests.support.objects import owned_by
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import DATABASE, World
from tests.unit.domains.cloud.test_restoring import put_record

Object = dict[str, Any]
SCHEDULE = {"schedule": "30 2 * * *"}
KNOWN: set[str] = set()
SERVICES = ["glance", "keystone", "nova"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        KNOWN.clear()
        found.declare(housekeeping=SCHEDULE)
        sound = DatabaseState(health=Finding(Reason.DATABASE_SOUND), writer="demo-mariadb-0")
        found.context.publish(found.resource, DATABASE, sound)
        await found.settle()
        yield found


def store(world: World, obj: Object) -> Object:
    stored = world.api.put(obj)
    stored["metadata"]["creationTimestamp"] = world.clock.now().isoformat()
    stored = world.api.put(stored)
    world.cluster.cache.upsert(stored)
    return stored


def mark(world: World, name: str) -> None:
    """Leave a mark as the schedule does, a minute after what was before."""
    world.clock.at += timedelta(minutes=1)
    parent = parent_of(cloud_of(world.context, world.resource))
    metadata = {"name": name, "namespace": "ns", "labels": parent.labels("schedule")}
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {}, "status": {}}
    store(world, job)
    world.clock.at += timedelta(seconds=5)


def forget_gone(world: World) -> None:
    """Let the watches report what the server has deleted."""
    for kind, plural in (("Job", "jobs"), ("ConfigMap", "configmaps"), ("CronJob", "cronjobs")):
        for obj in world.cluster.list(kind, "ns"):
            if world.api.get(plural, "ns", obj["metadata"]["name"]) is None:
                world.cluster.cache.remove(obj)


def runs(world: World) -> list[Object]:
    forget_gone(world)
    return [job for job in world.all("Job") if is_run(job)]


def under_way(world: World) -> list[Object]:
    """Return the runs that have not ended; one that is new was made now."""
    found = [job for job in runs(world) if not job.get("status", {}).get("conditions")]
    for job in found:
        if job["metadata"]["name"] not in KNOWN:
            KNOWN.add(job["metadata"]["name"])
            store(world, copy.deepcopy(world.api.get("jobs", "ns", job["metadata"]["name"]) or {}))
    return [job for job in runs(world) if not job.get("status", {}).get("conditions")]


def step_of(job: Object) -> str:
    return str(job["metadata"]["labels"][LABEL_STEP]).removeprefix("housekeeping.")


def end(world: World, job: Object, outcome: HousekeepingOutcome) -> None:
    """Let a run's pod leave its outcome, and its Job end by it."""
    whole = copy.deepcopy(world.api.get("jobs", "ns", job["metadata"]["name"]) or {})
    failed = int(not outcome.ok)
    ended = {"exitCode": failed, "message": wire.dumps(outcome)}
    store(
        world,
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": f"{job['metadata']['name']}-x",
                "namespace": "ns",
                "labels": whole["spec"]["template"]["metadata"]["labels"],
                "ownerReferences": owned_by(whole),
            },
            "status": {
                "phase": "Failed" if failed else "Succeeded",
                "containerStatuses": [{"name": "run", "state": {"terminated": ended}}],
            },
        },
    )
    kind = "Failed" if failed else "Complete"
    world.put(job, conditions=[{"type": kind, "status": "True"}])


async def run_all(world: World, outcome: HousekeepingOutcome) -> list[str]:
    """Let every run that is due end by an outcome; return which ran, in order."""
    ran: list[str] = []
    for _ in range(10):
        await world.reconcile()
        waiting = under_way(world)
        assert len(waiting) <= 1
        if not waiting:
            return ran
        ran.append(step_of(waiting[0]))
        world.clock.at += timedelta(seconds=10)
        end(world, waiting[0], outcome)
    raise AssertionError(f"runs begin again and again: {ran}")


REPORT = HousekeepingOutcome(mode=Mode.REPORT, days=90, ok=True, rows=7, left=7, seconds=2.0)
PURGE = replace(REPORT, mode=Mode.PURGE, left=0)


def status(world: World) -> dict[str, Object]:
    return {run["service"]: run for run in world.resource["status"].get("housekeeping", [])}


async def test_a_schedule_is_there_and_nothing_runs_before_its_mark(world: World) -> None:
    (cron_job,) = world.all("CronJob")
    assert cron_job["metadata"]["name"] == "demo-housekeeping"
    assert runs(world) == []
    assert world.condition("HousekeepingFailing")["reason"] == "HousekeepingSound"
    assert ("CronJob", "demo-housekeeping") in {
        (child["kind"], child["name"]) for child in world.resource["status"]["children"]
    }


async def test_a_restarted_operator_writes_nothing(world: World) -> None:
    mark(world, "m1")
    await run_all(world, REPORT)
    await world.settle()
    object.__setattr__(world.context, "parts", Parts())
    before = world.api.writes()

    await world.settle()

    assert world.api.writes() == before


async def test_a_report_of_each_service_one_after_the_other(world: World) -> None:
    mark(world, "m1")

    ran = await run_all(world, REPORT)

    assert sorted(ran) == [f"{service}-report" for service in SERVICES]
    found = status(world)
    assert sorted(found) == SERVICES
    assert {(run["mode"], run["rows"], run["result"]) for run in found.values()} == {
        ("Report", 7, "Succeeded")
    }
    assert {run["reportedDays"] for run in found.values()} == {90}
    assert await run_all(world, REPORT) == []


async def test_a_purge_needs_a_report_of_its_age(world: World) -> None:
    world.declare(housekeeping={**SCHEDULE, "mode": "Purge"})
    mark(world, "m1")
    assert await run_all(world, PURGE) == []
    refused = world.condition("HousekeepingFailing")
    assert (refused["status"], refused["reason"]) == ("True", "ReportRequired")
    assert world.condition("Ready")["status"] == "True"

    world.declare(housekeeping=SCHEDULE)
    assert len(await run_all(world, REPORT)) == 3
    world.declare(housekeeping={**SCHEDULE, "mode": "Purge"})
    assert await run_all(world, PURGE) == []
    mark(world, "m2")
    assert sorted(await run_all(world, PURGE)) == [f"{service}-purge" for service in SERVICES]

    assert {run["mode"] for run in status(world).values()} == {"Purge"}
    assert world.condition("HousekeepingFailing")["reason"] == "HousekeepingSound"
    world.declare(housekeeping={**SCHEDULE, "mode": "Purge", "olderThanDays": 30})
    mark(world, "m3")
    assert await run_all(world, PURGE) == []


async def test_a_failed_run_is_reported_until_one_succeeds(world: World) -> None:
    mark(world, "m1")
    await run_all(world, replace(REPORT, ok=False, message="Access denied"))

    failing = world.condition("HousekeepingFailing")
    assert (failing["status"], failing["reason"]) == ("True", "HousekeepingFailed")
    assert "Access denied" in failing["message"]
    assert status(world)["nova"]["result"] == "Failed"

    mark(world, "m2")
    await run_all(world, REPORT)
    assert world.condition("HousekeepingFailing")["status"] == "False"


async def test_nothing_begins_while_the_cloud_is_not_ready(world: World) -> None:
    workload = world.all("StatefulSet")[0]
    world.put(workload, observedGeneration=1, readyReplicas=0, replicas=0)
    await world.reconcile()
    assert world.condition("Ready")["status"] == "False"

    mark(world, "m1")
    assert await run_all(world, REPORT) == []
    assert any(
        key == housekeeping_of(world.resource) and delay > 0 for key, delay in world.enqueued
    )

    world.serve()
    await world.reconcile()
    assert len(await run_all(world, REPORT)) == 3


async def test_a_restore_ends_a_run_and_holds_others_back(world: World) -> None:
    mark(world, "m1")
    await world.reconcile()
    assert len(under_way(world)) == 1
    record = RestoreRecord(name="back", uid="u", stopped=Stopped.NOTHING)
    put_record(world, dump_record(record))

    await world.reconcile()

    assert runs(world) == []
    put_record(world, dump_record(replace(record, ended=True)))
    await world.settle()
    mark(world, "m2")
    assert len(await run_all(world, REPORT)) == 3


async def test_the_last_job_of_each_service_stays_with_its_configuration(world: World) -> None:
    for number in range(3):
        mark(world, f"m{number}")
        await run_all(world, REPORT)
    await world.reconcile()

    assert sorted(step_of(job) for job in runs(world)) == [f"{s}-report" for s in SERVICES]
    maps = {found["metadata"]["name"] for found in world.all("ConfigMap")}
    for job in runs(world):
        whole = world.api.get("jobs", "ns", job["metadata"]["name"]) or {}
        volumes = whole["spec"]["template"]["spec"]["volumes"]
        named = {v["configMap"]["name"] for v in volumes if "configMap" in v}
        assert named
        assert named <= maps


async def test_without_a_declaration_nothing_is_left(world: World) -> None:
    mark(world, "m1")
    await run_all(world, REPORT)

    world.declare()
    await world.settle()
    forget_gone(world)

    assert world.all("CronJob") == []
    assert runs(world) == []
    assert not [m for m in world.all("ConfigMap") if "report" in m["metadata"]["name"]]
    assert status(world) == {}
    types = {c["type"] for c in world.resource["status"]["conditions"]}
    assert "HousekeepingFailing" not in types


async def test_its_children_wake_its_own_pass(world: World) -> None:
    mark(world, "m1")
    await world.reconcile()

    for child in (*world.all("CronJob"), *runs(world)):
        assert owners_of_child(child, ref_of(world.resource)) == (housekeeping_of(world.resource),)

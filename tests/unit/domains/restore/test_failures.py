"""A restore that cannot go on, and what it tries again."""

import copy
from dataclasses import replace

import pytest

from stackroles.agents.backup.reader_protocol import ReaderProblem
from stackroles.workloads.restoring import Stopped
from tests.support.restore_cloud import SET, UUID
from tests.support.restore_world import RestoreWorld

COPY, CLEAR, SYNC = "back-member-0", "back-member-1", "back-neutron-ovn-sync"


async def test_a_copy_that_fails_for_good_leaves_the_cloud_what_it_had(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    world.failing.append(COPY)

    await world.play()

    world.check_given_up("The copy could not be put in place. Job back-member-0", "it broke")
    assert len(world.database()) == 3


async def test_the_cloud_does_not_go_on_while_a_pod_of_the_failed_copy_still_runs(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    world.idle.add(COPY)
    await world.play(until=lambda: COPY in world.names("Job"))
    world.job_pod(world.cluster.get("Job", "ns", COPY) or {}, {"phase": "Running"})
    pod = copy.deepcopy(world.api.get("pods", "ns", f"{COPY}-x"))
    world.end_job(COPY, "", failed=True)
    world.store(pod or {})

    await world.reconcile()

    assert world.stopped() is Stopped.DATABASE
    assert world.told()[1] == "Data: Waiting for back-member-0-x to end."
    world.remove("Pod", f"{COPY}-x")
    await world.play()
    world.check_given_up()


@pytest.mark.parametrize("job", [CLEAR, SYNC])
async def test_what_a_restore_cannot_do_without_is_made_again(
    world: RestoreWorld, job: str
) -> None:
    told: list[str] = []
    world.declare_restore(overwrite="demo")
    world.failing.append(job)

    await world.play(after=lambda: told.append(world.told()[1]))

    assert world.told()[0] == "Restored"
    assert world.jobs_made().count(job) == 2
    assert any("it broke" in message for message in told)


@pytest.mark.parametrize("job", [COPY, CLEAR])
async def test_a_job_whose_outcome_nobody_read_is_made_again(world: RestoreWorld, job: str) -> None:
    """A node may go with the pod that was done on it."""
    world.declare_restore(overwrite="demo")
    world.idle.add(job)
    await world.play(until=lambda: job in world.names("Job"))
    world.data[int(job[-1])] = UUID if job == COPY else ""
    world.end_job(job, "")
    world.remove("Pod", f"{job}-x")
    world.idle.clear()

    await world.play()

    assert world.told()[0] == "Restored"
    assert world.jobs_made().count(job) == 2


async def test_a_reader_that_ends_is_started_again(world: RestoreWorld) -> None:
    world.declare_restore(overwrite="demo")
    world.idle.add(COPY)
    await world.play(until=lambda: COPY in world.names("Job"))
    world.end_job("back-reader", "evicted", failed=True)
    await world.reconcile()
    await world.follow()
    await world.reconcile()
    await world.follow()

    assert "back-reader" in world.names("Job")
    world.idle.clear()
    await world.play()
    assert world.told()[0] == "Restored"


async def test_a_job_of_a_deleted_restore_of_the_name_is_waited_for(world: RestoreWorld) -> None:
    world.declare_restore()
    await world.reconcile()
    former = [copy.deepcopy(world.api.get(*key)) for key in
              (("secrets", "ns", "back-token"), ("jobs", "ns", "back-reader"))]  # fmt: skip
    world.delete_restore()
    world.declare_restore(overwrite="demo")
    for child in former:
        world.store(child or {})

    await world.reconcile()
    await world.reconcile()
    kept = world.api.get("secrets", "ns", "back-token") or {}
    owners = kept["metadata"]["ownerReferences"]
    assert not [name for name in world.names("ConfigMap") if name.startswith("back-reader")]
    assert owners[0]["uid"] != (world.api.get("restores", "ns", "back") or {})["metadata"]["uid"]

    world.collect()
    await world.play()
    assert world.told()[0] == "Restored"


@pytest.mark.parametrize("stage", [Stopped.NOTHING, Stopped.SERVICES])
async def test_a_set_that_cannot_be_read_any_more_does_no_harm(
    world: RestoreWorld, stage: Stopped
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: world.record() is not None and world.stopped() is stage)
    answer = world.answer
    world.answer = ReaderProblem(reason="SetMissing", message="no such set")
    for _ in range(5):
        await world.reconcile()
        await world.follow()

    assert "SetMissing: no such set" in world.told()[1]
    assert COPY not in world.names("Job")
    assert (world.stopped() is Stopped.NOTHING) == (stage is Stopped.NOTHING)
    world.answer = answer
    await world.play()
    assert world.told()[0] == "Restored"


@pytest.mark.parametrize(("kind", "name"), [("Backup", SET), ("BackupPolicy", "nightly")])
async def test_a_set_is_not_needed_once_its_data_is_in_place(
    world: RestoreWorld, kind: str, name: str
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: bool((record := world.record()) and record.history))
    world.remove(kind, name)

    await world.play()

    assert world.told()[0] == "Restored"


async def test_a_copy_that_is_under_way_is_gone_on_with_when_its_backup_is_gone(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: COPY in world.names("Job"))
    world.remove("Backup", SET)

    await world.play()

    assert world.told()[0] == "Restored"


async def test_what_holds_the_database_or_a_step_up_is_said(world: RestoreWorld) -> None:
    """The cloud's own conditions speak of the Restore meanwhile."""
    world.declare_restore(overwrite="demo")
    world.serving = False
    await world.play(until=lambda: bool((record := world.record()) and record.history))
    controller = copy.deepcopy(world.api.get("cloudcontrollers", "ns", "demo") or {})
    controller["status"]["roles"] = [{"name": "mariadb", "message": "Waits for its volume."}]
    world.store(controller)
    await world.reconcile()
    assert world.told()[1] == "Bootstrap: No member serves yet. Waits for its volume."

    world.serving = True
    world.idle.add("demo-nova-setup")
    await world.play(until=lambda: world.told()[1] == "Setup: Running nova.setup.")
    world.end_job("demo-nova-setup", "Access denied", failed=True)
    await world.reconcile()
    told = world.told()[1]
    assert told.startswith("Setup: Running nova.setup. Job demo-nova-setup: BackoffLimitExceeded.")
    assert "Access denied" in told


async def test_a_record_that_cannot_be_read_is_named_and_stops_nothing_more(
    world: RestoreWorld,
) -> None:
    world.declare_restore(overwrite="demo")
    await world.play(until=lambda: world.stopped() is Stopped.SERVICES)
    state = copy.deepcopy(world.api.get("configmaps", "ns", "demo-state") or {})
    whole = copy.deepcopy(state)
    state["data"]["restore"] = "{"
    world.store(state)

    await world.reconcile()

    reason, message = world.told()
    assert reason == "PreflightFailed"
    assert "Key restore of the cloud's state ConfigMap cannot be read" in message
    world.store(whole)
    await world.play()
    assert world.told()[0] == "Restored"


async def test_a_restore_that_ended_unwritten_neither_goes_on_nor_begins_anew(
    world: RestoreWorld,
) -> None:
    """Its record ends first: whoever goes on may find that of another one in its place."""
    world.declare_restore(overwrite="demo")
    await world.play()
    found = copy.deepcopy(world.api.get("restores", "ns", "back") or {})
    ended = found["status"]["conditions"]
    conditions = [c for c in ended if c["type"] != "Complete"]
    found["status"]["conditions"] = conditions
    world.store(found)
    record = world.record()
    assert record is not None
    world.declare_restore("other", overwrite="demo")
    await world.play("other", until=lambda: bool((r := world.record()) and r.name == "other"))

    await world.reconcile()

    assert world.told()[0] == "Restored"
    held = world.record()
    assert held is not None
    assert held.name == "other"
    assert replace(record, name="x") != held


@pytest.mark.parametrize("name", ["back-reader", COPY, CLEAR])
async def test_a_job_whose_pod_is_refused_says_so(world: RestoreWorld, name: str) -> None:
    """The Job itself says nothing, and the restore would seem to be at work."""
    world.declare_restore(overwrite="demo", safetyBackup="Never")
    world.idle.add(name)
    await world.play(until=lambda: name in world.names("Job"))
    job = world.api.get("jobs", "ns", name) or {}
    world.wait(minutes=1)
    world.api.put(
        {
            "kind": "Event",
            "metadata": {"name": "refused", "namespace": "ns"},
            "regarding": {"kind": "Job", "uid": job["metadata"]["uid"]},
            "reason": "FailedCreate",
            "note": "exceeded quota: small",
            "deprecatedLastTimestamp": world.clock.now().isoformat(),
        }
    )
    await world.reconcile()

    assert f"Pods of Job {name} are refused: exceeded quota: small." in world.told()[1]
    world.idle.clear()
    await world.play()
    assert world.told()[0] == "Restored"

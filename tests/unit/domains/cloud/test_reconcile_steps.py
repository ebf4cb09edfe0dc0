"""Steps of a cloud that hang: what their logs say reaches the conditions."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from stackroles.kube.kinds import uid_of
from tests.support.fake_api import Fault
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


async def with_pod(world: World, **status: Any) -> None:
    """Bring the cloud to its first step, and give that a pod."""
    world.declare()
    await world.reconcile()
    world.serve()
    await world.reconcile()
    [job] = [job for job in world.all("Job") if "accounts" in job["metadata"]["name"]]
    owner = {"kind": "Job", "name": job["metadata"]["name"], "uid": uid_of(job)}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "accounts-1",
            "namespace": "ns",
            "labels": job["metadata"]["labels"],
            "ownerReferences": [{**owner, "apiVersion": "batch/v1"}],
        },
        "spec": {},
        "status": status,
    }
    world.cluster.cache.upsert(world.api.put(pod))
    world.clock.at += timedelta(minutes=3)


def running(world: World) -> dict[str, Any]:
    since = world.clock.at.isoformat()
    return {
        "phase": "Running",
        "containerStatuses": [{"name": "accounts", "state": {"running": {"startedAt": since}}}],
    }


async def test_a_step_that_runs_for_long_shows_its_last_output(world: World) -> None:
    await with_pod(world, **running(world))
    await world.reconcile()
    message = world.condition("Progressing")["message"]
    assert "mariadb/accounts" in message
    assert "run for 3 min, last output: last line" in message


async def test_no_password_is_shown_that_a_program_logs(world: World) -> None:
    await with_pod(world, **running(world))
    password = world.secret("demo-nova-credentials")["database-password"]
    world.api.log = f"connecting to mysql://nova:{password}@db\n"
    await world.reconcile()
    message = world.condition("Progressing")["message"]
    assert "connecting to mysql://nova:***@db" in message
    assert password not in message


async def test_a_log_that_cannot_be_read_holds_nothing_up(world: World) -> None:
    await with_pod(world, **running(world))
    world.api.faults.append(Fault("GET", "/log", status=500))
    await world.reconcile()
    assert "could not be read" in world.condition("Progressing")["message"]


async def test_a_step_that_hung_says_where(world: World) -> None:
    ended = {"terminated": {"exitCode": 137, "reason": "Error"}}
    await with_pod(
        world,
        phase="Failed",
        reason="DeadlineExceeded",
        containerStatuses=[{"name": "accounts", "state": ended}],
    )
    await world.reconcile()
    condition = world.condition("Progressing")
    assert condition["reason"] == "StepFailed"
    for expected in ("mariadb/accounts", "did not end in time", "last line", "What to do"):
        assert expected in condition["message"]


def glance_pod(world: World, revision: str) -> None:
    """Have the StatefulSet's controller make glance's member, and the kubelet start it."""
    labels = {"app.kubernetes.io/name": "glance", "app.kubernetes.io/instance": "demo",
              "stackroles.io/owner-kind": "CloudController",
              "controller-revision-hash": revision}  # fmt: skip
    made = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "demo-glance-0", "namespace": "ns", "labels": labels},
        "spec": {},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    world.cluster.cache.upsert(world.api.put(made))


def revise(world: World, revision: str, *, updated: int) -> None:
    """Have the StatefulSet's controller see glance's template as a revision."""
    [found] = [s for s in world.all("StatefulSet") if s["metadata"]["name"] == "demo-glance"]
    world.put(
        found,
        observedGeneration=found["metadata"]["generation"],
        updateRevision=revision,
        readyReplicas=1,
        replicas=1,
        updatedReplicas=updated,
    )


def checks(world: World) -> list[dict[str, Any]]:
    return [job for job in world.all("Job") if "glance-check" in job["metadata"]["name"]]


async def settled(world: World) -> None:
    world.declare()
    await world.settle()
    glance_pod(world, "one")
    revise(world, "one", updated=1)
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"


async def configure(world: World, value: str) -> None:
    """Change an option of glance's, and have its StatefulSet's controller see that."""
    world.declare(config={"glance": {"DEFAULT": {"debug": value}}})
    await world.reconcile()
    revise(world, value, updated=0)
    await world.reconcile()


async def test_a_settled_cloud_checks_nothing(world: World) -> None:
    await settled(world)
    assert checks(world) == []


async def test_options_that_glance_rejects_leave_its_member_alone_and_are_reported(
    world: World,
) -> None:
    await settled(world)
    await configure(world, "perhaps")
    [job] = checks(world)
    failed = {"type": "Failed", "status": "True", "message": "boom",
              "lastTransitionTime": world.clock.at.isoformat()}  # fmt: skip
    world.put(job, failed=2, conditions=[failed])
    await world.reconcile()
    condition = world.condition("Progressing")
    assert condition["reason"] == "StepFailed"
    assert "glance/check" in condition["message"]
    assert "spec.config.glance" in condition["message"]
    assert world.condition("Available")["status"] == "True"
    assert world.api.get("pods", "ns", "demo-glance-0")
    world.declare()
    await world.reconcile()
    revise(world, "one", updated=1)
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    assert world.api.get("pods", "ns", "demo-glance-0")


async def test_options_that_glance_takes_replace_its_member(world: World) -> None:
    await settled(world)
    await configure(world, "true")
    assert world.api.get("pods", "ns", "demo-glance-0")
    [job] = checks(world)
    world.put(job, conditions=[{"type": "Complete", "status": "True"}])
    await world.reconcile()
    assert world.api.get("pods", "ns", "demo-glance-0") is None

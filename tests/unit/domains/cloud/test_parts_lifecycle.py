"""What the parts of a cloud do over restarts, deletions, suspensions and rejections."""

import asyncio
import base64
import copy
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from stackroles.agents.broker.protocol import BrokerStatus, State
from stackroles.constants import LABEL_COMPONENT, LABEL_STEP
from stackroles.domains.cloud.reconcile_parts import service_states
from stackroles.domains.cloud.reconcile_steps import Steps
from stackroles.domains.database.status import DatabaseState
from stackroles.domains.messaging.reconcile import messaging_of
from stackroles.errors import (
    ClusterError,
    NotFound,
    NotReady,
    OperatorError,
    SpecInvalid,
    Unavailable,
)
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import controller_of
from stackroles.reconcile.context import Observation, Parts
from stackroles.reconcile.parts import service_of
from stackroles.workloads.manifests.agents import agent_sources
from stackroles.workloads.manifests.children import build_role, build_step
from tests.support.fake_api import Fault
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import DATABASE, RECONCILERS, World

WHOLE = RECONCILERS["CloudController"]


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


def restart(world: World) -> None:
    """Let another process of the operator take over."""
    cluster = Cluster(world.cluster._client, Cache(), lambda: 10.0, now=world.clock.now)
    for obj in world.api._objects.values():
        cluster.cache.upsert(obj)
    world.cluster = cluster
    world.context = replace(world.context, cluster=cluster, parts=Parts(), resolved={})
    world.polls.seen.clear()
    world.polls.calls.clear()


async def hang(
    world: World, monkeypatch: pytest.MonkeyPatch, service: str
) -> tuple[asyncio.Event, "asyncio.Future[None]"]:
    """Begin a service's pass that waits for a log; return what ends the wait, and the pass."""
    answer = asyncio.Event()

    async def wait(*_: Any) -> None:
        await answer.wait()

    monkeypatch.setattr(Steps, "read_logs", wait)
    reconcile = RECONCILERS[controller_of(service_of(world.resource, service))]
    task = asyncio.ensure_future(reconcile(world.context, world.resource))
    await asyncio.sleep(0)
    monkeypatch.undo()
    world.context = replace(world.context, active=lambda _: () if task.done() else (DATABASE,))
    return answer, task


def delete(world: World) -> None:
    doomed = copy.deepcopy(world.resource)
    doomed["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    world.cluster.cache.upsert(world.api.put(doomed))


async def test_a_teardown_waits_for_passes_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare(deletionPolicy="Delete")
    await world.settle()
    answer, task = await hang(world, monkeypatch, "glance")
    delete(world)
    before = len(world.api.writes())
    with pytest.raises(NotReady):
        await WHOLE(world.context, world.resource)
    assert world.api.writes()[before:] == []
    answer.set()
    await task
    await WHOLE(world.context, world.resource)
    assert not world.resource["metadata"].get("finalizers")


async def test_a_suspension_waits_for_passes_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()
    answer, task = await hang(world, monkeypatch, "glance")
    world.declare(suspend=True)
    with pytest.raises(NotReady):
        await WHOLE(world.context, world.resource)
    assert world.condition("Reconciled")["reason"] != "Suspended"
    answer.set()
    await task
    await WHOLE(world.context, world.resource)
    assert world.condition("Reconciled")["reason"] == "Suspended"


@pytest.mark.parametrize("spec", [{"roles": {"mariadb": {"clustering": {"replicas": 2}}}},
                                  {"suspend": True}])  # fmt: skip
async def test_no_status_is_made_of_what_was_found_before(
    world: World, spec: dict[str, Any]
) -> None:
    """After an invalid spec or a suspension each part has to observe anew."""
    world.declare()
    await world.settle()
    world.declare(**spec)
    try:
        await world.reconcile()
    except SpecInvalid:
        assert "roles" in spec
    before = world.resource["status"]
    world.declare()
    await WHOLE(world.context, world.resource)
    assert world.resource["status"] == before
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    assert world.resource["status"]["observedGeneration"] > before["observedGeneration"]


async def test_a_cloud_takes_nothing_of_a_former_one_of_its_name(world: World) -> None:
    world.declare()
    await world.settle()
    new = {k: copy.deepcopy(v) for k, v in world.resource.items() if k != "status"}
    new["metadata"] = {"name": "demo", "namespace": "ns"}
    world.api.remove("cloudcontrollers", "ns", "demo")
    world.cluster.cache.upsert(world.api.put(new))  # as after a watch that missed the deletion
    for _ in range(2):
        await WHOLE(world.context, world.resource)
    assert not world.resource.get("status")


async def test_a_pass_that_outlives_its_resource_publishes_nothing(world: World) -> None:
    world.declare()
    await world.settle()
    former = copy.deepcopy(world.resource)
    world.cluster.cache.remove(world.resource)
    world.context.forget(clouds.DEMO)
    world.context.publish(former, DATABASE, DatabaseState(writer="demo-mariadb-2"))
    assert world.context.latest(former, DATABASE) is None


async def test_a_step_that_cannot_be_rendered_is_a_failure_of_its_service(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()

    def broken(cloud: Any, service: Any, step: Any) -> Any:
        if service.name == "glance":
            raise ClusterError("cannot be rendered")
        return build_step(cloud, service, step)

    monkeypatch.setattr("stackroles.domains.cloud.reconcile_steps.build_step", broken)
    world.declare(config={"keystone": {"DEFAULT": {"debug": "true"}}})
    with pytest.raises(ClusterError):
        await world.reconcile()
    states = service_states(world.context, world.resource)
    assert states["glance"].failure is not None
    assert states["keystone"].failure is None


async def test_a_first_pass_that_fails_keeps_the_records_of_children(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()
    before = {(c["kind"], c["name"]) for c in world.resource["status"]["children"]}
    restart(world)

    def broken(cloud: Any, role: Any) -> Any:
        if role.name == "glance":
            raise ClusterError("cannot be built")
        return build_role(cloud, role)

    monkeypatch.setattr("stackroles.domains.cloud.reconcile_rolls.build_role", broken)
    with pytest.raises(ClusterError):
        await world.reconcile()
    after = {(c["kind"], c["name"]) for c in world.resource["status"]["children"]}
    assert before - after == set()


async def test_an_error_without_a_message_is_named_by_its_type(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()

    async def broken(*_: Any, **__: Any) -> None:
        raise NotFound("")

    monkeypatch.setattr(Steps, "replace_members", broken)
    with pytest.raises(OperatorError):
        await world.reconcile()
    assert "NotFound" in world.condition("Ready")["message"]


async def test_steps_wait_for_a_secret_that_was_refused(world: World) -> None:
    world.declare()
    fault = Fault("PATCH", "secrets/demo-glance-credentials-in-use", 403)
    for _ in range(5):
        world.api.faults.append(fault)
        with pytest.raises(OperatorError):
            await world.reconcile()
        world.api.faults.clear()
        world.serve()
        world.finish()
    steps = {job["metadata"]["labels"][LABEL_STEP].partition(".")[0] for job in world.all("Job")}
    assert "keystone" in steps
    assert "glance" not in steps


async def test_a_secret_that_cannot_be_read_is_in_the_status_of_a_new_cloud(world: World) -> None:
    world.declare()
    for _ in range(2):
        world.api.faults.append(Fault("GET", "secrets/demo-glance-credentials", 403))
        with pytest.raises(OperatorError):
            await world.reconcile()
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ApplyFailed")
    assert "demo-glance-credentials" in ready["message"]
    # None of the Secrets is known: what reads none may start.
    assert "haproxy" in world.roles()
    assert not world.roles() & {"mariadb", "rabbitmq", "keystone", "glance"}
    world.api.faults.clear()
    await world.settle()
    assert world.condition("Ready")["status"] == "True"


async def test_a_secret_that_cannot_be_read_any_more_takes_nothing_away(world: World) -> None:
    world.declare()
    await world.settle()
    before = {found["metadata"]["name"] for found in world.all("StatefulSet")}
    world.api.faults.append(Fault("GET", "secrets/demo-glance-credentials", 403))
    world.cluster._memory.clear()
    with pytest.raises(OperatorError):
        await world.reconcile()
    assert "demo-glance-credentials" in world.condition("Ready")["message"]
    assert {found["metadata"]["name"] for found in world.all("StatefulSet")} == before


async def test_a_password_is_generated_once_while_its_secret_is_refused(world: World) -> None:
    """The brokers' definitions hold it already: another one at each retry would roll them."""
    world.declare()
    found = set()
    for _ in range(3):
        world.api.faults += [Fault("PATCH", "secrets/demo-neutron-credentials", 403)] * 2
        with pytest.raises(OperatorError):
            await world.reconcile()
        world.api.faults.clear()
        definitions = world.api.get("secrets", "ns", "demo-rabbitmq-definitions")
        assert definitions is not None
        found.add(definitions["data"]["definitions.json"])
    assert len(found) == 1


async def test_what_blocks_the_messaging_is_not_forgotten_by_a_restart(world: World) -> None:
    world.declare()
    await world.settle()
    workload = copy.deepcopy(world.api.get("statefulsets", "ns", "demo-rabbitmq"))
    assert workload is not None
    workload["status"]["readyReplicas"] = 2
    world.cluster.cache.upsert(world.api.put(workload))
    poll = f"{messaging_of(world.resource).whole}/rabbitmq"

    async def reported(status: BrokerStatus) -> Any:
        found = {"demo-rabbitmq-0": status}
        world.polls.seen[poll] = Observation(found, "", world.clock.monotonic())
        await world.reconcile()
        return world.condition("Progressing")

    blocked = await reported(BrokerStatus(State.SPLIT, message="pod is in another cluster"))
    assert blocked["reason"] == "MessagingBlocked"
    restart(world)
    await world.reconcile()
    assert world.condition("Progressing") == blocked
    well = await reported(BrokerStatus(State.RUNNING))
    assert well["reason"] == "Recovering"


async def test_an_option_without_effect_is_reported_and_holds_up_nothing(world: World) -> None:
    world.declare(config={"haproxy": {"defaults": {"balance": "leastconn"}}})
    await world.settle()
    reconciled = world.condition("Reconciled")
    assert (reconciled["status"], reconciled["reason"]) == ("False", "OptionWithoutEffect")
    assert "spec.config.haproxy.defaults.balance has no effect" in reconciled["message"]
    assert world.condition("Available")["status"] == "True"
    assert world.condition("Progressing")["reason"] == "RolloutComplete"


def agents(world: World) -> set[str]:
    return {
        found["metadata"]["name"]
        for found in world.api._objects.values()
        if found["kind"] == "ConfigMap"
        and found["metadata"]["labels"].get(LABEL_COMPONENT) == "agents"
    }


async def test_agents_of_a_former_operator_go_once_nothing_rolls(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()
    former = agents(world)
    newer = {path: f"{source}\n# newer\n" for path, source in agent_sources().items()}
    monkeypatch.setattr("stackroles.reconcile.clouds.agent_sources", lambda: newer)
    restart(world)
    await world.reconcile()
    assert former < agents(world), "pods that restart in the middle of the roll read them"
    await world.settle()
    assert agents(world)
    assert not agents(world) & former


async def test_a_restart_during_a_bring_up_removes_nothing(world: World) -> None:
    world.declare()
    for _ in range(4):
        await world.reconcile()
        world.serve()
        await world.polls.tick()
    world.finish()
    await world.reconcile()
    assert [job for job in world.all("Job") if not job.get("status")], "no step is under way"
    restart(world)
    before = len(world.api.writes())
    await world.reconcile()
    assert [write for write in world.api.writes()[before:] if write[0] == "DELETE"] == []


async def test_a_part_that_is_put_off_holds_up_no_status(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()
    restart(world)
    explain = Steps.explain

    async def away(steps: Steps, states: Any) -> Any:
        if steps._service.name == "placement":
            raise Unavailable("no answer")
        return await explain(steps, states)

    monkeypatch.setattr(Steps, "explain", away)
    world.context.publish(world.resource, DATABASE, DatabaseState(writer="demo-mariadb-1"))
    with pytest.raises(OperatorError):
        await world.reconcile()
    assert world.resource["status"]["writer"] == "demo-mariadb-1"


async def test_no_content_of_a_secret_is_in_an_error(world: World) -> None:
    world.declare()
    await world.settle()
    stored = copy.deepcopy(world.api.get("secrets", "ns", "demo-glance-credentials"))
    assert stored is not None
    stored["data"]["service-password"] = base64.b64encode(b"topsecret\xff").decode()
    world.cluster.cache.upsert(world.api.put(stored))
    await world.reconcile()
    ready = world.condition("Ready")
    assert ready["reason"] == "CredentialsInvalid"
    assert "demo-glance-credentials" in ready["message"]
    assert "topsecret" not in str(world.resource["status"])

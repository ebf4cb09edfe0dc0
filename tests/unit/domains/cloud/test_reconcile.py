"""A CloudController on a small API server, with a kubelet played by the test."""

import base64
import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from stackroles.constants import FINALIZER, LABEL_NAME, LABEL_STEP
from stackroles.domains.cloud import reconcile_served as served
from stackroles.domains.database.status import DatabaseState
from stackroles.errors import CloudUnavailable, Forbidden, OperatorError, SpecInvalid
from stackroles.kube.cache import Cache
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import Key, ObjectRef, PartRef, controller_of
from stackroles.main import parts
from stackroles.openstack.access import Credentials as Account
from stackroles.reconcile.blocked import reconcile_reporting_errors
from stackroles.reconcile.context import Context, Parts
from stackroles.roles import registry
from stackroles.runtime.wakeups import parts_of_controller
from stackroles.settings import Settings
from tests.support.fake_api import FakeApi, Fault, direct_api
from tests.support.objects import custom
from tests.support.polls import Polls, Time

Object = dict[str, Any]
RECONCILERS = parts()[0]
DEMO = ObjectRef("CloudController", "ns", "demo")
DATABASE = PartRef("CloudController", "ns", "demo", "database")
WORKLOADS = ("StatefulSet", "Deployment")


@dataclass
class Keystone:
    """Access to a cloud that notes what is asked of it."""

    asked: list[str] = field(default_factory=list)
    failure: OperatorError | None = None

    def access(self, *_: Any) -> "Keystone":
        return self

    def forget(self, *_: str) -> None:
        pass

    async def call(self, what: str, *_: Any, **__: Any) -> tuple[str, ...]:
        self.asked.append(what)
        if self.failure:
            raise self.failure
        return ()


@dataclass
class Apis:
    """The cloud's APIs: those that do not serve, with what they answer."""

    failing: dict[str, tuple[int, str]] = field(default_factory=dict)
    password: str = ""
    failure: OperatorError | None = None

    async def ask(
        self, account: Account, keystone: str, lists: dict[str, str]
    ) -> dict[str, tuple[int, str]]:
        if self.failure:
            raise self.failure
        if self.password and account.password != self.password:
            return {keystone: (401, "The request you have made requires authentication.")}
        served = {keystone: (201, ""), **dict.fromkeys(lists, (200, ""))}
        return served | {role: failure for role, failure in self.failing.items() if role in served}


@dataclass
class World:
    api: FakeApi
    cluster: Cluster
    context: Context
    clock: Time
    polls: Polls
    keystone: Keystone
    enqueued: list[tuple[Key, float]]
    apis: Apis

    def declare(self, **spec: Any) -> None:
        resource = custom(**spec)
        known = self.api.get("cloudcontrollers", "ns", "demo")
        if known is not None:
            resource = {**copy.deepcopy(known), "spec": spec}
        self.cluster.cache.upsert(self.api.put(resource))
        if known is None:
            # The database is a part with a pass of its own, which has tests of its own.
            database = DatabaseState(writer="demo-mariadb-0")
            self.context.publish(self.resource, DATABASE, database)

    @property
    def resource(self) -> Object:
        found = self.cluster.get("CloudController", "ns", "demo")
        assert found is not None
        return found

    async def reconcile(self) -> None:
        """Reconcile the cloud and its parts until nobody wakes anybody.

        Raises:
            OperatorError: what a part, or else the cloud's own pass, raised.
        """
        errors: dict[Key, OperatorError] = {}
        await self._pass(DEMO, errors)
        waiting = set(parts_of_controller(self.resource, self.cluster.cache)) - {DATABASE}
        for _ in range(20):
            if not waiting:
                break
            before = len(self.enqueued)
            for key in sorted(waiting):
                await self._pass(key, errors)
            woken = {key for key, delay in self.enqueued[before:] if delay == 0.0}
            # What failed is tried again by its backoff, which is longer than this.
            waiting = woken - {DATABASE} - errors.keys() | ({DEMO} if waiting != {DEMO} else set())
        else:
            raise AssertionError(f"wake one another again and again: {waiting}")
        if errors:
            raise next(iter(errors.values()))

    async def _pass(self, key: Key, errors: dict[Key, OperatorError]) -> None:
        reconcile = RECONCILERS[controller_of(key)]
        whole = not isinstance(key, PartRef)
        errors.pop(key, None)
        if self.cluster.get(*DEMO) is None:
            return
        try:
            if whole:
                await reconcile_reporting_errors(self.context, reconcile, self.resource)
            else:
                await reconcile(self.context, self.resource)
        except OperatorError as error:
            errors[key] = error

    def condition(self, kind: str) -> Object:
        found: Object = next(c for c in self.resource["status"]["conditions"] if c["type"] == kind)
        return found

    def all(self, *kinds: str) -> list[Object]:
        return [o for kind in kinds for o in self.cluster.list(kind, "ns")]

    def roles(self) -> set[str]:
        return {o["metadata"]["labels"][LABEL_NAME] for o in self.all(*WORKLOADS)}

    def put(self, obj: Object, **status: Any) -> None:
        plural = {"Job": "jobs", "StatefulSet": "statefulsets", "Deployment": "deployments"}
        meta = obj["metadata"]
        stored = self.api.get(plural[obj["kind"]], "ns", meta["name"])
        assert stored is not None
        if stored.get("status") != status:
            self.cluster.cache.upsert(self.api.put({**stored, "status": status}))

    def serve(self) -> None:
        """Let every workload's members become ready."""
        for found in self.all(*WORKLOADS):
            replicas = found["spec"]["replicas"]
            self.put(
                found,
                observedGeneration=found["metadata"]["generation"],
                readyReplicas=replicas,
                updatedReplicas=replicas,
                replicas=replicas,
            )

    def finish(self) -> None:
        """Let every Job end well."""
        for job in self.all("Job"):
            if self.api.get("jobs", "ns", job["metadata"]["name"]) is None:
                self.cluster.cache.remove(job)
                continue
            self.put(job, conditions=[{"type": "Complete", "status": "True"}])

    async def settle(self) -> None:
        """Let the cluster follow until two rounds have changed nothing: polls are news, too."""
        versions: list[int] = []
        while len(versions) < 40 and versions[-2:] != [self.api.version] * 2:
            versions.append(self.api.version)
            await self.reconcile()
            self.serve()
            self.finish()
            await self.polls.tick()
        await self.reconcile()

    def secret(self, name: str) -> dict[str, str]:
        found = self.api.get("secrets", "ns", name)
        assert found is not None
        return {k: base64.b64decode(v).decode() for k, v in found["data"].items()}


@asynccontextmanager
async def _world() -> AsyncIterator[World]:
    async with direct_api() as (api, client):
        clock, keystone = Time(), Keystone()
        polls = Polls(clock)
        enqueued: list[tuple[Key, float]] = []
        cluster = Cluster(client, Cache(), lambda: 10.0, now=clock.now)
        context = Context(
            cluster=cluster,
            poller=polls,
            tasks=polls,
            clock=clock,
            random=Random(7),
            settings=Settings(image_registry="r"),
            openstack=keystone,
            enqueue=lambda ref, delay=0.0: enqueued.append((ref, delay)),
            leader="one",
        )
        apis = Apis()
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(served, "ask_apis", apis.ask)
            yield World(api, cluster, context, clock, polls, keystone, enqueued, apis)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with _world() as found:
        yield found


async def test_empty_spec_comes_up_and_is_ready(world: World) -> None:
    world.declare()
    await world.settle()
    assert world.roles() == {role.name for role in registry.CONTROLLER_ROLES}
    assert world.condition("Ready")["status"] == "True"
    assert world.resource["status"]["timeToReadySeconds"] == 0
    assert world.resource["status"]["writer"] == "demo-mariadb-0"
    assert world.keystone.asked


async def test_first_pass_starts_only_what_needs_nothing(world: World) -> None:
    world.declare()
    await world.reconcile()
    free = {role.name for role in registry.CONTROLLER_ROLES if not role.needs}
    assert world.roles() == free
    assert not world.all("Job")
    assert world.condition("Progressing")["reason"] == "BringingUp"


async def test_settled_cloud_is_left_alone(world: World) -> None:
    world.declare()
    await world.settle()
    before = len(world.api.requests)
    world.clock.at += timedelta(hours=1)
    await world.reconcile()
    assert world.api.requests[before:] == []


async def test_restarted_operator_writes_nothing_to_a_settled_cloud(world: World) -> None:
    world.declare()
    await world.settle()
    cluster = Cluster(world.cluster._client, Cache(), lambda: 10.0, now=world.clock.now)
    for obj in world.api._objects.values():
        cluster.cache.upsert(obj)
    world.cluster = cluster
    world.context = Context(**{
        **vars(world.context), "cluster": cluster, "random": Random(9), "parts": Parts(),
        "resolved": {},
    })  # fmt: skip
    world.polls.seen.clear()
    before = len(world.api.writes())
    await world.reconcile()
    assert world.api.writes()[before:] == []
    assert world.condition("Ready")["status"] == "True"


async def test_passwords_are_made_once_and_survive_the_resource(world: World) -> None:
    world.declare()
    await world.settle()
    made = world.secret("demo-nova-credentials")
    stored = world.api.get("secrets", "ns", "demo-nova-credentials")
    assert stored is not None
    assert not stored["metadata"].get("ownerReferences")
    world.declare(config={"nova": {"DEFAULT": {"debug": "true"}}})
    await world.settle()
    assert world.secret("demo-nova-credentials") == made


@pytest.mark.parametrize("policy", ["Retain", "Delete"])
async def test_no_garbage_collector_may_take_secrets(world: World, policy: str) -> None:
    world.declare(deletionPolicy=policy)
    await world.reconcile()
    stored = world.api.get("secrets", "ns", "demo-nova-credentials")
    assert stored is not None
    assert not stored["metadata"].get("ownerReferences")


async def test_missing_secret_of_the_users_starts_nothing_that_reads_it_and_says_so(
    world: World,
) -> None:
    world.declare(credentials={"nova": "mine"})
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "CredentialsMissing"
    assert "mine" in condition["message"]
    assert world.enqueued
    await world.settle()
    # The broker imports the accounts of all services, and a step makes those of the database.
    assert world.roles() >= {"mariadb", "haproxy", "memcached", "ovn-nb", "ovn-northd"}
    assert not world.roles() & {"rabbitmq", "nova-api", "nova-conductor"}
    assert not world.all("Job")


async def test_secret_of_the_users_is_taken_when_it_comes(world: World) -> None:
    world.declare(credentials={"glance": "mine"})
    values = {"database-password": "chosen-one", "service-password": "chosen-two"}
    data = {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}
    world.api.put({"kind": "Secret", "metadata": {"name": "mine", "namespace": "ns"}, "data": data})
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert values.items() <= world.secret("demo-glance-credentials").items()


async def test_malformed_secret_starts_nothing_that_reads_it_and_says_so(world: World) -> None:
    world.api.put(
        {"kind": "Secret", "metadata": {"name": "mine", "namespace": "ns"},
         "data": dict.fromkeys(("database-password", "service-password"), "IA==")}
    )  # fmt: skip
    world.declare(credentials={"glance": "mine"})
    await world.reconcile()
    assert world.condition("Ready")["reason"] == "CredentialsInvalid"
    await world.settle()
    assert "rabbitmq" in world.roles()
    assert "glance" not in world.roles()
    assert not world.all("Job")


async def test_a_broken_secret_of_one_service_holds_no_steps_of_another(world: World) -> None:
    world.declare()
    await world.settle()
    lost = copy.deepcopy(world.api.get("secrets", "ns", "demo-glance-credentials"))
    assert lost is not None
    del lost["data"]["database-password"]
    world.cluster.cache.upsert(world.api.put(lost))
    done = {job["metadata"]["name"] for job in world.all("Job")}
    config = {"database": {"max_retries": 7}}
    world.declare(config={"placement": config, "glance": config})
    await world.reconcile()
    assert world.condition("Ready")["reason"] == "CredentialsMissing"
    [made] = {job["metadata"]["name"] for job in world.all("Job")} - done
    assert made.startswith("demo-placement-setup-")


async def test_a_changed_credential_is_named_beside_a_refused_child(world: World) -> None:
    world.declare()
    await world.settle()
    changed = copy.deepcopy(world.api.get("secrets", "ns", "demo-nova-credentials"))
    assert changed is not None
    changed["data"]["service-password"] = base64.b64encode(b"another-one").decode()
    world.cluster.cache.upsert(world.api.put(changed))
    world.api.faults.append(Fault("PATCH", "deployments/demo-placement", 403, message="no quota"))
    world.declare(config={"placement": {"DEFAULT": {"debug": "true"}}})
    with pytest.raises(Forbidden):
        await world.reconcile()
    condition = world.condition("Reconciled")
    assert condition["reason"] == "ApplyFailed"
    assert "no quota" in condition["message"]
    assert "Also: Secret demo-nova-credentials, key service-password" in condition["message"]


async def test_secret_that_is_gone_is_not_drawn_anew_and_nothing_is_disturbed(
    world: World,
) -> None:
    world.declare()
    await world.settle()
    before = {key for key in world.api._objects if key[0] != "events"}
    lost = next(
        s for s in world.all("Secret") if s["metadata"]["name"] == "demo-glance-credentials"
    )
    whole = copy.deepcopy(world.api.get("secrets", "ns", "demo-glance-credentials"))
    assert whole is not None
    world.api.remove("secrets", "ns", "demo-glance-credentials")
    world.cluster.cache.remove(lost)
    world.cluster._memory.clear()
    for _ in range(2):
        await world.reconcile()
        condition = world.condition("Ready")
        assert condition["reason"] == "CredentialsMissing"
        assert "demo-glance-credentials" in condition["message"]
        after = {key for key in world.api._objects if key[0] != "events"}
        assert before - after == {("secrets", "ns", "demo-glance-credentials")}
    world.cluster.cache.upsert(world.api.put(whole))
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    assert world.secret("demo-glance-credentials") == {
        k: base64.b64decode(v).decode() for k, v in whole["data"].items()
    }


async def test_even_replicas_of_a_quorum_role_are_refused(world: World) -> None:
    world.declare()
    await world.settle()
    running = world.roles()
    world.declare(roles={"mariadb": {"clustering": {"replicas": 2}}})
    with pytest.raises(SpecInvalid):
        await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "SpecInvalid"
    assert "odd" in condition["message"]
    assert world.roles() == running


@pytest.mark.parametrize("role", ["mariadb"])
async def test_members_that_have_not_left_stay(world: World, role: str) -> None:
    world.declare()
    await world.settle()
    world.declare(roles={role: {"clustering": {"replicas": 1}}})
    await world.reconcile()
    found = world.cluster.get("StatefulSet", "ns", f"demo-{role}")
    assert found is not None
    assert found["spec"]["replicas"] == 3

    world.declare(roles={role: {"clustering": {"replicas": 5}}})
    await world.settle()
    found = world.cluster.get("StatefulSet", "ns", f"demo-{role}")
    assert found is not None
    assert found["spec"]["replicas"] == 5


async def test_members_that_never_served_may_be_fewer(world: World) -> None:
    world.declare(roles={"rabbitmq": {"clustering": {"replicas": 5}}})
    await world.reconcile()
    world.declare(roles={"rabbitmq": {"clustering": {"replicas": 3}}})
    await world.reconcile()
    found = world.cluster.get("StatefulSet", "ns", "demo-rabbitmq")
    assert found is not None
    assert found["spec"]["replicas"] == 3


async def test_suspended_cloud_is_not_touched(world: World) -> None:
    world.declare(suspend=True)
    await world.reconcile()
    assert not world.roles()
    assert world.condition("Reconciled")["reason"] == "Suspended"


async def test_nothing_is_written_to_a_suspended_cloud_from_behind(world: World) -> None:
    world.declare()
    await world.settle()
    asked = len(world.keystone.asked)
    assert asked
    world.declare(suspend=True)
    await world.reconcile()
    await world.polls.tick()
    assert len(world.keystone.asked) == asked
    world.declare()
    await world.settle()
    assert len(world.keystone.asked) > asked
    assert world.condition("Ready")["status"] == "True"


async def test_role_stays_when_what_it_needs_is_lost(world: World) -> None:
    world.declare()
    await world.settle()
    database = next(s for s in world.all("StatefulSet") if s["metadata"]["name"] == "demo-mariadb")
    world.put(database, observedGeneration=database["metadata"]["generation"], readyReplicas=1)
    await world.reconcile()
    assert world.roles() == {role.name for role in registry.CONTROLLER_ROLES}
    assert world.condition("Available")["reason"] == "ReplicasUnavailable"


async def test_failed_step_is_reported_and_tried_again_later(world: World) -> None:
    world.declare()
    for _ in range(3):
        await world.reconcile()
        world.serve()
    [job, *_] = [j for j in world.all("Job") if "accounts" in j["metadata"]["name"]]
    at = world.clock.at.isoformat().replace("+00:00", "Z")
    failed = {"type": "Failed", "status": "True", "lastTransitionTime": at, "message": "boom"}
    world.put(job, startTime=at, conditions=[failed])
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "StepFailed"
    assert "mariadb/accounts" in condition["message"]
    uid = job["metadata"]["uid"]
    world.clock.at += timedelta(minutes=1)
    await world.reconcile()
    world.cluster.cache.remove(job)
    await world.reconcile()
    [again] = [j for j in world.all("Job") if "accounts" in j["metadata"]["name"]]
    assert again["metadata"]["uid"] != uid


async def test_configuration_stays_while_an_old_pod_reads_it(world: World) -> None:
    world.declare()
    await world.settle()
    first = _config_of(world, "keystone")
    world.declare(config={"keystone": {"DEFAULT": {"debug": "true"}}})
    await world.reconcile()
    [second] = _config_of(world, "keystone") - first
    assert _config_of(world, "keystone") == first | {second}
    world.serve()
    await world.reconcile()
    assert _config_of(world, "keystone") == {second}


def _config_of(world: World, role: str) -> set[str]:
    return {
        c["metadata"]["name"]
        for c in world.api._objects.values()
        if c["kind"] == "ConfigMap" and c["metadata"]["labels"][LABEL_NAME] == role
    }


async def test_rejected_child_is_reported_and_the_others_are_applied(world: World) -> None:
    world.declare()
    world.api.faults.append(Fault("PATCH", "services/demo-keystone", 403))
    with pytest.raises(OperatorError):
        await world.reconcile()
    assert world.condition("Ready")["reason"] == "ApplyFailed"
    assert "mariadb" in world.roles()


async def test_a_rejected_child_stops_nobody_elses_steps(world: World) -> None:
    world.declare()
    for _ in range(3):
        await world.reconcile()
        world.serve()
    before = {job["metadata"]["name"] for job in world.all("Job")}
    world.api.faults.append(Fault("PATCH", "statefulsets/demo-rabbitmq", 403))
    world.declare(roles={"rabbitmq": {"resources": {"limits": {"memory": "2Gi"}}}})
    world.finish()

    with pytest.raises(OperatorError):
        await world.reconcile()

    assert world.condition("Ready")["reason"] == "ApplyFailed"
    begun = {job["metadata"]["labels"][LABEL_STEP] for job in world.all("Job")
             if job["metadata"]["name"] not in before}  # fmt: skip
    assert begun
    assert not {step for step in begun if step.startswith("rabbitmq.")}


async def test_the_database_stands_as_the_status_says_until_its_own_pass_has_ended(
    world: World,
) -> None:
    world.declare()
    await world.settle()
    blocked = DatabaseState(writer="demo-mariadb-0", blocked="Lost: volumes are gone")
    world.context.publish(world.resource, DATABASE, blocked)
    assert world.enqueued[-1] == (DATABASE.whole, 0.0)
    await world.reconcile()
    assert world.condition("Ready")["reason"] == "DatabaseBlocked"
    status = world.resource["status"]

    world.context.parts.forget(DATABASE.whole)
    await world.reconcile()
    assert world.resource["status"] == status


async def test_deletion_waits_for_the_pools(world: World) -> None:
    world.declare()
    await world.settle()
    pool = custom("compute", "ComputePool", controller="demo", nodeSelector={"a": "b"})
    world.cluster.cache.upsert(world.api.put(pool))
    doomed = copy.deepcopy(world.resource)
    doomed["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    world.cluster.cache.upsert(world.api.put(doomed))
    before = world.roles()
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "DeletionBlocked"
    assert "compute" in condition["message"]
    assert FINALIZER in condition["message"]
    assert world.roles() == before
    assert FINALIZER in world.resource["metadata"]["finalizers"]
    world.api.remove("computepools", "ns", "compute")
    world.cluster.cache.remove(world.all("ComputePool")[0])
    await world.reconcile()
    assert not world.resource["metadata"].get("finalizers")
    assert world.api.get("secrets", "ns", "demo-nova-credentials")


async def test_a_cloud_of_a_namespace_that_is_deleted_waits_for_no_pool(world: World) -> None:
    world.declare()
    await world.settle()
    pool = custom("compute", "ComputePool", controller="demo", nodeSelector={"a": "b"})
    world.cluster.cache.upsert(world.api.put(pool))
    end = {"deletionTimestamp": "2026-01-01T01:00:00Z"}
    world.api.put({"kind": "Namespace", "metadata": {"name": "ns", **end}})
    doomed = copy.deepcopy(world.resource)
    doomed["metadata"] |= end
    world.cluster.cache.upsert(world.api.put(doomed))
    await world.reconcile()
    assert not world.resource["metadata"].get("finalizers")


async def test_deletion_that_waits_keeps_the_cloud_up(world: World) -> None:
    world.declare()
    await world.settle()
    pool = custom("compute", "ComputePool", controller="demo", nodeSelector={"a": "b"})
    world.cluster.cache.upsert(world.api.put(pool))
    doomed = copy.deepcopy(world.resource)
    doomed["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    world.cluster.cache.upsert(world.api.put(doomed))
    before = world.roles()
    # As after kubectl delete --cascade=foreground, which asks no finalizer but its own.
    for workload in (*world.all("StatefulSet"), *world.all("Deployment")):
        world.api.remove(f"{workload['kind'].lower()}s", "ns", workload["metadata"]["name"])
        world.cluster.cache.remove(workload)
    await world.settle()
    assert world.roles() == before
    assert world.condition("Ready")["reason"] == "DeletionBlocked"


async def test_delete_policy_takes_secrets_volumes_and_state(world: World) -> None:
    world.declare()
    await world.settle()
    world.declare(deletionPolicy="Delete")
    doomed = copy.deepcopy(world.resource)
    doomed["metadata"]["deletionTimestamp"] = "2026-01-01T01:00:00Z"
    world.cluster.cache.upsert(world.api.put(doomed))
    database = next(s for s in world.all("StatefulSet") if s["metadata"]["name"] == "demo-mariadb")
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": "data-demo-mariadb-0",
            "namespace": "ns",
            "labels": database["metadata"]["labels"],
        },
        "spec": {},
    }
    state = {"kind": "ConfigMap", "metadata": {"name": "demo-state", "namespace": "ns"}}
    for kept in (claim, state):
        world.cluster.cache.upsert(world.api.put(kept))
    await world.reconcile()
    assert world.api.get("secrets", "ns", "demo-nova-credentials") is None
    assert world.api.get("configmaps", "ns", "demo-state") is None
    assert world.api.get("persistentvolumeclaims", "ns", "data-demo-mariadb-0") is None
    deleted = [path for method, path in world.api.writes() if method == "DELETE"]
    kinds = [path.split("/")[-2] for path in deleted]
    assert "statefulsets" in kinds
    assert "statefulsets" not in kinds[kinds.index("persistentvolumeclaims") :]


async def test_no_secret_value_reaches_status_or_configuration(world: World) -> None:
    world.declare()
    await world.settle()
    values = {
        value
        for secret in world.all("Secret")
        for key, value in world.secret(secret["metadata"]["name"]).items()
        if key != "username"
    }
    others = str([o for o in world.api._objects.values() if o["kind"] != "Secret"])
    assert not [value for value in values if value in others]


async def test_volume_that_waits_for_a_missing_class_names_it(world: World) -> None:
    world.declare(storageClassName="nowhere")
    await world.reconcile()
    database = next(s for s in world.all("StatefulSet") if s["metadata"]["name"] == "demo-mariadb")
    labels = database["metadata"]["labels"]
    claim = {
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data-demo-mariadb-0", "namespace": "ns", "labels": labels},
        "spec": {"storageClassName": "nowhere"},
        "status": {"phase": "Pending"},
    }
    waiting = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        "lastTransitionTime": "2025-12-31T23:59:00Z",
    }
    pod = {
        "kind": "Pod",
        "metadata": {"name": "demo-mariadb-0", "namespace": "ns", "labels": labels},
        "spec": {},
        "status": {"phase": "Pending", "conditions": [waiting]},
    }
    for obj in (claim, pod):
        world.cluster.cache.upsert(world.api.put(obj))
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "StorageClassMissing"
    assert "nowhere" in condition["message"]


def refuse(world: World, controller: Object, note: str) -> None:
    """Tell of refused pods as a controller does."""
    regarding = {"kind": controller["kind"], "uid": controller["metadata"]["uid"]}
    event = {
        "kind": "Event",
        "metadata": {"name": "refused", "namespace": "ns"},
        "regarding": regarding,
        "reason": "FailedCreate",
        "note": note,
        "deprecatedLastTimestamp": world.clock.at.isoformat(),
    }
    world.api.put(event)


async def test_pods_that_are_refused_are_reported_with_the_servers_message(world: World) -> None:
    world.declare()
    await world.reconcile()
    world.clock.at += timedelta(minutes=1)
    mariadb = world.cluster.get("StatefulSet", "ns", "demo-mariadb")
    assert mariadb is not None
    refuse(world, mariadb, "exceeded quota: small")
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "PodsRefused"
    assert "Role mariadb: Pods of StatefulSet demo-mariadb" in condition["message"]
    assert "exceeded quota: small" in condition["message"]


async def test_a_step_whose_pod_is_refused_says_so(world: World) -> None:
    world.declare()
    while not world.all("Job"):
        await world.reconcile()
        world.serve()
    world.clock.at += timedelta(minutes=1)
    [job, *_] = world.all("Job")
    refuse(world, job, "violates PodSecurity")
    await world.reconcile()
    condition = world.condition("Progressing")
    assert condition["reason"] == "PodsRefused"
    assert job["metadata"]["name"] in condition["message"]
    assert "violates PodSecurity" in condition["message"]


async def test_field_that_cannot_change_is_reported_with_the_object(world: World) -> None:
    world.declare()
    refused = (
        'StatefulSet.apps "demo-mariadb" is invalid: spec: Forbidden: updates to statefulset spec '
        "for fields other than 'replicas' are forbidden"
    )
    world.api.faults.append(Fault("PATCH", "statefulsets/demo-mariadb", 422, message=refused))
    with pytest.raises(OperatorError):
        await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "ImmutableFieldChanged"
    assert 'StatefulSet.apps "demo-mariadb"' in condition["message"]


async def test_an_api_that_only_refuses_ends_readiness(world: World) -> None:
    world.declare()
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    world.apis.failing["nova-api"] = (503, "The Keystone service is temporarily unavailable.")
    await world.polls.tick()
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"  # one answer may be lost
    await world.polls.tick()
    await world.reconcile()
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "ServicesFailing")
    assert "nova-api answers HTTP 503: The Keystone service is temp" in ready["message"]
    world.apis.failing.clear()
    await world.polls.tick()
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"


async def test_apis_that_cannot_be_asked_are_believed_for_a_while(world: World) -> None:
    world.declare()
    await world.settle()
    world.apis.failure = CloudUnavailable("no answer within 35 s")
    world.enqueued.clear()
    await world.polls.tick()
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    assert (DEMO, 91.0) in world.enqueued, "no pass follows when the answer is too old"

    world.clock.at += timedelta(seconds=91)
    await world.polls.tick()
    await world.reconcile()
    available = world.condition("Available")
    assert (available["status"], available["reason"]) == ("Unknown", "ServicesUnknown")
    assert "no answer within 35 s" in available["message"]

    world.apis.failure = None
    await world.polls.tick()
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"


async def test_a_password_that_was_changed_in_keystone_is_named_with_the_cure(
    world: World,
) -> None:
    world.declare()
    await world.settle()
    world.apis.password = "changed-through-keystone"
    for _ in range(2):
        await world.polls.tick()
        await world.reconcile()
    ready, available = world.condition("Ready"), world.condition("Available")
    assert (ready["status"], ready["reason"]) == ("False", "CredentialsRefused")
    assert "Secret demo-admin, key password" in ready["message"]
    assert (available["status"], available["reason"]) == ("Unknown", "ServicesUnknown")
    assert world.condition("Stalled")["status"] == "True"


async def test_polls_of_a_settled_cloud_write_nothing(world: World) -> None:
    world.declare()
    await world.settle()
    before = len(world.api.writes())
    for _ in range(5):
        await world.polls.tick()
        await world.reconcile()
    assert world.api.writes()[before:] == []


async def test_a_check_of_keystone_that_goes_on_to_fail_is_reported(world: World) -> None:
    world.declare()
    await world.settle()
    world.keystone.failure = CloudUnavailable("Filling keystone's catalogue: no answer")
    await world.polls.tick()
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    world.clock.at += timedelta(seconds=61)
    await world.reconcile()
    progressing = world.condition("Progressing")
    assert progressing["reason"] == "StepFailed"
    assert "Filling keystone's catalogue: no answer" in progressing["message"]


async def test_a_broker_in_a_second_cluster_is_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await world.settle()
    message = "demo-rabbitmq-1 is in a cluster of its own"

    async def answers(urls: dict[str, str]) -> dict[str, str]:
        answer = json.dumps({"state": "split", "members": [], "message": message})
        return dict.fromkeys(urls, answer)

    monkeypatch.setattr("stackroles.reconcile.pod_http.get_all", answers)
    [brokers] = [s for s in world.all("StatefulSet") if s["metadata"]["name"] == "demo-rabbitmq"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": "demo-rabbitmq-1",
            "namespace": "ns",
            "labels": brokers["metadata"]["labels"],
        },
        "status": {"podIP": "10.0.0.1", "phase": "Running"},
    }
    world.cluster.cache.upsert(world.api.put(pod))
    generation = brokers["metadata"]["generation"]
    world.put(
        brokers, observedGeneration=generation, replicas=3, updatedReplicas=3, readyReplicas=2
    )
    await world.polls.tick()
    await world.reconcile()
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "MessagingBlocked")
    assert message in ready["message"]

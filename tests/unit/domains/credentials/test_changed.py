"""Values that somebody changed in a Secret: not one reaches a process or an account."""

import base64
import copy
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.credentials.changed import (
    ChangedValue,
    assess_changed,
    changed_keys,
    hold,
)
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import World

OTHER = "0123456789abcdef0123456789abcdef"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def settled() -> AsyncIterator[World]:
    """One cloud that came up, for tests that leave it as they found it."""
    async with clouds._world() as found:
        found.declare()
        await found.settle()
        yield found


def edit(world: World, secret: str, key: str, value: str = OTHER) -> str:
    """Change a value in a Secret; return the one that was there."""
    stored = copy.deepcopy(world.api.get("secrets", "ns", secret))
    assert stored is not None
    before = base64.b64decode(stored["data"][key]).decode()
    stored["data"][key] = base64.b64encode(value.encode()).decode()
    world.cluster.cache.upsert(world.api.put(stored))
    return before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("service", "key"),
    [
        ("placement", "database-password"),
        ("nova", "broker-password"),
        ("nova", "service-password"),
        ("mariadb", "operator-password"),
        ("rabbitmq", "erlang-cookie"),
        ("neutron", "token-cache-key"),
    ],
)
async def test_a_changed_value_is_named_and_reaches_nobody(
    settled: World, service: str, key: str
) -> None:
    place = f"demo-{service}-credentials-in-use"
    in_use, asked = settled.secret(place), len(settled.keystone.asked)
    brokers = settled.secret("demo-rabbitmq-definitions")
    edit(settled, f"demo-{service}-credentials", key)
    await settled.reconcile()
    ready = settled.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "CredentialsChanged")
    assert f"Secret demo-{service}-credentials, key {key}" in ready["message"]
    assert place in ready["message"]
    assert OTHER not in ready["message"]
    assert settled.secret(place) == in_use
    assert settled.secret("demo-rabbitmq-definitions") == brokers
    assert settled.secret(f"demo-{service}-credentials")[key] == OTHER
    assert len(settled.keystone.asked) == asked
    edit(settled, f"demo-{service}-credentials", key, in_use[key])
    await settled.reconcile()
    assert settled.condition("Ready")["status"] == "True"


async def test_urls_are_made_of_the_password_in_use(world: World) -> None:
    world.declare()
    await world.settle()
    before = edit(world, "demo-placement-credentials", "database-password")
    await world.reconcile()
    assert before in world.secret("demo-placement-credentials-in-use")["database-url"]
    assert before in world.secret("demo-placement-credentials")["database-url"]


async def test_no_pod_reads_the_secret_that_people_edit(world: World) -> None:
    world.declare()
    await world.settle()
    edited = {f"demo-{name}-credentials" for name in ("nova", "mariadb", "rabbitmq", "placement")}
    for kind in ("statefulsets", "deployments", "jobs"):
        found = str([obj for (plural, _, _), obj in world.api._objects.items() if plural == kind])
        assert "credentials-in-use" in found
        assert not [name for name in (*edited, "demo-admin") if f"'{name}'" in found]


async def test_a_cloud_of_an_older_version_goes_on_with_what_its_secrets_hold(
    world: World,
) -> None:
    world.declare()
    await world.settle()
    before = world.secret("demo-nova-credentials")
    place = "demo-nova-credentials-in-use"
    [copied] = [s for s in world.all("Secret") if s["metadata"]["name"] == place]
    world.api.remove("secrets", "ns", place)
    world.cluster.cache.remove(copied)
    world.cluster._memory.clear()
    await world.reconcile()
    assert world.secret(place) == before
    assert world.condition("Ready")["status"] == "True"


async def test_a_users_secret_that_changes_after_it_was_taken_is_named(world: World) -> None:
    values = {"database-password": "chosen-one", "service-password": "chosen-two"}
    data = {k: base64.b64encode(v.encode()).decode() for k, v in values.items()}
    mine = {"kind": "Secret", "metadata": {"name": "mine", "namespace": "ns"}, "data": data}
    world.api.put(mine)
    world.declare(credentials={"glance": "mine"})
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    changed = {**data, "service-password": base64.b64encode(OTHER.encode()).decode()}
    world.api.put({**mine, "data": changed})
    world.cluster._memory.clear()
    await world.polls.tick()
    await world.reconcile()
    ready = world.condition("Ready")
    assert ready["reason"] == "CredentialsChanged"
    assert "Secret mine, key service-password" in ready["message"]
    assert world.secret("demo-glance-credentials-in-use")["service-password"] == "chosen-two"


async def test_an_administrators_password_that_keystone_knows_is_taken(world: World) -> None:
    world.declare()
    await world.settle()
    world.apis.password = OTHER
    for _ in range(2):
        await world.polls.tick()
        await world.reconcile()
    assert world.condition("Ready")["reason"] == "CredentialsRefused"
    edit(world, "demo-admin", "password")
    for _ in range(2):
        await world.reconcile()
        await world.polls.tick()
    await world.reconcile()
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    assert world.secret("demo-admin-credentials-in-use")["password"] == OTHER
    assert OTHER in world.secret("demo-admin")["clouds.yaml"]


async def test_an_administrators_password_that_keystone_does_not_know_is_held(
    world: World,
) -> None:
    world.declare()
    await world.settle()
    before = world.apis.password = world.secret("demo-admin")["password"]
    edit(world, "demo-admin", "password")
    for _ in range(2):
        await world.polls.tick()
        await world.reconcile()
    ready = world.condition("Ready")
    assert ready["reason"] == "CredentialsChanged"
    assert "change it in keystone first" in ready["message"]
    assert world.secret("demo-admin-credentials-in-use")["password"] == before


def test_what_is_in_use_stays_and_what_is_new_is_added() -> None:
    held = hold(("a", "b"), {"a": "new", "b": "first", "c": "other"}, {"a": "old"})
    assert held == {"a": "old", "b": "first", "c": "other"}


def test_a_missing_value_is_no_changed_one() -> None:
    assert changed_keys(("a", "b"), {"a": ""}, {"a": "old", "b": "old"}) == ()
    assert changed_keys(("a", "b"), {"a": "new", "b": "old"}, {"a": "old", "b": "old"}) == ("a",)


def test_many_changed_values_are_counted() -> None:
    values = [ChangedValue("nova", f"s{n}", "k", "in-use") for n in range(5)]
    found = assess_changed(values)
    assert found is not None
    assert found.reason is Reason.CREDENTIALS_CHANGED
    assert "So are 2 more values." in found.message
    assert assess_changed(()) is None

"""Values that somebody changed in a Secret: not one reaches a process or an account."""

import base64
import copy
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.credentials.changed import (
    ChangedValue,
    Copy,
    InUse,
    assess_changed,
    changed_keys,
    find_in_use,
)
from stackroles.domains.credentials.generate import DIGEST_KEY
from stackroles.domains.credentials.note import Note, digest, read_note, write_note
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


def take(world: World, secret: str, *keys: str) -> None:
    """Take values out of a Secret, or all of it."""
    stored = copy.deepcopy(world.api.get("secrets", "ns", secret))
    assert stored is not None
    for key in keys:
        del stored["data"][key]
    if keys:
        world.cluster.cache.upsert(world.api.put(stored))
        return
    world.api.remove("secrets", "ns", secret)
    world.cluster.cache.remove(stored)
    world.cluster._memory.clear()


def generations(world: World) -> dict[str, int]:
    found = (workload["metadata"] for workload in world.all(*clouds.WORKLOADS))
    return {metadata["name"]: metadata["generation"] for metadata in found}


def forget(world: World, secret: str) -> None:
    """Leave a Secret without its note, as an older version made it."""
    stored = copy.deepcopy(world.api.get("secrets", "ns", secret))
    assert stored is not None
    del stored["metadata"]["annotations"]
    world.cluster.cache.upsert(world.api.put(stored))


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


@pytest.mark.parametrize("key", ["service-password", "database-password"])
@pytest.mark.parametrize("whole", [True, False])
async def test_a_changed_value_whose_copy_is_gone_reaches_nobody(
    world: World, key: str, whole: bool
) -> None:
    world.declare()
    await world.settle()
    before = edit(world, "demo-nova-credentials", key)
    await world.reconcile()
    take(world, "demo-nova-credentials-in-use", *(() if whole else (key,)))
    asked = len(world.keystone.asked)
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "CredentialsMissing"
    assert f"hold the value in use of {key}." in condition["message"]
    assert OTHER not in str(world.api.get("secrets", "ns", "demo-nova-credentials-in-use"))
    assert len(world.keystone.asked) == asked
    edit(world, "demo-nova-credentials", key, before)
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    assert world.secret("demo-nova-credentials-in-use")[key] == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("whole", [True, False])
async def test_a_copy_that_is_gone_is_made_anew_of_what_is_proven(
    settled: World, whole: bool
) -> None:
    place, key = "demo-nova-credentials-in-use", "database-password"
    before = settled.secret(place)
    take(settled, place, *(() if whole else (key,)))
    await settled.reconcile()
    assert settled.secret(place) == before
    assert settled.condition("Ready")["status"] == "True"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("service", "key"),
    [
        ("nova", "database-password"),
        ("nova", "service-password"),
        ("admin", "password"),
        ("nova", "digest-key"),
    ],
)
async def test_an_edit_of_the_copy_is_put_back(settled: World, service: str, key: str) -> None:
    place = f"demo-{service}-credentials-in-use"
    before, brokers = settled.secret(place), settled.secret("demo-rabbitmq-definitions")
    edit(settled, place, key)
    await settled.reconcile()
    assert settled.secret(place) == before
    assert settled.secret("demo-rabbitmq-definitions") == brokers
    assert settled.condition("Ready")["status"] == "True"


async def test_a_value_that_was_changed_in_both_secrets_is_derived_nothing_from(
    world: World,
) -> None:
    world.declare()
    await world.settle()
    secrets = ("demo-nova-credentials", "demo-nova-credentials-in-use")
    for name in secrets:
        before = edit(world, name, "database-password")
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "CredentialsMissing"
    assert all(name in condition["message"] for name in secrets)
    assert before in world.secret(secrets[1])["database-url"]
    # The account got it by hand: without the note it counts.
    for name in secrets:
        forget(world, name)
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    assert OTHER in world.secret(secrets[1])["database-url"]
    edit(world, secrets[1], "database-password", before)
    await world.reconcile()
    assert world.secret(secrets[1])["database-password"] == OTHER


async def test_an_older_versions_secrets_that_differ_are_both_named(world: World) -> None:
    world.declare()
    await world.settle()
    secrets = ("demo-nova-credentials", "demo-nova-credentials-in-use")
    for name in secrets:
        forget(world, name)
    edit(world, secrets[0], "service-password")
    for _ in range(2):  # it is not noted as the truth meanwhile
        await world.reconcile()
        ready = world.condition("Ready")
        assert ready["reason"] == "CredentialsChanged"
        assert "hold different values, and it is not noted" in ready["message"]
        assert all(name in ready["message"] for name in secrets)
    edit(world, secrets[1], "service-password")
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"


async def test_an_older_versions_copy_that_is_gone_proves_nothing(world: World) -> None:
    world.declare()
    await world.settle()
    place = "demo-nova-credentials-in-use"
    forget(world, "demo-nova-credentials")
    take(world, place)
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "CredentialsMissing"
    assert place in condition["message"]
    assert world.api.get("secrets", "ns", place) is None


async def test_what_an_older_version_made_is_noted_and_nothing_rolls(world: World) -> None:
    world.declare()
    await world.settle()
    before = generations(world)
    for name in ("demo-nova-credentials", "demo-nova-credentials-in-use"):
        forget(world, name)
        take(world, name, "digest-key")
    await world.reconcile()
    assert "digest-key" in world.secret("demo-nova-credentials-in-use")
    after = generations(world)
    assert after == before
    place = "demo-nova-credentials-in-use"
    known = edit(world, place, "service-password")
    await world.reconcile()
    assert world.secret(place)["service-password"] == known


KEYS = ("a", "b")
KNOWN = {DIGEST_KEY: "key", "a": "old", "b": "first"}
NOTED = Note(frozenset(KEYS), {name: digest("key", name, KNOWN[name]) for name in KEYS})


def test_what_fits_its_digest_is_in_use_wherever_it_is() -> None:
    found = find_in_use(KEYS, KNOWN | {"a": "new"}, NOTED, Copy(KNOWN | {"b": "new"}, NOTED))
    assert found == InUse(KNOWN)


def test_a_digest_is_of_the_name_and_by_the_key_of_its_secret() -> None:
    assert len({digest("key", "a", "x"), digest("key", "b", "x"), digest("other", "a", "x")}) == 3


def test_a_note_is_read_as_it_was_written() -> None:
    note = Note(frozenset({"a", "b", "c"}), NOTED.digests)
    assert read_note(write_note(note.names, note.digests)) == note
    assert read_note("a,b") == Note(frozenset(KEYS))


def test_a_note_on_one_of_the_secrets_is_enough() -> None:
    copy = Copy(KNOWN | {"a": "new"}, None)
    assert find_in_use(KEYS, KNOWN, NOTED, copy) == InUse(KNOWN)


def test_what_is_new_is_added_and_what_is_missing_is_left_out() -> None:
    found = find_in_use(("b", "new", "c"), KNOWN | {"new": "x"}, NOTED, Copy(KNOWN, NOTED))
    assert found == InUse(KNOWN | {"new": "x"})


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

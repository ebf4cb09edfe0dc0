"""Secrets of a cloud over its life: drawn or brought once, and never again."""

import base64
import copy
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from stackroles.constants import ANNOTATION_EXTERNAL_KEYS, ANNOTATION_KEYS
from stackroles.domains.credentials.generate import external_digest
from stackroles.domains.credentials.note import read_note, write_note
from stackroles.domains.database.status import DatabaseState
from stackroles.reconcile.context import Parts
from stackroles.roles import glance
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import World

KEY = base64.urlsafe_b64encode(bytes(32)).decode()
OTHER = base64.urlsafe_b64encode(b"2" * 32).decode()
S3 = {"glance": {"DEFAULT": {"enabled_backends": "s3:s3"}}}


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


def bring(world: World, name: str = "mine", **values: str) -> None:
    data = {
        key.replace("_", "-"): base64.b64encode(value.encode()).decode()
        for key, value in values.items()
    }
    world.api.put({"kind": "Secret", "metadata": {"name": name, "namespace": "ns"}, "data": data})
    world.cluster._memory.clear()


def lose(world: World, name: str, *keys: str, noted: bool = True) -> None:
    """Take values out of a Secret, as somebody with kubectl edit would."""
    stored = copy.deepcopy(world.api.get("secrets", "ns", name))
    assert stored is not None
    for key in keys:
        del stored["data"][key]
    if not noted:
        del stored["metadata"]["annotations"]
    world.cluster.cache.upsert(world.api.put(stored))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize(
    ("secret", "key"),
    [
        ("demo-nova-credentials", "database-password"),
        ("demo-mariadb-credentials", "operator-password"),
        ("demo-rabbitmq-credentials", "erlang-cookie"),
        ("demo-admin", "password"),
        ("demo-keystone-fernet-keys", "1"),
        ("demo-keystone-credential-keys", "0"),
    ],
)
async def test_a_value_that_is_lost_is_not_drawn_anew(
    settled: World, secret: str, key: str, noted: bool
) -> None:
    whole = copy.deepcopy(settled.api.get("secrets", "ns", secret))
    assert whole is not None
    lose(settled, secret, key, noted=noted)
    await settled.reconcile()
    condition = settled.condition("Ready")
    assert condition["reason"] == "CredentialsMissing"
    assert secret in condition["message"]
    assert key not in settled.secret(secret)
    settled.cluster.cache.upsert(settled.api.put(whole))
    await settled.reconcile()
    assert settled.condition("Ready")["status"] == "True"


async def test_all_services_with_broken_credentials_are_named(world: World) -> None:
    world.declare()
    await world.settle()
    names = ("demo-glance-credentials", "demo-nova-credentials")
    for name in names:
        lose(world, name, "service-password")
    await world.reconcile()
    message = world.condition("Ready")["message"]
    assert all(f"Secret {name} has lost service-password" in message for name in names)


async def test_all_keys_of_a_repository_that_are_lost_are_not_drawn_anew(world: World) -> None:
    world.declare()
    await world.settle()
    lose(world, "demo-keystone-fernet-keys", "0", "1")
    await world.reconcile()
    assert world.condition("Ready")["reason"] == "CredentialsMissing"
    assert world.secret("demo-keystone-fernet-keys") == {}


def ring(world: World, name: str, **keys: str) -> None:
    """Replace a key repository, as somebody with kubectl replace would."""
    stored = copy.deepcopy(world.api.get("secrets", "ns", name))
    assert stored is not None
    data = {number.strip("_"): value for number, value in keys.items()}
    stored["data"] = {n: base64.b64encode(v.encode()).decode() for n, v in data.items()}
    world.cluster.cache.upsert(world.api.put(stored))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("secret", "keys", "reason", "expected"),
    [
        ("credential-keys", {"_0": "garbage", "_1": KEY}, "CredentialsInvalid", "no key under 0."),
        ("fernet-keys", {"_0": "x", "_1": "not-a-key"}, "CredentialsInvalid", "no key under 0, 1."),
        ("credential-keys", {"_0": KEY, "_1": OTHER}, "CredentialsMissing", "none of the keys"),
    ],
)
async def test_a_repository_that_no_rotation_leaves_is_reported(
    settled: World, secret: str, keys: dict[str, str], reason: str, expected: str
) -> None:
    name = f"demo-keystone-{secret}"
    before = settled.secret(name)
    ring(settled, name, **keys)
    for _ in range(2):  # what it holds is not noted meanwhile
        await settled.reconcile()
        condition = settled.condition("Ready")
        assert condition["reason"] == reason
        assert name in condition["message"]
        assert expected in condition["message"]
    ring(settled, name, **before)
    await settled.reconcile()
    assert settled.condition("Ready")["status"] == "True"


async def test_a_repository_that_is_rotated_is_followed(world: World) -> None:
    world.declare()
    await world.settle()
    name = "demo-keystone-fernet-keys"
    first = world.secret(name)
    for keys in ({"_1": first["1"], "_2": first["0"], "_0": KEY}, {"_2": KEY, "_0": OTHER + "\n"}):
        ring(world, name, **keys)
        await world.reconcile()
        assert world.condition("Ready")["status"] == "True"
    assert world.secret(name) == {"2": KEY, "0": OTHER + "\n"}


async def test_a_repository_whose_keys_are_given_up_is_taken_as_it_is(world: World) -> None:
    world.declare()
    await world.settle()
    name = "demo-keystone-fernet-keys"
    ring(world, name, _0=KEY, _1=OTHER)
    lose(world, name, noted=False)
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"


async def test_a_users_repository_that_changes_after_it_was_taken_is_named(world: World) -> None:
    bring(world, "keys", **{"fernet-keys.0": KEY, "fernet-keys.1": OTHER})
    world.declare(credentials={"keystone": "keys"})
    await world.settle()
    # What they supplied differs from what was rotated since, and that is nobody's edit.
    third = base64.urlsafe_b64encode(b"3" * 32).decode()
    ring(world, "demo-keystone-fernet-keys", _1=OTHER, _2=KEY, _0=third)
    await world.reconcile()
    ring(world, "demo-keystone-fernet-keys", _3=third, _0=KEY.replace("A", "B", 1))
    await world.reconcile()
    assert world.condition("Ready")["status"] == "True"
    before = world.secret("demo-keystone-fernet-keys")
    fourth = base64.urlsafe_b64encode(b"4" * 32).decode()
    bring(world, "keys", **{"fernet-keys.0": KEY, "fernet-keys.1": fourth})
    for _ in range(2):
        await world.reconcile()
        ready = world.condition("Ready")
        assert ready["reason"] == "CredentialsChanged"
        assert "Secret keys, key fernet-keys.1, was changed" in ready["message"]
        assert "demo-keystone-fernet-keys" in ready["message"]
        assert "fernet-keys.0" not in ready["message"]
    assert world.secret("demo-keystone-fernet-keys") == before
    # What was supplied first is nobody's edit, nor is what the repository holds now.
    for first, second in ((KEY, OTHER), (before["0"], before["3"])):
        bring(world, "keys", **{"fernet-keys.0": first, "fernet-keys.1": second})
        await world.reconcile()
        assert world.condition("Ready")["status"] == "True"


async def test_a_value_that_is_new_in_this_version_is_drawn(world: World) -> None:
    world.declare()
    await world.settle()
    name = "demo-nova-credentials"
    before = world.secret(name)
    for secret in (name, "demo-nova-credentials-in-use"):
        stored = copy.deepcopy(world.api.get("secrets", "ns", secret))
        assert stored is not None
        note = read_note(stored["metadata"]["annotations"][ANNOTATION_KEYS])
        names = note.names - {"metadata-secret"}
        digests = {name: note.digests[name] for name in names}
        stored["metadata"]["annotations"][ANNOTATION_KEYS] = write_note(names, digests)
        del stored["data"]["metadata-secret"]
        world.cluster.cache.upsert(world.api.put(stored))
    world.context = replace(world.context, parts=Parts())  # the version is another process
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    after = world.secret(name)
    assert after.pop("metadata-secret") != before.pop("metadata-secret")
    assert after == before


async def test_a_lost_value_can_be_supplied(world: World) -> None:
    world.declare()
    await world.settle()
    name = "demo-rabbitmq-credentials"
    before = world.secret(name)
    lose(world, name, "erlang-cookie")
    await world.reconcile()
    assert world.condition("Ready")["reason"] == "CredentialsMissing"
    bring(world, erlang_cookie=before["erlang-cookie"])
    world.declare(credentials={"rabbitmq": "mine"})
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert world.secret(name) == before


async def test_the_administrators_password_and_keystones_keys_are_supplied(world: World) -> None:
    bring(world, "boss", password="chosen-by-a-person")
    ring = {"fernet-keys.0": KEY, "fernet-keys.1": KEY}
    bring(world, "keys", **ring)
    world.declare(credentials={"admin": "boss", "keystone": "keys"})
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    assert world.secret("demo-admin")["password"] == "chosen-by-a-person"
    assert "chosen-by-a-person" in world.secret("demo-admin")["clouds.yaml"]
    assert world.secret("demo-keystone-fernet-keys") == {"0": KEY, "1": KEY}
    assert world.secret("demo-keystone-credential-keys").keys() == {"0", "1"}


async def test_an_object_store_without_keys_starts_no_glance_and_says_so(world: World) -> None:
    world.declare(config=S3)
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "CredentialsMissing"
    assert "spec.credentials.glance" in condition["message"]
    await world.settle()
    assert "rabbitmq" in world.roles()
    assert "glance" not in world.roles()


async def test_keys_of_an_object_store_follow_the_users_secret(world: World) -> None:
    bring(world, s3_access_key="AKIA", s3_secret_key="first/key=")
    world.declare(config=S3, credentials={"glance": "mine"})
    await world.settle()
    assert world.condition("Ready")["status"] == "True"
    made = world.secret("demo-glance-credentials")
    assert (made["s3-access-key"], made["s3-secret-key"]) == ("AKIA", "first/key=")
    bring(world, s3_access_key="AKIA", s3_secret_key="second/key=")
    await world.reconcile()
    after = world.secret("demo-glance-credentials")
    assert after == made | {"s3-secret-key": "second/key="}


def annotations(world: World, role: str) -> dict[str, str]:
    found = world.api.get("statefulsets", "ns", f"demo-{role}")
    assert found is not None
    return dict(found["spec"]["template"]["metadata"]["annotations"])


async def test_keys_of_an_object_store_that_change_replace_the_pods_that_read_them(
    world: World,
) -> None:
    bring(world, s3_access_key="AKIA", s3_secret_key="first/key=")
    world.declare(config=S3, credentials={"glance": "mine"})
    await world.settle()
    before, other = annotations(world, "glance"), annotations(world, "nova-conductor")
    assert ANNOTATION_EXTERNAL_KEYS not in other
    # Of equal keys another cloud has another digest: nobody can try guesses.
    drawn = world.secret("demo-glance-credentials")["digest-key"]
    data = {"s3-access-key": "AKIA", "s3-secret-key": "first/key=", "digest-key": drawn}
    made = before[ANNOTATION_EXTERNAL_KEYS]
    assert made == external_digest(glance.SERVICE, data)
    assert made != external_digest(glance.SERVICE, data | {"digest-key": "another"})
    bring(world, s3_access_key="AKIA", s3_secret_key="second/key=")
    await world.reconcile()
    assert annotations(world, "glance")[ANNOTATION_EXTERNAL_KEYS] != made
    assert annotations(world, "nova-conductor") == other


async def test_pods_stay_while_what_they_read_is_not_known(world: World) -> None:
    bring(world, s3_access_key="AKIA", s3_secret_key="first/key=")
    world.declare(config=S3, credentials={"glance": "mine"})
    await world.settle()
    before = annotations(world, "glance")
    lose(world, "demo-glance-credentials", "database-password")
    world.context = replace(world.context, parts=Parts())  # as an operator that just started
    database = DatabaseState(writer="demo-mariadb-0")
    world.context.publish(world.resource, clouds.DATABASE, database)
    await world.reconcile()
    assert world.condition("Ready")["reason"] == "CredentialsMissing"
    assert annotations(world, "glance") == before
    kept = {(c["kind"], c["name"]) for c in world.resource["status"]["children"]}
    assert ("StatefulSet", "demo-glance") in kept


async def test_pods_that_read_nobody_elses_keys_have_no_digest(world: World) -> None:
    world.declare()
    await world.settle()
    assert ANNOTATION_EXTERNAL_KEYS not in annotations(world, "glance")


async def test_an_object_store_of_another_name_is_refused(world: World) -> None:
    world.declare(config={"glance": {"DEFAULT": {"enabled_backends": "store:s3"}}})
    await world.reconcile()
    condition = world.condition("Ready")
    assert condition["reason"] == "SpecInvalid"
    assert "s3:s3" in condition["message"]

from typing import Any

import pytest

from stackroles.openstack.access import CloudAccess, Credentials
from stackroles.openstack.catalogue import Entry, Wanted, ensure_catalogue, wanted
from stackroles.roles import registry
from tests.support.clouds import cloud as declared_cloud
from tests.support.fake_openstack import FakeCloud

WANTED = Wanted(
    region="RegionOne",
    entries=(
        Entry(type="compute", name="nova", url="http://nova:8774/v2.1"),
        Entry(type="image", name="glance", url="http://glance:9292"),
    ),
    passwords={"nova": "n0va", "glance": "g1ance"},
)


async def ensure(access: CloudAccess, want: Wanted = WANTED) -> tuple[str, ...]:
    return await access.call("ensuring the catalogue", ensure_catalogue, want, access.credentials)


def endpoints(cloud: FakeCloud, service: str) -> dict[str, str]:
    wanted_id = cloud.named("services", service)["id"]
    found = [e for e in cloud.identity["endpoints"].values() if e["service_id"] == wanted_id]
    assert len({e["interface"] for e in found}) == len(found)
    return {e["interface"]: e["url"] for e in found}


async def test_empty_keystone_gets_everything(cloud: FakeCloud, access: CloudAccess) -> None:
    changes = await ensure(access)
    assert "created project service" in changes
    url = "http://nova:8774/v2.1"
    assert endpoints(cloud, "nova") == {"public": url, "internal": url, "admin": url}
    user = cloud.named("users", "nova")
    project = cloud.named("projects", "service")
    held = {role for u, p, role in cloud.assignments if (u, p) == (user["id"], project["id"])}
    assert held == {cloud.named("roles", name)["id"] for name in ("admin", "service")}
    assert user["password"] == "n0va"


async def test_repeated_it_changes_nothing(cloud: FakeCloud, access: CloudAccess) -> None:
    await ensure(access)
    before = cloud.writes()
    assert await ensure(access) == ()
    assert cloud.writes() == before


def drift_password(cloud: FakeCloud) -> None:
    cloud.named("users", "nova")["password"] = "other"


def drift_disabled(cloud: FakeCloud) -> None:
    cloud.named("users", "glance")["enabled"] = False


def drift_role(cloud: FakeCloud) -> None:
    user = cloud.named("users", "nova")["id"]
    role = cloud.named("roles", "service")["id"]
    cloud.assignments = {a for a in cloud.assignments if (a[0], a[2]) != (user, role)}


def drift_url(cloud: FakeCloud) -> None:
    nova = cloud.named("services", "nova")["id"]
    for endpoint in cloud.identity["endpoints"].values():
        if (endpoint["service_id"], endpoint["interface"]) == (nova, "internal"):
            endpoint["url"] = "http://elsewhere"


def drift_second(cloud: FakeCloud) -> None:
    nova = cloud.named("services", "nova")["id"]
    cloud.add(
        "endpoints",
        service_id=nova,
        interface="internal",
        url="http://elsewhere",
        region_id="RegionOne",
    )


def drift_name(cloud: FakeCloud) -> None:
    cloud.named("services", "glance")["name"] = "pictures"


def drift_missing(cloud: FakeCloud) -> None:
    glance = cloud.named("services", "glance")["id"]
    del cloud.identity["services"][glance]
    stored = cloud.identity["endpoints"]
    cloud.identity["endpoints"] = {k: e for k, e in stored.items() if e["service_id"] != glance}


@pytest.mark.parametrize(
    ("drift", "expected"),
    [
        (drift_password, ("set the password of user nova",)),
        (drift_disabled, ("enabled user glance",)),
        (drift_role, ("gave user nova the role service",)),
        (drift_url, ("restored the internal endpoint of nova",)),
        (drift_second, ("removed a second internal endpoint of nova",)),
        (drift_name, ("restored service glance",)),
        (
            drift_missing,
            (
                "created service glance",
                "created the public endpoint of glance",
                "created the internal endpoint of glance",
                "created the admin endpoint of glance",
            ),
        ),
    ],
)
async def test_drift_is_repaired_and_named(
    cloud: FakeCloud, access: CloudAccess, drift: Any, expected: tuple[str, ...]
) -> None:
    await ensure(access)
    drift(cloud)
    assert await ensure(access) == expected
    assert await ensure(access) == ()


async def test_what_others_added_is_left_alone(cloud: FakeCloud, access: CloudAccess) -> None:
    other = cloud.add("services", type="dns", name="designate")
    elsewhere = cloud.add(
        "endpoints",
        service_id=other["id"],
        interface="public",
        url="http://dns",
        region_id="RegionOne",
    )
    await ensure(access)
    assert cloud.identity["services"][other["id"]] == other
    assert cloud.identity["endpoints"][elsewhere["id"]] == elsewhere


async def test_endpoints_of_another_region_are_not_touched(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    await ensure(access)
    nova = cloud.named("services", "nova")["id"]
    other = cloud.add(
        "endpoints",
        service_id=nova,
        interface="public",
        url="http://two",
        region_id="RegionTwo",
    )
    assert await ensure(access) == ()
    assert other["id"] in cloud.identity["endpoints"]


def test_every_service_of_a_cloud_is_wanted() -> None:
    passwords = {s.name: "password" for s in registry.SERVICES if s.identity}
    want = wanted(declared_cloud(), registry.SERVICES, passwords)
    urls = {entry.type: entry.url for entry in want.entries}
    assert urls == {
        "identity": "http://demo-keystone.ns.svc:5000/v3",
        "image": "http://demo-glance.ns.svc:9292",
        "placement": "http://demo-placement.ns.svc:8778",
        "compute": "http://demo-nova-api.ns.svc:8774/v2.1",
        "network": "http://demo-neutron-api.ns.svc:9696",
    }
    assert set(want.passwords) == {"glance", "placement", "nova", "neutron"}
    assert "password" not in repr(want).replace("passwords", "")


async def test_administrator_needs_no_endpoint_but_the_internal_one(
    access: CloudAccess, administrator: Credentials
) -> None:
    # The fake's catalogue has internal endpoints only: a public one may not resolve in the cluster.
    assert administrator.auth_url.startswith("http://127.0.0.1")
    await ensure(access)

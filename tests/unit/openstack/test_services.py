import pytest

from stackroles.errors import CloudError
from stackroles.openstack.access import CloudAccess
from stackroles.openstack.aggregates import keep_zone
from stackroles.openstack.servers import list_guests
from stackroles.openstack.services import (
    Capacity,
    delete_service,
    list_hypervisors,
    list_services,
    read_capacity,
    set_enabled,
)
from tests.support.fake_openstack import FakeCloud, compute_service, server


async def test_services_are_read_by_binary(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.compute_services = [
        compute_service("n1", state="down", status="disabled", disabled_reason="drained"),
        compute_service("pod-0", binary="nova-conductor"),
    ]
    [found] = await access.call("listing", list_services, "nova-compute")
    assert (found.host, found.up, found.enabled, found.reason) == ("n1", False, False, "drained")
    assert len(await access.call("listing", list_services)) == 2


async def test_service_is_disabled_with_its_reason_and_enabled(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1")]
    await access.call("disabling", set_enabled, "service-n1", False, "maintenance")
    assert cloud.compute_services[0]["disabled_reason"] == "maintenance"
    await access.call("enabling", set_enabled, "service-n1", True)
    assert cloud.compute_services[0]["status"] == "enabled"


async def test_unknown_service_is_an_error_of_the_cloud(access: CloudAccess) -> None:
    with pytest.raises(CloudError, match="Service not found"):
        await access.call("enabling", set_enabled, "service-none", True)


async def test_service_with_guests_is_not_deleted(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.compute_services = [compute_service("n1")]
    cloud.servers = [server("a", "n1")]
    with pytest.raises(CloudError, match="hosting instances"):
        await access.call("deleting", delete_service, "service-n1")
    cloud.servers = []
    await access.call("deleting", delete_service, "service-n1")
    assert not cloud.compute_services
    await access.call("deleting", delete_service, "service-n1")


async def test_zone_gets_its_aggregate_and_hosts_once(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1"), compute_service("n2")]
    changes = await access.call("zoning", keep_zone, "az1", ["n1", "n2"])
    assert changes == (
        "created aggregate az1",
        "added host n1 to zone az1",
        "added host n2 to zone az1",
    )
    assert await access.call("zoning", keep_zone, "az1", ["n1"]) == ()
    assert cloud.aggregates[0]["hosts"] == ["n1", "n2"]


async def test_host_leaves_its_zone(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.compute_services = [compute_service("n1")]
    await access.call("zoning", keep_zone, "az1", ["n1"])
    left = await access.call("zoning", keep_zone, None, ["n1"])
    assert left == ("removed host n1 from zone az1",)
    assert await access.call("zoning", keep_zone, None, ["n1"]) == ()


async def test_host_goes_from_one_zone_to_another(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.compute_services = [compute_service("n1")]
    await access.call("zoning", keep_zone, "az1", ["n1"])
    await access.call("zoning", keep_zone, "az2", ["n1"])
    assert [(a["name"], a["hosts"]) for a in cloud.aggregates] == [("az1", []), ("az2", ["n1"])]


async def test_aggregates_that_are_no_zones_keep_their_hosts(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1")]
    fast = {"id": 7, "name": "fast", "availability_zone": None, "hosts": ["n1"], "metadata": {}}
    cloud.aggregates = [fast]
    await access.call("zoning", keep_zone, "az1", ["n1"])
    await access.call("zoning", keep_zone, None, ["n1"])
    assert fast["hosts"] == ["n1"]


async def test_host_with_guests_holds_up_no_other(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.compute_services = [compute_service("n1"), compute_service("n2")]
    await access.call("zoning", keep_zone, "az1", ["n1", "n2"])
    cloud.servers = [server("a", "n1")]
    with pytest.raises(CloudError, match=r"n1 stays in zone az1 while it has guests \(1\)"):
        await access.call("zoning", keep_zone, "az2", ["n1", "n2"])
    assert [(a["name"], a["hosts"]) for a in cloud.aggregates] == [("az1", ["n1"]), ("az2", ["n2"])]


async def test_zone_without_hosts_is_not_made(cloud: FakeCloud, access: CloudAccess) -> None:
    assert await access.call("zoning", keep_zone, "az1", []) == ()
    assert not cloud.aggregates


async def test_aggregate_of_another_zone_is_not_taken(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1")]
    await access.call("zoning", keep_zone, "az1", ["n1"])
    cloud.aggregates[0]["availability_zone"] = "other"
    cloud.aggregates[0]["metadata"] = {"availability_zone": "other"}
    with pytest.raises(CloudError, match="belongs to the availability zone other"):
        await access.call("zoning", keep_zone, "az1", ["n1"])


async def test_host_with_guests_stays_where_it_is(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.compute_services = [compute_service("n1")]
    cloud.servers = [server("a", "n1")]
    with pytest.raises(CloudError, match="has instances"):
        await access.call("zoning", keep_zone, "az1", ["n1"])


async def test_capacity_is_what_placement_counts(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.hypervisors = [
        {
            "id": "provider",
            "hypervisor_hostname": "n1.example",
            "hypervisor_type": "QEMU",
            "state": "up",
            "status": "enabled",
            "service": {"host": "n1", "id": "service-n1"},
        }
    ]
    cloud.providers["provider"] = {
        "inventories": {"VCPU": {"total": 8}, "MEMORY_MB": {"total": 4096}},
        "usages": {"VCPU": 2, "MEMORY_MB": 512},
    }
    [found] = await access.call("listing", list_hypervisors)
    assert (found.host, found.type, found.up) == ("n1", "QEMU", True)
    capacity = await access.call("reading", read_capacity, found.id)
    assert capacity == Capacity(vcpus=8, memory_mib=4096)
    assert await access.call("reading", read_capacity, "unknown") == Capacity()


async def test_guests_of_a_host(cloud: FakeCloud, access: CloudAccess) -> None:
    cloud.servers = [server("a", "n1"), server("b", "n2")]
    [found] = await access.call("listing", list_guests, "n2")
    assert (found.name, found.host, found.task) == ("b", "n2", "")
    assert len(await access.call("listing", list_guests)) == 2

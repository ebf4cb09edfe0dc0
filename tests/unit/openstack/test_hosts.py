import asyncio

import pytest

from stackroles.openstack.access import CloudAccess, Credentials
from stackroles.openstack.hosts import (
    Occupancy,
    disable_hosts,
    disable_leaving_hosts,
    enable_hosts,
    select_hosts,
)
from tests.support.fake_openstack import FakeCloud, compute_service, migration, server

REASON = "leaves ComputePool ns/pool"


def hypervisor(host: str) -> dict[str, object]:
    return {
        "id": f"provider-{host}",
        "hypervisor_hostname": host,
        "hypervisor_type": "QEMU",
        "state": "up",
        "status": "enabled",
        "service": {"host": host, "id": f"service-{host}"},
    }


async def test_hosts_are_read_with_capacity_and_guests(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1"), compute_service("n2", state="down")]
    cloud.hypervisors = [hypervisor("n1")]
    cloud.providers["provider-n1"] = {
        "inventories": {"VCPU": {"total": 8}, "MEMORY_MB": {"total": 4096}},
        "usages": {},
    }
    cloud.servers = [server("a", "n1"), server("b", "n1")]
    one, two = select_hosts(await access.read_hosts(0.0), ("n1", "n2", "unknown"), REASON)
    assert (one.name, one.vcpus, one.memory_mib, one.guests) == ("n1", 8, 4096, 2)
    assert (two.name, two.up, two.vcpus, two.guests) == ("n2", False, 0, 0)


async def test_hosts_that_a_pool_closed_are_read_though_nothing_else_names_them(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [
        compute_service("n1", status="disabled", disabled_reason=REASON),
        compute_service("n2", status="disabled", disabled_reason="disk check"),
    ]
    found = select_hosts(await access.read_hosts(0.0), (), REASON)
    assert [host.name for host in found] == ["n1"]


async def test_nothing_more_is_asked_before_a_host_reports(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    assert await access.read_hosts(0.0) == ()
    assert not any("hypervisors" in path for _, path in cloud.requests)


def requests(cloud: FakeCloud, part: str) -> int:
    return sum(part in path for _, path in cloud.requests)


async def test_the_pools_of_a_cloud_share_what_one_has_read(
    cloud: FakeCloud, administrator: Credentials
) -> None:
    now = [0.0]
    access = CloudAccess(administrator, lambda: 10.0, clock=lambda: now[0])
    cloud.compute_services = [compute_service("n1"), compute_service("n2")]
    first, second = await asyncio.gather(access.read_hosts(10.0), access.read_hosts(10.0))
    assert first == second
    assert requests(cloud, "servers/detail") == 1
    now[0] = 11.0
    await access.read_hosts(10.0)
    assert requests(cloud, "servers/detail") == 2


async def test_what_was_read_before_a_change_is_not_believed(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1")]
    await access.read_hosts(60.0)
    await access.call("disabling", disable_hosts, {"n1": "builds fail here: x"})
    [host] = await access.read_hosts(60.0)
    assert (host.enabled, host.reason) == (False, "builds fail here: x")


async def test_a_read_of_a_large_fleet_asks_for_few_inventories(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    names = [f"n{number}" for number in range(40)]
    cloud.compute_services = [compute_service(name) for name in names]
    cloud.hypervisors = [hypervisor(name) for name in names]
    for name in names:
        cloud.providers[f"provider-{name}"] = {
            "inventories": {"VCPU": {"total": 8}, "MEMORY_MB": {"total": 4096}},
            "usages": {},
        }
    assert all(host.vcpus == 8 for host in await access.read_hosts(0.0))
    before = requests(cloud, "inventories")
    for _ in range(4):
        cloud.providers["provider-n39"]["inventories"]["VCPU"]["total"] = 16
        hosts = await access.read_hosts(0.0)
    assert requests(cloud, "inventories") - before == 40, "ten a time, each in its turn"
    assert {host.name: host.vcpus for host in hosts}["n39"] == 16


async def test_closing_disables_only_open_hosts_and_counts_their_guests(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [
        compute_service("n1"),
        compute_service("n2", status="disabled", disabled_reason="disk check"),
        compute_service("n3"),
    ]
    cloud.servers = [server("a", "n1"), server("b", "n3")]
    found = await access.call("closing", disable_leaving_hosts, ("n1", "n2"), REASON)
    assert found == {"n1": Occupancy(guests=1), "n2": Occupancy()}
    assert [occupancy.empty for occupancy in found.values()] == [False, True]
    reasons = {s["host"]: s.get("disabled_reason") for s in cloud.compute_services}
    assert reasons["n1"] == REASON
    assert reasons["n2"] == "disk check"
    assert not reasons["n3"]


@pytest.mark.parametrize(
    ("status", "moves"),
    [("running", 1), ("finished", 1), ("accepted", 1), ("confirmed", 0), ("error", 0)],
)
async def test_a_move_that_has_not_ended_needs_both_its_hosts(
    cloud: FakeCloud, access: CloudAccess, status: str, moves: int
) -> None:
    cloud.compute_services = [compute_service("n1"), compute_service("n2")]
    cloud.migrations = [migration("n1", "n2", status)]
    found = await access.call("closing", disable_leaving_hosts, ("n1", "n2"), REASON)
    assert found == {name: Occupancy(migrations=moves) for name in ("n1", "n2")}


async def test_a_build_that_nova_has_not_handed_over_yet_is_seen_in_placement(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1")]
    cloud.hypervisors = [hypervisor("n1")]
    cloud.servers = [server("a", "n1")]
    cloud.providers["provider-n1"] = {"allocations": {"server-a": {}, "server-b": {}}}
    found = await access.call("closing", disable_leaving_hosts, ("n1",), REASON)
    assert found["n1"] == Occupancy(guests=1, claims=("server-b",))
    assert found["n1"].description == "1 guest, 1 claim in placement, of server-b"


async def test_what_evacuated_guests_left_in_placement_does_not_hold_a_dead_host(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [compute_service("n1", state="down")]
    cloud.hypervisors = [hypervisor("n1")]
    cloud.providers["provider-n1"] = {"allocations": {"server-moved": {}}}
    found = await access.call("closing", disable_leaving_hosts, ("n1",), REASON)
    assert found["n1"].empty


async def test_opening_takes_back_only_the_pools_own_word(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [
        compute_service("n1", status="disabled", disabled_reason=REASON),
        compute_service("n2", status="disabled", disabled_reason="disk check"),
    ]
    assert await access.call("opening", enable_hosts, ("n1", "n2"), "leaves ") == ("n1",)
    assert {s["host"]: s["status"] for s in cloud.compute_services} == {
        "n1": "enabled",
        "n2": "disabled",
    }

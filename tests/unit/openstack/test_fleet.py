from stackroles.openstack.access import CloudAccess
from stackroles.openstack.fleet import close_hosts, open_hosts, read_hosts
from tests.support.fake_openstack import FakeCloud, compute_service, server

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
    one, two = await access.call("reading", read_hosts, ("n1", "n2", "unknown"))
    assert (one.name, one.vcpus, one.memory_mib, one.guests) == ("n1", 8, 4096, 2)
    assert (two.name, two.up, two.vcpus, two.guests) == ("n2", False, 0, 0)


async def test_nothing_more_is_asked_before_a_host_reports(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    assert await access.call("reading", read_hosts, ("n1",)) == ()
    assert not any("hypervisors" in path for _, path in cloud.requests)


async def test_closing_disables_only_open_hosts_and_counts_their_guests(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [
        compute_service("n1"),
        compute_service("n2", status="disabled", disabled_reason="disk check"),
        compute_service("n3"),
    ]
    cloud.servers = [server("a", "n1"), server("b", "n3")]
    assert await access.call("closing", close_hosts, ("n1", "n2"), REASON) == {"n1": 1}
    reasons = {s["host"]: s.get("disabled_reason") for s in cloud.compute_services}
    assert reasons["n1"] == REASON
    assert reasons["n2"] == "disk check"
    assert not reasons["n3"]


async def test_opening_takes_back_only_the_pools_own_word(
    cloud: FakeCloud, access: CloudAccess
) -> None:
    cloud.compute_services = [
        compute_service("n1", status="disabled", disabled_reason=REASON),
        compute_service("n2", status="disabled", disabled_reason="disk check"),
    ]
    assert await access.call("opening", open_hosts, ("n1", "n2"), REASON) == ("n1",)
    assert {s["host"]: s["status"] for s in cloud.compute_services} == {
        "n1": "enabled",
        "n2": "disabled",
    }

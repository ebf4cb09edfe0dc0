"""nova's services and hypervisors: what compute nodes are to the scheduler."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openstack.connection import Connection

COMPUTE = "nova-compute"
# Ids are UUIDs and services can be forced down since 2.53.
MICROVERSION = "2.53"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service record.

    Attributes:
        id: UUID.
        binary: nova-compute, nova-conductor or nova-scheduler.
        host: the service's host; the Kubernetes node of a nova-compute, the pod of the others.
        zone: availability zone.
        up: whether it reported lately and is not forced down.
        enabled: whether the scheduler may choose it.
        reason: why it is disabled.
        forced_down: whether somebody declared it dead.
    """

    id: str
    binary: str
    host: str
    zone: str
    up: bool
    enabled: bool
    reason: str
    forced_down: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What a hypervisor has, as placement counts it."""

    vcpus: int = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hypervisor:
    """One hypervisor; its identity is its resource provider's in placement."""

    id: str
    name: str
    host: str
    type: str
    up: bool


def list_services(connection: "Connection", binary: str | None = None) -> tuple[Service, ...]:
    """Return nova's services, or those of one binary; API servers are not among them."""
    query = {"binary": binary} if binary else {}
    return tuple(
        Service(
            id=str(found.id),
            binary=found.binary,
            host=found.host,
            zone=found.availability_zone or "",
            up=found.state == "up",
            enabled=found.status == "enabled",
            reason=found.disabled_reason or "",
            forced_down=bool(found.is_forced_down),
        )
        for found in connection.compute.services(**query)
    )


def set_enabled(connection: "Connection", service: str, enabled: bool, reason: str = "") -> None:
    """Let the scheduler choose a service's host, or not.

    Args:
        connection: the administrator's.
        service: UUID of the service.
        enabled: what it shall be.
        reason: why it is disabled; required by nova then.
    """
    body = {"status": "enabled"} if enabled else {"status": "disabled", "disabled_reason": reason}
    _put(connection, service, body)


def delete_service(connection: "Connection", service: str) -> None:
    """Delete a service that does not run any more, its host mapping and resource provider with it.

    nova refuses while the host has guests or migrations.
    """
    connection.compute.delete_service(service, ignore_missing=True)


def _put(connection: "Connection", service: str, body: Mapping[str, str | bool]) -> None:
    from openstack.exceptions import raise_from_response  # noqa: PLC0415 - see access

    raise_from_response(
        connection.compute.put(f"/os-services/{service}", json=body, microversion=MICROVERSION)
    )


def list_hypervisors(connection: "Connection") -> tuple[Hypervisor, ...]:
    """Return all hypervisors.

    Under newer microversions (2.88 and on) nova asks each host for its uptime, and one that has
    just stopped makes the whole answer time out.
    """
    from openstack.exceptions import raise_from_response  # noqa: PLC0415 - see access

    response = connection.compute.get("/os-hypervisors/detail", microversion=MICROVERSION)
    raise_from_response(response)
    return tuple(
        Hypervisor(
            id=str(found["id"]),
            name=found["hypervisor_hostname"],
            host=(found.get("service") or {}).get("host", ""),
            type=found.get("hypervisor_type") or "",
            up=found.get("state") == "up",
        )
        for found in response.json()["hypervisors"]
    )


def read_capacity(connection: "Connection", hypervisor: str) -> Capacity:
    """Return what a hypervisor has, zeroes for one that placement does not know (yet)."""
    from openstack.exceptions import raise_from_response  # noqa: PLC0415 - see access

    response = connection.placement.get(f"/resource_providers/{hypervisor}/inventories")
    if response.status_code == 404:
        return Capacity()
    raise_from_response(response)
    inventories = response.json()["inventories"]
    return Capacity(vcpus=_total(inventories, "VCPU"), memory_mib=_total(inventories, "MEMORY_MB"))


def read_claims(connection: "Connection", hypervisor: str) -> frozenset[str]:
    """Return who has resources of a hypervisor: ids of servers, built or not, and of migrations."""
    from openstack.exceptions import raise_from_response  # noqa: PLC0415 - see access

    response = connection.placement.get(f"/resource_providers/{hypervisor}/allocations")
    if response.status_code == 404:
        return frozenset()
    raise_from_response(response)
    return frozenset(response.json()["allocations"])


def _total(inventories: Mapping[str, object], resource: str) -> int:
    inventory = inventories.get(resource)
    return int(inventory["total"]) if isinstance(inventory, dict) else 0

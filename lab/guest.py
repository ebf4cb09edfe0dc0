"""The test guest: image, networks and server, made through the APIs; every step is repeatable."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.errors import LabError
from lab.kubectl import Notify, discard
from lab.outside import ping

if TYPE_CHECKING:
    from openstack.connection import Connection

NAME = "guest"
PHYSICAL_NETWORK = "physnet1"
"""ComputePool's default for spec.network.physicalNetwork."""
TENANT_CIDR = "192.168.77.0/24"
MEMORY_MIB = 128
COMMAND_LINE = "console=ttyS0 no_timer_check"
ACTIVE_SECONDS = 300.0
CONSOLE_SECONDS = 180.0
PING_SECONDS = 60.0
PERIOD = 1.0
FIELDS = re.compile(r"^GUEST ([a-z-]+)=(.*?)\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Guest:
    """A server and where it answers.

    Attributes:
        id: The server's UUID.
        host: The compute host it runs on.
        address: Its address in its own network.
        floating: Its address outside.
        launched: When nova saw it run, None where nova does not say.
    """

    id: str
    host: str
    address: str
    floating: str
    launched: datetime | None = None


def ensure_image(connection: Connection, files: Path) -> str:
    """Return the id of the guest's image, uploaded unless it is there.

    The disk is an empty one on which the guest counts its boots; kernel and initramfs are images
    of their own, named by the disk's properties.

    Args:
        connection: The administrator's.
        files: Folder with vmlinuz, initrd and disk.raw.
    """
    kernel = _upload(connection, f"{NAME}-kernel", files / "vmlinuz", "aki")
    ramdisk = _upload(connection, f"{NAME}-ramdisk", files / "initrd", "ari")
    boot = {"kernel_id": kernel, "ramdisk_id": ramdisk, "os_command_line": COMMAND_LINE}
    return _upload(connection, NAME, files / "disk.raw", "raw", **boot)


def _upload(connection: Connection, name: str, file: Path, form: str, **boot: Any) -> str:
    container = form if form in ("aki", "ari") else "bare"
    for found in connection.image.images(name=name):
        same = found.size == file.stat().st_size
        named = all((found.properties or {}).get(key, getattr(found, key, None)) == value
                    for key, value in boot.items())  # fmt: skip
        if found.status == "active" and same and named:
            return str(found.id)
        connection.image.delete_image(found.id)
    # The SDK opens a file that it is given by name and never closes it.
    made = connection.image.create_image(
        name=name, data=file.read_bytes(), disk_format=form, container_format=container,
        visibility="public", wait=True, timeout=120, validate_checksum=False, **boot,
    )  # fmt: skip
    return str(made.id)


def ensure_flavor(connection: Connection, name: str = NAME) -> str:
    """Return the id of the guest's flavor."""
    found = connection.compute.find_flavor(name) or connection.compute.create_flavor(
        name=name, ram=MEMORY_MIB, vcpus=1, disk=1
    )
    return str(found.id)


def ensure_networks(connection: Connection, prefix: str) -> tuple[str, str]:
    """Return the ids of the outer and the inner network, joined by a router.

    Args:
        connection: The administrator's.
        prefix: First three numbers of the underlay's /24, whose .1 is the machine outside.
    """
    network = connection.network
    outer = _find(network.networks(name="outside")) or network.create_network(
        name="outside", is_router_external=True, provider_network_type="flat",
        provider_physical_network=PHYSICAL_NETWORK,
    )  # fmt: skip
    outer_subnet = _find(network.subnets(network_id=outer.id)) or network.create_subnet(
        network_id=outer.id, name="outside", ip_version=4, cidr=f"{prefix}.0/24",
        gateway_ip=f"{prefix}.1", is_dhcp_enabled=False,
        allocation_pools=[{"start": f"{prefix}.100", "end": f"{prefix}.199"}],
    )  # fmt: skip
    inner = _find(network.networks(name="inside")) or network.create_network(name="inside")
    inner_subnet = _find(network.subnets(network_id=inner.id)) or network.create_subnet(
        network_id=inner.id, name="inside", ip_version=4, cidr=TENANT_CIDR
    )
    router = _find(network.routers(name="router")) or network.create_router(
        name="router",
        external_gateway_info={
            "network_id": outer.id, "external_fixed_ips": [{"subnet_id": outer_subnet.id}],
        },
    )  # fmt: skip
    if not any(port.network_id == inner.id for port in network.ports(device_id=router.id)):
        network.add_interface_to_router(router, subnet=inner_subnet.id)
    return str(outer.id), str(inner.id)


def ensure_security_group(connection: Connection) -> str:
    """Return the id of a security group that lets ping and HTTP in."""
    network = connection.network
    project = connection.current_project_id
    group = _find(
        network.security_groups(name=NAME, project_id=project)
    ) or network.create_security_group(name=NAME)
    held = {
        (rule.protocol, rule.port_range_min)
        for rule in network.security_group_rules(security_group_id=group.id, direction="ingress")
    }
    for protocol, port in (("icmp", None), ("tcp", 80)):
        if (protocol, port) not in held:
            network.create_security_group_rule(
                security_group_id=group.id, direction="ingress", ether_type="IPv4",
                protocol=protocol, port_range_min=port, port_range_max=port,
            )  # fmt: skip
    return str(group.id)


def ensure_guest(
    connection: Connection, files: Path, prefix: str, *, name: str = NAME, host: str = "",
    notify: Notify = discard,
) -> Guest:  # fmt: skip
    """Return a guest that is ACTIVE with a floating IP, all it needs made where it is missing.

    Args:
        connection: The administrator's.
        files: Folder with the guest's kernel, initramfs and disk.
        prefix: First three numbers of the underlay's /24.
        name: The server's name.
        host: The compute host it shall run on; nova's choice when left out.
        notify: Called with what is done.

    Raises:
        LabError: nova gave up on it, or it was not ACTIVE in time.
    """
    notify("image, flavor and networks")
    image, flavor = ensure_image(connection, files), ensure_flavor(connection)
    outer, inner = ensure_networks(connection, prefix)
    group = ensure_security_group(connection)
    found = _find(connection.compute.servers(name=f"^{name}$"))
    if found is not None and found.status == "ERROR":
        connection.compute.delete_server(found)
        connection.compute.wait_for_delete(found, wait=60)
        found = None
    if found is None:
        chosen: dict[str, Any] = {"host": host} if host else {}
        found = connection.compute.create_server(
            name=name, image_id=image, flavor_id=flavor, networks=[{"uuid": inner}], **chosen
        )
    server = _active(connection, found.id, notify)
    port = next(iter(connection.network.ports(device_id=server.id)))
    if group not in port.security_group_ids:
        connection.network.update_port(port, security_groups=[group])
    floating = _find(connection.network.ips(port_id=port.id)) or connection.network.create_ip(
        floating_network_id=outer, port_id=port.id
    )
    address = port.fixed_ips[0]["ip_address"]
    return Guest(
        server.id, server.compute_host or "", address, floating.floating_ip_address,
        launched=_time(server.launched_at),
    )  # fmt: skip


def _time(text: str | None) -> datetime | None:
    """Return a time that nova wrote: UTC without saying so."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC) if text else None


def _active(connection: Connection, server: str, notify: Notify) -> Any:
    """Return a server as soon as it is ACTIVE."""
    seen = ""

    def check() -> Any:
        nonlocal seen
        found = connection.compute.get_server(server)
        state = f"{found.status} {found.task_state or ''}".strip()
        if state != seen:
            seen = state
            notify(f"server is {state}")
        if found.status == "ERROR":
            fault = (found.fault or {}).get("message", "nova gave no reason")
            raise LabError(f"nova gave up on the guest: {fault}")
        return found if found.status == "ACTIVE" else None

    return _until(check, ACTIVE_SECONDS, lambda: f"the guest is not ACTIVE but {seen}")


def console(connection: Connection, guest: Guest) -> dict[str, str]:
    """Return the last fields on a guest's console: address, instance-id, uptime."""
    text = connection.compute.get_server_console_output(guest.id)["output"]
    return dict(FIELDS.findall(text.replace("\r", "")))


def wait_console(connection: Connection, guest: Guest, notify: Notify = discard) -> dict[str, str]:
    """Return the console's fields when address and instance id are the ones the APIs gave.

    Raises:
        LabError: They were not in time; the detail is what the guest printed.
    """
    from openstack.exceptions import HttpException  # noqa: PLC0415 - see apis

    console_fields: dict[str, str] = {}

    def check() -> dict[str, str]:
        try:
            console_fields.update(console(connection, guest))
        except HttpException as error:
            # nova asks the node for it; whatever is restarting on the way shows as a 5xx.
            if (error.status_code or 0) < 500:
                raise
        right = (
            console_fields.get("address") == guest.address
            and console_fields.get("instance-id") == guest.id
        )
        return console_fields if right else {}

    notify("reading the console")
    _until(
        check,
        CONSOLE_SECONDS,
        lambda: f"the guest does not know who it is; its console shows {console_fields}",
    )
    return console_fields


def wait_ping(guest: Guest, notify: Notify = discard) -> float:
    """Return the milliseconds of the first ping that the floating IP answers from outside.

    Raises:
        LabError: It did not answer in time.
    """
    notify(f"ping {guest.floating}")

    def check() -> float | None:
        return ping(guest.floating, 1, timeout=1.0)[0].milliseconds

    return float(
        _until(check, PING_SECONDS, lambda: f"{guest.floating} does not answer from this machine")
    )


def _until(check: Callable[[], Any], seconds: float, failure: Callable[[], str]) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise LabError(failure(), detail=f"waited {seconds:.0f} s")
        time.sleep(PERIOD)
    return found


def _find(found: Any) -> Any:
    return next(iter(found), None)

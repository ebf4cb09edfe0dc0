"""Ports of guests that the switch's database lost, added again.

nova adds a guest's tap to br-int when the guest starts (os-vif) and not again while it runs. When
the database of a node's Open vSwitch is lost, its guests would be cut off until each is restarted;
what their ports were, libvirt knows as long as they run.
"""

import xml.etree.ElementTree as ET
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from stackroles.agents.compute import node
from stackroles.agents.compute.node import AgentError, vsctl
from stackroles.agents.compute.underlay import INTEGRATION

STATUS = Path("/run/libvirt/qemu")
"""libvirt writes what it knows of each running guest there: `<domstatus>` around its `<domain>`."""
# nova names a guest's device "tap" and the beginning of its port (nova.network.model,
# NIC_NAME_LEN is 14).
_PREFIX = "tap"


@dataclass(frozen=True, slots=True, order=True)
class GuestPort:
    """A port of a running guest.

    Attributes:
        tap: its interface on this node.
        port: neutron's identity of it.
        mac: the address of the guest's device.
        guest: the guest's UUID.
    """

    tap: str
    port: str
    mac: str
    guest: str

    def arguments(self) -> tuple[str, ...]:
        """Return ovs-vsctl's arguments that add it as os-vif does (vif_plug_ovs, ovsdb_lib)."""
        ids = {
            "iface-id": self.port,
            "iface-status": "active",
            "attached-mac": self.mac,
            "vm-uuid": self.guest,
        }
        return (
            "--", "--may-exist", "add-port", INTEGRATION, self.tap,
            "--", "set", "interface", self.tap,
            *(f'external_ids:{key}="{value}"' for key, value in ids.items()),
        )  # fmt: skip


def parse(status: str) -> tuple[GuestPort, ...]:
    """Return the ports of a guest, of those of its devices that neutron knows.

    Args:
        status: libvirt's file of a running guest.

    Raises:
        AgentError: it is no such file.
    """
    try:
        root = ET.fromstring(status)  # noqa: S314 - libvirt's own file, which root alone may write
    except ET.ParseError as error:
        raise AgentError(f"libvirt's file of a guest cannot be read: {error}") from error
    domain = root if root.tag == "domain" else root.find("domain")
    if domain is None:
        raise AgentError("libvirt's file of a guest holds no domain")
    guest = domain.findtext("uuid", "")
    ports = [port.get("uuid", "") for port in domain.iterfind("metadata//{*}port")]
    found = []
    for interface in domain.iterfind("devices/interface"):
        tap, mac = _attribute(interface, "target", "dev"), _attribute(interface, "mac", "address")
        port = next((p for p in ports if p and tap == f"{_PREFIX}{p[:11]}"), "")
        if port and mac and guest:
            found.append(GuestPort(tap=tap, port=port, mac=mac, guest=guest))
    return tuple(found)


def read(folder: Path = STATUS) -> tuple[GuestPort, ...]:
    """Return the ports of all guests that run on this node.

    Raises:
        AgentError: a file cannot be understood.
        OSError: a file cannot be read.
    """
    found: list[GuestPort] = []
    for path in sorted(folder.glob("*.xml")):
        try:
            found += parse(path.read_text())
        except FileNotFoundError:
            continue  # the guest ended meanwhile
    return tuple(found)


def lacking(
    guests: Iterable[GuestPort], links: Collection[str], switch: Collection[str]
) -> frozenset[GuestPort]:
    """Return the ports whose tap is on this node and not in the switch; pure.

    Args:
        guests: ports of the guests that run.
        links: the node's interfaces.
        switch: interfaces in the switch's database.
    """
    return frozenset(port for port in guests if port.tap in links and port.tap not in switch)


def restore(found: Collection[GuestPort], before: Collection[GuestPort]) -> frozenset[GuestPort]:
    """Add the ports that were lacking at the last check too, and return them.

    One that has just been lacking may be nova's to add or, as it leaves, to remove.

    Raises:
        AgentError: they could not be added.
    """
    ports = sorted(port for port in found if port in before)
    if not ports:
        return frozenset()
    # ovs-vsctl takes the commands of one transaction apart by "--", also before the first.
    vsctl(*(argument for port in ports for argument in port.arguments()), wait=True)
    for port in ports:
        node.log(f"{port.tap} of guest {port.guest} was not in the switch's database and is again")
    return frozenset(ports)


def _attribute(device: ET.Element, child: str, name: str) -> str:
    found = device.find(child)
    return "" if found is None else found.get(name, "")

"""Open vSwitch on a compute node: `database`, `switch` (both become the daemon) and `network`.

`network` stays beside them and keeps the underlay (underlay.py), OVN's bridge, and guests' taps
(taps.py) and ports (guest_ports.py): at the start, whenever vswitchd was started again, and every
few seconds.
"""

import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from stackroles.agents.compute import guest_ports, node, taps, underlay
from stackroles.agents.compute.guest_ports import GuestPort
from stackroles.agents.compute.node import AgentError, vsctl
from stackroles.agents.compute.openvswitch_protocol import SwitchSettings
from stackroles.agents.ovsdb.database_file import put_aside

RUN = Path("/run/openvswitch")
SOCKET = RUN / "db.sock"
SWITCH_PID = RUN / "ovs-vswitchd.pid"
DATABASE = Path("/var/lib/openvswitch/conf.db")
SCHEMA = "/usr/share/openvswitch/vswitch.ovsschema"
LOG_OPTIONS = ("-vconsole:info", "-vsyslog:off", "-vfile:off")
# The family the kernel's datapath module registers; asking makes the kernel load the module.
DATAPATH_FAMILY = b"ovs_datapath\0"
LOOK_SECONDS = 0.3
PASS_SECONDS = 5.0


def database() -> None:
    """Become ovsdb-server on this node's own database, made or converted first."""
    RUN.mkdir(parents=True, exist_ok=True)
    prepare(DATABASE)
    arguments = (
        str(DATABASE), f"--remote=punix:{SOCKET}", f"--pidfile={RUN}/ovsdb-server.pid",
    )  # fmt: skip
    node.become("ovsdb-server", *arguments, *LOG_OPTIONS)


def prepare(path: Path) -> None:
    """Make a database that is not there or cannot be read, and convert an older one.

    What it holds can be made again (the bridges by `network`, guests' ports from libvirt), so that
    one that is broken is put aside for a person, and the node goes on.

    Raises:
        AgentError: ovsdb-tool failed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size == 0:
        path.unlink()
    if path.exists() and (broken := trouble_of(path)):
        aside = put_aside(path, datetime.now(UTC))
        node.log(f"the switch's database cannot be read and is kept as {aside.name}: {broken}")
    if not path.exists():
        node.run("ovsdb-tool", "create", str(path), SCHEMA)
    elif node.run("ovsdb-tool", "needs-conversion", str(path), SCHEMA).strip() == "yes":
        node.run("ovsdb-tool", "convert", str(path), SCHEMA)


def trouble_of(path: Path) -> str:
    """Return why a database cannot be used, empty when it can."""
    try:
        # Reads the whole file, as ovsdb-server does; other commands read its first record alone.
        node.run("ovsdb-tool", "compact", str(path))
    except AgentError as error:
        return str(error)
    return ""


def switch() -> None:
    """Become ovs-vswitchd, with the datapath this kernel has."""
    node.wait_for("ovsdb-server", lambda: node.succeeds("ovs-vsctl", "-t2", "--no-wait", "init"))
    kind = datapath_kind()
    node.log(f"datapath: {kind}")
    make_bridge(kind)
    arguments = (f"unix:{SOCKET}", f"--pidfile={SWITCH_PID}")
    node.become("ovs-vswitchd", *arguments, *LOG_OPTIONS)


def datapath_kind() -> str:
    """Return the type of the datapath that this kernel can have, "system" or "netdev"."""
    return "system" if kernel_has_datapath() else "netdev"


def make_bridge(kind: str) -> None:
    """Make OVN's bridge and note the datapath's type, for vswitchd and for ovn-controller."""
    # Without it TCP of guests hangs on a netdev datapath; read once, when vswitchd starts.
    offload = "true" if kind == "netdev" else "false"
    vsctl(
        "set", "open", ".", f"other_config:userspace-tso-enable={offload}",
        f"external_ids:ovn-bridge-datapath-type={kind}",
        "--", "--may-exist", "add-br", underlay.INTEGRATION,
        "--", "set", "bridge", underlay.INTEGRATION, f"datapath_type={kind}", "fail_mode=secure",
    )  # fmt: skip


def kernel_has_datapath() -> bool:
    """Return whether the kernel offers Open vSwitch's datapath, as generic netlink answers."""
    # nlmsghdr + genlmsghdr (CTRL_CMD_GETFAMILY) + attribute CTRL_ATTR_FAMILY_NAME
    attribute = struct.pack("=HH", 4 + len(DATAPATH_FAMILY), 2) + DATAPATH_FAMILY
    attribute += b"\0" * (-len(attribute) % 4)
    body = struct.pack("=BBH", 3, 1, 0) + attribute
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16) as family:
        family.settimeout(10)
        family.bind((0, 0))
        family.send(struct.pack("=IHHII", 16 + len(body), 16, 1, 1, 0) + body)
        answer = family.recv(8192)
    (message,) = struct.unpack_from("=H", answer, 4)
    return bool(message != 2)  # NLMSG_ERROR: no such family


@dataclass(slots=True)
class Keeper:
    """Keeps the underlay, OVN's bridge, and guests' taps and ports.

    Attributes:
        interface: the node's interface for tunnels and the provider network, or None.
        address: the node's.
        down: taps that were down at the last check.
        lacking: ports of guests that were not in the switch's database at the last check.
    """

    interface: str | None
    address: str
    down: frozenset[str] = frozenset()
    lacking: frozenset[GuestPort] = frozenset()

    def check(self) -> str:
        """Put right what is not; return what is wrong nevertheless, empty when all is in place."""
        try:
            bridges = vsctl("--bare", "--columns=name", "list", "bridge").split()
            kind = underlay.datapath()
            lost = not kind or underlay.INTEGRATION not in bridges
            if lost:
                node.log("the switch's database was lost: its bridges and ports are made again")
                kind = datapath_kind()
                make_bridge(kind)
            underlay.ensure(self.interface, self.address)
            self._keep_guests(kind, lost=lost)
        except AgentError as error:
            underlay.READY.unlink(missing_ok=True)
            node.write_termination_message(str(error))
            return str(error)
        return ""

    def _keep_guests(self, kind: str, *, lost: bool) -> None:
        switch = set(vsctl("--bare", "--columns=name", "list", "interface").split())
        found = guest_ports.lacking(guest_ports.read(), underlay.read_links().keys(), switch)
        # All of a lost database's were there before it was lost.
        self.lacking = found - guest_ports.restore(found, before=found if lost else self.lacking)
        if kind == "netdev":
            self.down = taps.lift(self.down)


def network() -> None:
    """Keep the underlay as the pool wants it; a failure is logged and tried again."""
    # As the first process of a container it would otherwise not be ended by it.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    underlay.READY.unlink(missing_ok=True)
    interface = node.settings(SwitchSettings).interface
    address = os.environ["NODE_ADDRESS"]
    started, due, trouble = 0.0, 0.0, ""
    keeper = Keeper(interface, address)
    while True:
        seen = SWITCH_PID.stat().st_mtime if SWITCH_PID.exists() else 0.0
        if seen != started or time.monotonic() >= due:
            message = keeper.check() if seen else "ovs-vswitchd does not run yet"
            if message != trouble:
                node.log(message or "underlay in place")
                trouble = message
            started, due = (seen if not message else 0.0), time.monotonic() + PASS_SECONDS
            if message:
                time.sleep(1.0 - LOOK_SECONDS)
        time.sleep(LOOK_SECONDS)


def program(arguments: Sequence[str]) -> None:
    """Run one of the three."""
    {"database": database, "switch": switch, "network": network}[arguments[0]]()


if __name__ == "__main__":
    node.main(program)

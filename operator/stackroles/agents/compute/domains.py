"""Guests as libvirt knows them, with the time since which each is in its state."""

from collections.abc import Mapping
from typing import Final

from stackroles.agents.compute import node
from stackroles.agents.compute.node_protocol import Domain

# The probe guest (agents/compute/probe_guest.py), which is no instance of nova's.
PROBE_GUEST = "stackroles-probe"
URI = "qemu+unix:///system?socket=/run/libvirt/libvirt-sock"
RUNNING, PAUSED, SHUT_OFF, CRASHED, OTHER = "running", "paused", "shut off", "crashed", "other"
# virDomainState and the reasons of each state (libvirt-domain.h).
_STATES: Final[Mapping[int, str]] = {
    1: RUNNING,
    2: RUNNING,
    3: PAUSED,
    4: RUNNING,
    5: SHUT_OFF,
    6: CRASHED,
}
_PAUSED: Final[Mapping[int, str]] = {
    1: "by a user",
    2: "migration",
    3: "being saved",
    4: "being dumped",
    5: "I/O error",
    6: "watchdog",
    7: "restored from a snapshot",
    8: "shutting down",
    9: "snapshot",
    10: "guest crashed",
    11: "starting up",
    12: "post-copy migration",
    13: "post-copy migration failed",
}
_SHUT_OFF: Final[Mapping[int, str]] = {
    1: "shut down by the guest",
    2: "destroyed",
    3: "crashed",
    4: "migrated",
    5: "saved",
    6: "failed to start",
    7: "restored from a snapshot",
    8: "libvirtd stopped",
}
# Shut off because its QEMU died.
_QEMU_DIED: Final = 3


def read() -> tuple[Domain, ...]:
    """Return the guests of this node, sorted by UUID, without times.

    Raises:
        AgentError: libvirt does not answer.
    """
    names = node.run("virsh", "--connect", URI, "list", "--all", "--uuid", "--name")
    states = node.run("virsh", "--connect", URI, "domstats", "--state", "--raw", "--nowait")
    return parse(names, states)


def parse(names: str, states: str) -> tuple[Domain, ...]:
    """Return guests from what virsh printed, without the probe guest.

    Args:
        names: `virsh list --all --uuid --name`: a UUID and a name in each line.
        states: `virsh domstats --state --raw`: a block for each name, values as numbers.
    """
    pairs = (line.strip().partition(" ") for line in names.splitlines() if line.strip())
    named = ((uuid, name.strip()) for uuid, _, name in pairs)
    uuids = {name: uuid for uuid, name in named if name != PROBE_GUEST}
    found = []
    for name, values in _blocks(states).items():
        if name in uuids and name != node.PROBE_GUEST:
            state, reason = _state(values.get("state.state", 0), values.get("state.reason", 0))
            found.append(Domain(uuid=uuids[name], state=state, reason=reason))
    return tuple(sorted(found, key=lambda domain: domain.uuid))


def since(found: tuple[Domain, ...], before: tuple[Domain, ...], now: float) -> tuple[Domain, ...]:
    """Return guests with the time at which each was first seen in its state.

    Args:
        found: those there are now.
        before: those of the sample before.
        now: seconds since the epoch.
    """
    known = {(d.uuid, d.state, d.reason): d.since for d in before}
    return tuple(
        Domain(
            uuid=d.uuid,
            state=d.state,
            reason=d.reason,
            since=known.get((d.uuid, d.state, d.reason), int(now)),
        )
        for d in found
    )


def _state(state: int, reason: int) -> tuple[str, str]:
    name = _STATES.get(state, OTHER)
    if name == PAUSED:
        # QEMU's own stop after an error of KVM comes without a reason.
        return name, _PAUSED.get(reason, "no reason given: QEMU stopped it")
    if name == SHUT_OFF:
        died = reason == _QEMU_DIED
        return (CRASHED, "its QEMU ended") if died else (name, _SHUT_OFF.get(reason, ""))
    return (name, "guest panicked" if reason == 1 else "") if name == CRASHED else (name, "")


def _blocks(text: str) -> dict[str, dict[str, int]]:
    blocks: dict[str, dict[str, int]] = {}
    values: dict[str, int] = {}
    for line in (line.strip() for line in text.splitlines()):
        if line.startswith("Domain:"):
            values = blocks.setdefault(line.partition(":")[2].strip().strip("'"), {})
        elif "=" in line:
            name, _, value = line.partition("=")
            if value.isdecimal():
                values[name] = int(value)
    return blocks

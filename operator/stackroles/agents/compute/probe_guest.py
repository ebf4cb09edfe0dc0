"""The probe guest: a Linux kernel that prints a line and powers off, run as nova runs guests.

It is defined through the node's libvirtd, so it has the user, the group, the cgroup and the
restrictions of every guest there, and it has the machine type and the CPU mode that nova will use.
A device that opens, or a boot sector that runs, is no proof: hosts were seen whose KVM runs
16-bit code and stops at an instruction of a kernel's decompressor ("KVM internal error").
"""

import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from xml.sax.saxutils import quoteattr

from stackroles.agents.compute import kvm
from stackroles.agents.compute.node import PROBE_GUEST, AgentError
from stackroles.agents.text import shorten

LINE = "stackroles probe guest: running Linux"
MEMORY_MIB = 128
# The kernel's messages but errors would cost seconds on an emulated serial port.
COMMAND_LINE = "console=ttyS0 quiet panic=-1 no_timer_check"
# Shared with libvirt's pod under the same name, which may be of another image than this one.
FOLDER = Path("/var/lib/libvirt/stackroles-probe")
NAME = PROBE_GUEST
LOG = Path(f"/var/log/libvirt/qemu/{NAME}.log")
# nova's LibvirtDriver._set_kvm_timers: guests under QEMU alone have libvirt's defaults.
TIMERS = {
    "kvm": "<timer name='pit' tickpolicy='delay'/><timer name='rtc' tickpolicy='catchup'/>"
    "<timer name='hpet' present='no'/>"
}
PERIOD_SECONDS = 0.1
MESSAGE_LIMIT = 380
# QEMU's and libvirt's time stamps, in front of each of their messages.
_STAMP = re.compile(r"\b\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+0000):? ?")
# "RAX=...", "R8 =...", "CS =...", "DR6=...", "EFER=...": a register, its value in hexadecimal.
_REGISTERS = re.compile(r"^[A-Z][A-Z0-9]{1,3} ?= *[0-9a-f]{4}")


@dataclass(frozen=True, kw_only=True)
class GuestModel:
    """How nova defines guests, as far as it decides whether they run.

    Attributes:
        virt_type: kvm or qemu.
        cpu_mode: none, host-model, host-passthrough, maximum or custom.
        cpu_model: the model of cpu_mode custom, else empty.
        cpu_flags: features that are required ("+name" or "name") or disabled ("-name").
        machine_type: as in `virsh capabilities`.
    """

    virt_type: str
    cpu_mode: str
    machine_type: str
    cpu_model: str = ""
    cpu_flags: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Deadline:
    """How long a guest may take.

    Attributes:
        processor_seconds: of its own virtual CPU, so that a busy node is no broken one.
        seconds: on the clock, for a guest whose virtual CPU stands still.
    """

    processor_seconds: float
    seconds: float


DEADLINES: Mapping[str, Deadline] = {
    "kvm": Deadline(processor_seconds=20.0, seconds=180.0),
    "qemu": Deadline(processor_seconds=90.0, seconds=600.0),
}


class LibvirtClient(Protocol):
    """What the probe asks of libvirt."""

    def define(self, definition: Path) -> None:
        """Define a domain from a file; raises AgentError."""

    def start(self, name: str) -> None:
        """Start a domain; raises AgentError."""

    def state(self, name: str) -> str:
        """Return state and reason, such as "shut off (shutdown)"; raises AgentError."""

    def processor_seconds(self, name: str) -> float:
        """Return how long a domain's virtual CPU has run."""

    def remove(self, name: str) -> None:
        """End and forget a domain, also one that does not exist."""


def definition(model: GuestModel, folder: Path = FOLDER) -> str:
    """Return the libvirt domain of the probe guest.

    Its `os`, `features`, `cpu` and `clock` are those that nova 31 writes for an x86 guest
    (nova/virt/libvirt/driver.py, config.py).
    """
    return f"""\
<domain type={quoteattr(model.virt_type)}>
  <name>{NAME}</name>
  <memory unit='MiB'>{MEMORY_MIB}</memory>
  <vcpu>1</vcpu>
  <os>
    <type machine={quoteattr(model.machine_type)}>hvm</type>
    <kernel>{folder}/vmlinuz</kernel>
    <initrd>{folder}/initrd</initrd>
    <cmdline>{COMMAND_LINE}</cmdline>
  </os>
  <features><acpi/><apic/><vmcoreinfo state='on'/></features>
{_cpu(model)}  <clock offset='utc'>{TIMERS.get(model.virt_type, "")}</clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>destroy</on_reboot>
  <on_crash>destroy</on_crash>
  <devices>
    <serial type='file'><source path='{folder}/console.log'/></serial>
    <memballoon model='virtio'/>
  </devices>
</domain>
"""


def _cpu(model: GuestModel) -> str:
    if model.cpu_mode == "none":
        return ""
    checks = {"host-model": " check='partial'", "host-passthrough": " check='none'"}
    match = " match='exact'" if model.cpu_mode == "custom" else checks.get(model.cpu_mode, "")
    inside = f"<model>{model.cpu_model}</model>" if model.cpu_model else ""
    for flag in model.cpu_flags:
        policy = "disable" if flag.startswith("-") else "require"
        inside += f"<feature policy='{policy}' name={quoteattr(flag.lstrip('+-'))}/>"
    return f"  <cpu mode={quoteattr(model.cpu_mode)}{match}>{inside}</cpu>\n"


def prepare(source: Path, folder: Path = FOLDER) -> None:
    """Copy kernel and initramfs to where the node's libvirtd reads them, if they differ.

    Raises:
        AgentError: the image has none.
    """
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    for name in ("vmlinuz", "initrd"):
        if not (source / name).exists():
            raise AgentError(f"the image has no probe guest ({source / name})")
        data, target = (source / name).read_bytes(), folder / name
        if not target.exists() or target.read_bytes() != data:
            draft = folder / f".{name}.new"
            draft.write_bytes(data)
            draft.chmod(0o644)
            draft.replace(target)


def run(
    hypervisor: LibvirtClient,
    model: GuestModel,
    *,
    folder: Path = FOLDER,
    log: Path = LOG,
    deadline: Deadline | None = None,
    clock: Callable[[], float] = time.monotonic,
    wait: Callable[[float], None] = time.sleep,
) -> str:
    """Run the probe guest to its line and its clean end.

    Args:
        hypervisor: the node's libvirt.
        model: how nova defines guests.
        folder: where kernel and initramfs are, and the console's output goes.
        log: QEMU's log of the guest.
        deadline: how long it may take, the virtualisation type's own unless given.
        clock: seconds of a clock that never goes back.
        wait: what lets time pass between two checks of the guest.

    Returns:
        Why it failed, with the hypervisor's own message; empty when it ran.
    """
    console = folder / "console.log"
    _empty(console)
    (folder / "domain.xml").write_text(definition(model, folder))
    try:
        hypervisor.remove(NAME)
        hypervisor.define(folder / "domain.xml")
        hypervisor.start(NAME)
        limit = deadline or DEADLINES[model.virt_type]
        failure = _follow(hypervisor, console, limit, clock, wait)
    except AgentError as error:
        return shortened(str(error))
    finally:
        hypervisor.remove(NAME)
    if not failure:
        return ""
    excerpts = [f"QEMU's log: {text}" for text in (log_message(_text(log)),) if text]
    excerpts += [f"its console: {text}" for text in (_last(_text(console)),) if text]
    return shortened("; ".join((failure, *excerpts)))


def _follow(
    hypervisor: LibvirtClient,
    console: Path,
    deadline: Deadline,
    clock: Callable[[], float],
    wait: Callable[[float], None],
) -> str:
    started = clock()
    while True:
        state = hypervisor.state(NAME)
        if not state.startswith(("running", "in shutdown", "no state")):
            break
        spent = hypervisor.processor_seconds(NAME)
        if spent > deadline.processor_seconds:
            return _silent(console, f"{spent:.0f} s of processor time")
        if clock() - started > deadline.seconds:
            return _silent(console, f"{deadline.seconds:.0f} s")
        wait(PERIOD_SECONDS)
    if state.startswith("shut off (shutdown"):
        return "" if LINE in _text(console) else "the probe guest ended before it printed its line"
    return f"the probe guest became {state}"


def _silent(console: Path, after: str) -> str:
    if LINE in _text(console):
        return f"the probe guest printed its line and did not end within {after}"
    return f"the probe guest did not print its line within {after}"


def _empty(console: Path) -> None:
    """Make the console's file anew, for the user that guests run as."""
    console.unlink(missing_ok=True)
    console.touch(mode=0o660)
    os.chown(console, kvm.NOVA, -1)


def _text(file: Path) -> str:
    """Return what a file holds; a log that libvirt's pod keeps to itself holds nothing here."""
    return file.read_text(errors="replace") if file.exists() else ""


def _last(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return " / ".join(lines[-3:])


def log_message(text: str) -> str:
    """Return what QEMU wrote into its log since its last start, without its command line.

    Of the registers after a "KVM internal error" only the code at the instruction stays.
    """
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if ": starting up" in line]
    lines = lines[starts[-1] + 1 :] if starts else lines
    # The command line: an environment variable or an argument a line, each but the last with "\".
    ends = [number for number, line in enumerate(lines) if line.endswith("\\")]
    lines = lines[ends[-1] + 2 :] if ends else lines
    return "; ".join(line.strip() for line in lines if _is_message(line))


def _is_message(line: str) -> bool:
    """Return whether a line of QEMU's log is neither a register's dump nor printed at every end."""
    usual = ("extra data[", "char device redirected", "terminating on signal", "shutting down")
    return bool(line.strip()) and not _REGISTERS.match(line) and not any(w in line for w in usual)


def shortened(text: str, limit: int = MESSAGE_LIMIT) -> str:
    """Return a text on one line without time stamps, its middle left out where it is too long."""
    return shorten(" ".join(_STAMP.sub("", text).split()), limit)

"""Before nova-compute starts: what runs guests here, and who this host is.

KVM is taken only after a probe guest has printed a line under it: /dev/kvm that opens is no proof
(a nested host may offer it and never run a guest). The outcome goes to a file for nova-compute and,
as the container's termination message, to the operator.
"""

import json
import os
import platform
import select
import struct
import subprocess
import time
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from stackroles.agents import node

KVM = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STATE = Path("/var/lib/nova")
HOST_UUID = Path("/var/lib/libvirt/stackroles-host-uuid")
CONFIG = Path("/etc/stackroles-node/node.conf")
EMULATOR = "qemu-system-x86_64"
LINE = b"stackroles probe guest"
DEADLINE_SECONDS = 15.0
# Namespace of the identities this project derives: uuid5(DNS, "stackroles.io").
IDENTITIES = uuid.uuid5(uuid.NAMESPACE_DNS, "stackroles.io")


@dataclass(frozen=True)
class Verdict:
    """What runs guests on this node (kvm or qemu) and why."""

    virt_type: str
    reason: str


def identity(purpose: str, cloud: str, name: str) -> str:
    """Return the UUID of a node for one purpose; the same for ever for the same names."""
    return str(uuid.uuid5(IDENTITIES, f"{purpose}/{cloud}/{name}"))


def persisted(file: Path, value: str) -> str:
    """Return what a file holds; write `value` there first if it holds nothing."""
    if file.exists() and (held := file.read_text().strip()):
        return held
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(f"{value}\n")
    draft.chmod(0o644)
    draft.replace(file)
    return value


# A boot sector that enters 64-bit mode with paging, as every kernel does, and only then writes to
# the first serial port: hosts were seen whose KVM runs 16-bit code and no kernel.
CODE = bytes.fromhex(
    "fa 31c0 8ed8 8ec0 8ed0 bc007c fc"  # cli; ax, ds, es, ss = 0; sp = 0x7c00; cld
    "bf0010 b90018 f3ab"  # clear 0x1000..0x3fff for the page tables
    "c70600100320 c70600200330 c70600308300"  # PML4 -> PDPT -> PD -> the first 2 MiB, identical
    "0f0116807c"  # lgdt 0x7c80
    "0f20e0 0c20 0f22e0"  # cr4 |= PAE
    "66b800100000 0f22d8"  # cr3 = 0x1000
    "66b9800000c0 0f32 80cc01 0f30"  # EFER |= LME
    "0f20c0 660d01000080 0f22c0"  # cr0 |= PG | PE
    "ea5b7c0800"  # ljmp 8:0x7c5b, 64-bit from here
    "be867c0000 66baf803"  # esi = 0x7c86 (the line); dx = 0x3f8
    "ac 84c0 7403 ee ebf8"  # lodsb; until it is 0: out dx, al
    "f4 ebfd"  # hlt, for ever
)
DESCRIPTORS = bytes(8) + bytes.fromhex("00000000009a2000")  # null, 64-bit code


def boot_sector(line: bytes = LINE) -> bytes:
    """Return a disk's first sector: the code, at 0x70 the descriptors, at 0x86 the line."""
    register = struct.pack("<HI", 15, 0x7C70)
    tables = (DESCRIPTORS + register).ljust(0x16, b"\0")
    sector = CODE.ljust(0x70, b"\0") + tables + line + b"\n\0"
    return sector.ljust(510, b"\0") + struct.pack("<H", 0xAA55)


def probe(accelerator: str, deadline: float = DEADLINE_SECONDS) -> str:
    """Run the probe guest; return why it failed, empty when it printed its line."""
    # nova's default, host-model, offers guests what the host has.
    cpu = "host" if accelerator == "kvm" else "max"
    disk = Path(f"/tmp/probe-{os.getpid()}.img")  # noqa: S108 - the pod's own scratch
    disk.write_bytes(boot_sector().ljust(1 << 20, b"\0"))
    command = (
        EMULATOR, "-machine", f"pc,accel={accelerator}", "-cpu", cpu, "-m", "32", "-nodefaults",
        "-display", "none", "-no-reboot", "-serial", "stdio",
        "-drive", f"file={disk},format=raw,if=ide",
    )  # fmt: skip
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except OSError as error:
        return f"{EMULATOR} could not be run: {error}"
    try:
        return _listen(process, deadline)
    finally:
        process.kill()
        process.communicate()
        disk.unlink()


def _listen(process: "subprocess.Popen[bytes]", deadline: float) -> str:
    assert process.stdout is not None  # noqa: S101 - it was opened as a pipe
    heard, end = b"", time.monotonic() + deadline
    while LINE not in heard:
        left = end - time.monotonic()
        if left <= 0 or not select.select([process.stdout], [], [], left)[0]:
            return f"a probe guest printed nothing within {deadline:.0f} s"
        chunk = os.read(process.stdout.fileno(), 4096)
        if not chunk:
            words = heard.decode(errors="replace").strip()[-300:]
            return f"a probe guest could not run: {words or 'QEMU ended without a word'}"
        heard += chunk
    return ""


def judge(wanted: str, cached: Verdict | None) -> Verdict:
    """Return what runs guests here.

    Args:
        wanted: Auto, or what the pool insists on.
        cached: the outcome of an earlier probe since this kernel was started, if any.
    """
    if wanted != "Auto":
        return Verdict(wanted, "set by the pool's virtType")
    if not KVM.exists():
        return Verdict("qemu", "the node has no /dev/kvm")
    if cached is not None:
        return cached
    trouble = probe("kvm")
    if trouble:
        return Verdict("qemu", f"/dev/kvm is there, but {trouble}")
    return Verdict("kvm", "a probe guest ran under KVM")


def load(file: Path, boot: str) -> Verdict | None:
    """Return the outcome kept in a file, if it is of this boot of the kernel."""
    try:
        data = json.loads(file.read_text())
        return Verdict(data["virt_type"], data["reason"]) if data["boot"] == boot else None
    except (FileNotFoundError, ValueError, KeyError):
        return None


def nova_options(verdict: Verdict) -> str:
    """Return the node's own part of nova.conf."""
    options = {"virt_type": verdict.virt_type}
    if verdict.virt_type == "qemu":
        options["cpu_mode"] = "none"
    return "[libvirt]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())


def program(_: Sequence[str]) -> None:
    """Decide, write nova's identity and options, and report."""
    settings, name = node.settings(), node.node_name()
    boot = f"{platform.release()} {BOOT_ID.read_text().strip()}"
    memory = STATE / "stackroles-probe.json"
    verdict = judge(settings["virtType"], load(memory, boot))
    if settings["virtType"] == "Auto":
        memory.write_text(json.dumps(asdict(verdict) | {"boot": boot}))
    compute = persisted(STATE / "compute_id", identity("compute", settings["cloud"], name))
    CONFIG.write_text(nova_options(verdict))
    (STATE / "instances").mkdir(exist_ok=True)  # nova measures its file system before it makes it
    host = persisted(HOST_UUID, identity("libvirt", settings["cloud"], name))
    report = {
        "virtType": verdict.virt_type, "virtReason": verdict.reason,
        "computeId": compute, "hostUuid": host,
    }  # fmt: skip
    node.last_words(json.dumps(report))
    node.log(json.dumps(report))


if __name__ == "__main__":
    node.main(program)

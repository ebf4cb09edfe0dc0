"""What runs guests on a node, shown by a probe guest, and who the node is to nova.

Runs before nova-compute starts, and again on request. KVM is tried first and QEMU where KVM fails,
unless the pool asks for one of them. nova-compute gets exactly what the probe guest ran with. A
node on which none runs starts nova-compute all the same, so that guests that are there can be moved
or deleted; the operator keeps new ones away from it. The outcome is the container's termination
message (probe_protocol.py).
"""

import configparser
import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.compute import host_identity, kvm, node, probe_guest, probe_memory
from stackroles.agents.compute.probe_guest import GuestModel
from stackroles.agents.compute.probe_memory import Memory, ProbeOutcome
from stackroles.agents.compute.probe_protocol import REASON_LIMIT, ProbeReport, ProbeSettings
from stackroles.agents.compute.virsh import Virsh
from stackroles.agents.text import shorten

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
CPUINFO = Path("/proc/cpuinfo")
RELEASE = Path("/etc/stackroles-release")
GUEST = Path("/usr/share/stackroles/probe-guest")
STATE = Path("/var/lib/nova")
NOVA_CONFIG = Path("/etc/nova/nova.conf")
NODE_CONFIG = Path("/etc/stackroles-node/node.conf")
LIBVIRTD_SECONDS = 600.0
AGAIN = "again"
NAMES = {"kvm": "KVM", "qemu": "QEMU"}
# nova's own default of an x86 host (nova/virt/libvirt/utils.py, get_default_machine_type).
MACHINE_TYPE = "pc"
ARCHITECTURE = "x86_64"


@dataclass(frozen=True, kw_only=True)
class ProbedModel:
    """What runs guests on this node.

    Attributes:
        model: how guests are defined here.
        proven: whether a probe guest ran so.
        reason: how it ran, and why something better did not.
        at: when the last probe guest ended, RFC 3339 in UTC; empty where none was tried.
    """

    model: GuestModel
    proven: bool
    reason: str
    at: str = ""


def libvirt_options(text: str) -> dict[str, str]:
    """Return the options of section [libvirt] of a nova.conf."""
    parser = configparser.ConfigParser(strict=False, interpolation=None, delimiters=("=", ":"))
    parser.read_string(text)
    if not parser.has_section("libvirt"):
        return {}
    return {name.replace("-", "_"): value for name, value in parser["libvirt"].items()}


def guest_model(virt_type: str, options: Mapping[str, str]) -> GuestModel:
    """Return how nova defines guests of a virtualisation type.

    QEMU without KVM gets no model of the host's CPU unless the user asks for a model: what it
    cannot emulate would be missing in the guest.

    Args:
        virt_type: kvm or qemu.
        options: the user's and our own options of nova's section [libvirt].
    """
    mode = options.get("cpu_mode", "")
    if not mode or (virt_type == "qemu" and mode == "host-passthrough"):
        mode = "host-model" if virt_type == "kvm" else "none"
    models = _list(options.get("cpu_models", ""))
    return GuestModel(
        virt_type=virt_type,
        cpu_mode=mode,
        machine_type=_machine_type(options.get("hw_machine_type", "")),
        cpu_model=models[0] if mode == "custom" and models else "",
        cpu_flags=_list(options.get("cpu_model_extra_flags", "")) if mode != "none" else (),
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.strip("'\" ").split(",") if part.strip())


def _machine_type(text: str) -> str:
    """Return the machine type of an option such as "x86_64=q35,aarch64=virt"."""
    pairs = (part.partition("=") for part in _list(text))
    chosen = {architecture.strip(): machine.strip() for architecture, _, machine in pairs}
    return chosen.get(ARCHITECTURE) or MACHINE_TYPE


def nova_options(model: GuestModel) -> str:
    """Return the node's own part of nova.conf: exactly what the probe guest ran with."""
    options = {
        "virt_type": model.virt_type,
        "cpu_mode": model.cpu_mode,
        "hw_machine_type": f"{ARCHITECTURE}={model.machine_type}",
    }
    return "[libvirt]\n" + "".join(f"{name} = {value}\n" for name, value in options.items())


def judge(
    wanted: str,
    options: Mapping[str, str],
    *,
    has_kvm: bool,
    attempt: Callable[[GuestModel], ProbeOutcome],
) -> ProbedModel:
    """Return what runs guests here.

    Args:
        wanted: Auto, or the one that the pool asks for.
        options: nova's section [libvirt].
        has_kvm: whether the node has /dev/kvm.
        attempt: runs the probe guest, or returns how it went.
    """
    failures, at = [], ""
    candidates = ("kvm", "qemu") if wanted == "Auto" else (wanted,)
    for virt_type in candidates:
        if virt_type == "kvm" and not has_kvm:
            failures.append("the node has no /dev/kvm")
            continue
        model = guest_model(virt_type, options)
        outcome = attempt(model)
        at = max(at, outcome.at)
        if not outcome.failure:
            ran = f"a probe guest ran under {NAMES[virt_type]} ({outcome.seconds:.1f} s)"
            reason = "; ".join((*failures, ran))
            return ProbedModel(model=model, proven=True, reason=reason, at=at)
        failures.append(f"{NAMES[virt_type]}: {outcome.failure}")
    model = guest_model(candidates[-1], options)
    return ProbedModel(model=model, proven=False, reason="; ".join(failures), at=at)


def attempts(
    memory: Memory, run: Callable[[GuestModel], ProbeOutcome]
) -> tuple[Callable[[GuestModel], ProbeOutcome], dict[str, ProbeOutcome]]:
    """Return an attempt that runs only what is not remembered, and the outcomes it has used."""
    used: dict[str, ProbeOutcome] = {}

    def attempt(model: GuestModel) -> ProbeOutcome:
        name = probe_memory.label(model)
        used[name] = memory.outcomes.get(name) or run(model)
        return used[name]

    return attempt, used


def probe(hypervisor: Virsh, model: GuestModel) -> ProbeOutcome:
    """Run the probe guest once."""
    node.log(f"A probe guest is tried with {model}")
    began = time.monotonic()
    failure = probe_guest.run(hypervisor, model)
    outcome = ProbeOutcome(
        failure=failure,
        seconds=round(time.monotonic() - began, 1),
        at=_now(),
    )
    node.log(f"After {outcome.seconds} s: {failure or 'it ran'}")
    return outcome


def _version(hypervisor: Virsh) -> str:
    """Return QEMU's version; "unknown" where libvirt finds none, as the guest's start shows."""
    try:
        return hypervisor.version()
    except node.AgentError as error:
        node.log(f"QEMU's version is not known: {error}")
        return "unknown"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def examine(wanted: str, request: str) -> tuple[ProbedModel, str]:
    """Return what runs guests on this node, and the request that this answers.

    Args:
        wanted: Auto, kvm or qemu.
        request: a request to probe again, empty for none.
    """
    hypervisor = Virsh()
    node.wait_for("the node's libvirtd", hypervisor.answers, LIBVIRTD_SECONDS)
    probe_guest.prepare(GUEST)
    held = probe_memory.key(
        boot=BOOT_ID.read_text().strip(),
        kernel=platform.release(),
        qemu=_version(hypervisor),
        cpuinfo=CPUINFO.read_text(),
        image=probe_memory.image_identity(RELEASE, GUEST / "vmlinuz", GUEST / "initrd"),
        device=kvm.access(kvm.DEVICE),
    )
    file = STATE / "stackroles-probe.json"
    with _alone(STATE / "stackroles-probe.lock"):
        memory = probe_memory.load(file, held, request)
        attempt, used = attempts(memory, lambda model: probe(hypervisor, model))
        options = libvirt_options(NOVA_CONFIG.read_text())
        verdict = judge(wanted, options, has_kvm=kvm.DEVICE.exists(), attempt=attempt)
        # Where nothing ran the next start tries again.
        outcomes = {**memory.outcomes, **used} if verdict.proven else {}
        probe_memory.save(file, held, replace(memory, outcomes=outcomes))
    return verdict, memory.request


@contextmanager
def _alone(file: Path) -> Iterator[None]:
    """Hold a lock: a probe on request and one before nova-compute have one domain."""
    with file.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def termination_message(report: ProbeReport) -> str:
    """Return a report as text that fits a termination message."""
    return wire.dumps(
        replace(report, reason=shorten(report.reason, REASON_LIMIT)), ensure_ascii=False
    )


def program(arguments: Sequence[str]) -> None:
    """Probe, write nova's identity and options, and report; with "again" only probe and report."""
    settings, name = node.settings(ProbeSettings), node.node_name()
    compute = host_identity.persisted(
        STATE / "compute_id", host_identity.identity("compute", settings.cloud, name)
    )
    host = host_identity.persisted(
        host_identity.HOST_UUID, host_identity.identity("libvirt", settings.cloud, name)
    )
    verdict, request = examine(settings.virt_type, os.environ.get("PROBE_REQUEST", ""))
    if AGAIN not in arguments:
        NODE_CONFIG.write_text(nova_options(verdict.model))
        # nova measures its file system before it makes it.
        (STATE / "instances").mkdir(exist_ok=True)
    report = ProbeReport(
        virt_type=verdict.model.virt_type,
        proven=verdict.proven,
        reason=verdict.reason,
        cpu_mode=verdict.model.cpu_mode,
        machine_type=verdict.model.machine_type,
        probed_at=verdict.at or _now(),
        request=request,
        compute_id=compute,
        host_uuid=host,
    )
    message = termination_message(report)
    node.write_termination_message(message)
    node.log(message)


if __name__ == "__main__":
    node.main(program)

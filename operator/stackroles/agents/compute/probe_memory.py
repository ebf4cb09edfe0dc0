"""What a node's probes have shown, kept on its disk for as long as it holds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from stackroles.agents.compute.probe_guest import GuestModel

# What decides, beside the instructions a CPU has, whether a kernel runs on it.
_CPU_FIELDS = ("vendor_id", "cpu family", "model", "model name", "stepping", "microcode", "flags")


@dataclass(frozen=True, kw_only=True)
class ProbeOutcome:
    """How one probe guest went.

    Attributes:
        failure: why it did not run, empty when it ran.
        seconds: how long it took.
        at: when it ended, RFC 3339 in UTC.
    """

    failure: str
    seconds: float
    at: str


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Outcomes that still hold.

    Attributes:
        outcomes: by what was tried (`label`).
        request: the request that the newest of them answer, empty for none.
    """

    outcomes: Mapping[str, ProbeOutcome] = field(default_factory=dict)
    request: str = ""


def label(model: GuestModel) -> str:
    """Return the key of a way to define guests."""
    return json.dumps(asdict(model), sort_keys=True)


def key(
    *, boot: str, kernel: str, qemu: str, cpuinfo: str, image: str, device: str
) -> dict[str, str]:
    """Return what an outcome depends on: where any of it differs, the guest has to run again.

    Args:
        boot: the kernel's boot id.
        kernel: its release.
        qemu: QEMU's version.
        cpuinfo: the text of /proc/cpuinfo.
        image: the identity of the image's packages and of the probe guest.
        device: who may open /dev/kvm.
    """
    first = cpuinfo.split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    cpu = {name.strip(): value.strip() for name, _, value in pairs}
    known = "\n".join(f"{name}={cpu.get(name, '')}" for name in _CPU_FIELDS)
    return {
        "boot": boot,
        "kernel": kernel,
        "qemu": qemu,
        "cpu": f"{cpu.get('model name', '')} {hashlib.sha256(known.encode()).hexdigest()[:16]}",
        "image": image,
        "device": device,
    }


def image_identity(*files: Path) -> str:
    """Return a hash of files; one that is not there counts as empty."""
    found = hashlib.sha256()
    for file in files:
        content = file.read_bytes() if file.exists() else b""
        found.update(hashlib.sha256(content).digest())
    return found.hexdigest()[:32]


def load(file: Path, held: Mapping[str, str], request: str) -> Memory:
    """Return what a file remembers.

    Args:
        file: the file; one that is missing or cannot be read remembers nothing.
        held: the present key; outcomes of another are forgotten.
        request: a request to probe again, empty for none; outcomes from before it are forgotten.
    """
    try:
        data = json.loads(file.read_text())
        before = str(data["request"])
        outcomes = {name: ProbeOutcome(**outcome) for name, outcome in data["outcomes"].items()}
        same = data["key"] == dict(held)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return Memory(request=request)
    if not same or (request and request != before):
        outcomes = {}
    return Memory(outcomes=outcomes, request=request or before)


def save(file: Path, held: Mapping[str, str], memory: Memory) -> None:
    """Write what is remembered, whole or not at all."""
    outcomes = {name: asdict(outcome) for name, outcome in memory.outcomes.items()}
    content = {"key": dict(held), "request": memory.request, "outcomes": outcomes}
    draft = file.with_name(f".{file.name}.new")
    draft.write_text(json.dumps(content, indent=1))
    draft.replace(file)

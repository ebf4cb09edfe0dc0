"""What a compute node's probe reports to the operator; both sides read and write it here."""

import json
from dataclasses import asdict, dataclass
from typing import Any

# A pod's status cuts a termination message off at 4096 bytes, and half a JSON text says nothing:
# so many characters of four bytes fit beside the rest.
REASON_LIMIT = 800
_NAMES = {
    "virt_type": "virtType",
    "proven": "proven",
    "reason": "virtReason",
    "cpu_mode": "cpuMode",
    "machine_type": "machineType",
    "probed_at": "probedAt",
    "request": "request",
    "compute_id": "computeId",
    "host_uuid": "hostUuid",
}


@dataclass(frozen=True, kw_only=True)
class ProbeReport:
    """What runs guests on a node, as a guest has shown.

    Attributes:
        virt_type: kvm or qemu: what nova uses there.
        proven: whether a probe guest ran with exactly this.
        reason: how it ran; or the hypervisor's own message why it did not.
        cpu_mode: nova's `[libvirt] cpu_mode` it ran with.
        machine_type: the machine type it ran with.
        probed_at: when it ran, RFC 3339 in UTC.
        request: the request that asked for this run, empty for a node's first.
        compute_id: nova's identity of the host.
        host_uuid: libvirt's identity of the host.
    """

    virt_type: str
    proven: bool = True
    reason: str = ""
    cpu_mode: str = ""
    machine_type: str = ""
    probed_at: str = ""
    request: str = ""
    compute_id: str = ""
    host_uuid: str = ""

    def to_json(self) -> str:
        """Return the report as a termination message."""
        held = asdict(self) | {"reason": self.reason[:REASON_LIMIT]}
        named = {name: held[field] for field, name in _NAMES.items()}
        return json.dumps(named, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "ProbeReport | None":
        """Return the report of a termination message; None where it is none.

        A field that an older agent does not know has its default.
        """
        try:
            content = json.loads(text)
        except ValueError:
            return None
        if not isinstance(content, dict) or not isinstance(content.get("virtType"), str):
            return None
        known: dict[str, Any] = {}
        for field, name in _NAMES.items():
            kind = bool if field == "proven" else str
            if isinstance(content.get(name), kind):
                known[field] = content[name]
        return cls(**known)

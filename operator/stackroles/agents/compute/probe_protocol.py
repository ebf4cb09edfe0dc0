"""What a compute node's probe and the operator exchange.

The operator gives ProbeSettings as a file; the probe leaves a ProbeReport as its termination
message.
"""

from dataclasses import dataclass, field

from stackroles.agents.wire import OPTIONAL, key

# A pod's status cuts a termination message off at 4096 bytes, and half a JSON text says nothing:
# so many characters of four bytes fit beside the rest.
REASON_LIMIT = 800


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSettings:
    """What the pool says of its nodes as hosts of guests.

    Attributes:
        cloud: the cloud, `<namespace>/<name>`.
        virt_type: kvm or qemu; Auto for the better one that runs guests.
    """

    cloud: str
    virt_type: str = field(metadata=key("virtType"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeReport:
    """What runs guests on a node, as a guest has shown.

    Attributes:
        virt_type: kvm or qemu: what nova uses there.
        proven: whether a probe guest ran with exactly this.
        reason: how it ran; or the hypervisor's own message why it did not; at most REASON_LIMIT
            characters.
        cpu_mode: nova's `[libvirt] cpu_mode` it ran with.
        machine_type: the machine type it ran with.
        probed_at: when it ran, RFC 3339 in UTC.
        request: the request that asked for this run, empty for a node's first.
        compute_id: nova's identity of the host.
        host_uuid: libvirt's identity of the host.
    """

    virt_type: str = field(metadata=key("virtType"))
    proven: bool = field(default=True, metadata=OPTIONAL)
    reason: str = field(default="", metadata=key("virtReason", optional=True))
    cpu_mode: str = field(default="", metadata=key("cpuMode", optional=True))
    machine_type: str = field(default="", metadata=key("machineType", optional=True))
    probed_at: str = field(default="", metadata=key("probedAt", optional=True))
    request: str = field(default="", metadata=OPTIONAL)
    compute_id: str = field(default="", metadata=key("computeId", optional=True))
    host_uuid: str = field(default="", metadata=key("hostUuid", optional=True))

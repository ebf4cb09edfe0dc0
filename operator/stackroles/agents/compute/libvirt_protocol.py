"""What the operator gives libvirt's agent: LibvirtSettings as a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LibvirtSettings:
    """What libvirt's identity of the host depends on.

    Attributes:
        cloud: the cloud, `<namespace>/<name>`.
    """

    cloud: str

"""What the operator gives ovn-controller's agent: ChassisSettings as a file."""

from dataclasses import dataclass, field

from stackroles.agents.wire import key


@dataclass(frozen=True, slots=True, kw_only=True)
class ChassisSettings:
    """What the pool says of its nodes as chassis.

    Attributes:
        interface: the node's interface for tunnels and the provider network, or None.
        physical_network: neutron's name of the provider network.
        gateway: whether this node may carry router gateways.
        southbound: OVN's southbound database, "tcp:<host>:<port>" of each member, comma-separated.
    """

    interface: str | None
    physical_network: str = field(metadata=key("physicalNetwork"))
    gateway: bool
    southbound: str

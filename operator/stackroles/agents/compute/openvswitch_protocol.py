"""What the operator gives the agents of a node's switch: SwitchSettings as a file."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchSettings:
    """What the pool says of its nodes' underlay.

    Attributes:
        interface: the node's interface for tunnels and the provider network, or None.
    """

    interface: str | None

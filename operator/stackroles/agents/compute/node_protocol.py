"""What a node's agent reports to the operator: a NodeReport."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackroles.agents.wire import OPTIONAL

PORT = 8480
# What the agent answers by GET.
REPORT_PATH = "/report"
# The operator reads at most 64 KiB of an answer: what a report may hold fits in.
INSTANCES_LIMIT = 250
TUNNELS_LIMIT = 256
NAMES_LIMIT = 20
FAILURES_LIMIT = 20
FAULT_LIMIT = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class DataPlane:
    """What of a node's data plane is in place.

    Attributes:
        switch_error: why ovs-vswitchd does not answer, empty when it does.
        controller: state of ovn-controller's connection to the southbound database.
        flows: flows of br-int.
        settled: whether there are some, and about as many as a sample before.
        ports: ports of OVN's on br-int.
        idle_ports: those of them that have no flow for the frames they send; at most NAMES_LIMIT.
        address: where the node's tunnels start.
        tunnels: addresses at the other ends of its tunnels that have a port; at most TUNNELS_LIMIT.
        silent_networks: networks whose metadata proxy takes no connection; at most NAMES_LIMIT.
        omitted: how many more there are, by the name of the list that is cut.
    """

    switch_error: str = ""
    controller: str = ""
    # More or fewer flows are no change.
    flows: int = field(default=0, compare=False)
    settled: bool = False
    ports: int = 0
    idle_ports: tuple[str, ...] = ()
    address: str = ""
    tunnels: tuple[str, ...] = ()
    silent_networks: tuple[str, ...] = ()
    omitted: Mapping[str, int] = field(default_factory=dict, metadata=OPTIONAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """One guest as libvirt knows it.

    Attributes:
        uuid: libvirt's identity of it, which is nova's of the instance.
        state: running, paused, shut off, crashed or other.
        reason: libvirt's reason of the state, empty for one that needs none.
        since: when the state was first seen, in seconds since the epoch by the node's clock.
    """

    uuid: str
    state: str
    reason: str = ""
    since: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFailure:
    """One build of an instance that failed for a reason of the host's.

    Attributes:
        at: when, in seconds since the epoch.
        instance: the instance's UUID.
        fault: nova-compute's own message.
    """

    at: int
    instance: str
    fault: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeReport:
    """What a node's agent saw.

    Attributes:
        at: when it was begun to be seen, in seconds since the epoch by the node's clock.
        data_plane: the switch, its controller and the metadata proxies.
        domains: guests, by UUID; at most INSTANCES_LIMIT.
        domains_omitted: how many more guests there are.
        libvirt_error: why libvirt could not be asked, empty when it could.
        build_failures: builds that failed since the last one that succeeded, the newest last; at
            most FAILURES_LIMIT.
    """

    # That nothing has changed since is no change.
    at: int = field(default=0, compare=False)
    data_plane: DataPlane = DataPlane()
    domains: tuple[Domain, ...] = ()
    domains_omitted: int = field(default=0, metadata=OPTIONAL)
    libvirt_error: str = ""
    build_failures: tuple[BuildFailure, ...] = ()

"""What a node's agent reports to the operator: GET /report on PORT, one JSON object.

Both sides import this module, so that the form of a report is written once.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

PORT = 8480
# An answer has at most 64 KiB for the operator.
INSTANCES_LIMIT = 400
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
        idle_ports: those of them that have no flow for the frames they send.
        address: where the node's tunnels start.
        tunnels: addresses at the other ends of its tunnels that have a port.
        silent_networks: networks whose metadata proxy takes no connection.
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
        libvirt_error: why libvirt could not be asked, empty when it could.
        build_failures: builds that failed since the last one that succeeded, the newest last; at
            most FAILURES_LIMIT.
    """

    # That nothing has changed since is no change.
    at: int = field(default=0, compare=False)
    data_plane: DataPlane = DataPlane()
    domains: tuple[Domain, ...] = ()
    libvirt_error: str = ""
    build_failures: tuple[BuildFailure, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON types."""
        return asdict(self)


def report_from_json(data: Any) -> NodeReport | None:
    """Return a report from an agent's answer, None for an answer of another form."""
    if not isinstance(data, Mapping):
        return None
    try:
        plane = data["data_plane"]
        lists = ("idle_ports", "tunnels", "silent_networks")
        return NodeReport(
            at=int(data["at"]),
            data_plane=DataPlane(
                switch_error=str(plane["switch_error"]),
                controller=str(plane["controller"]),
                flows=int(plane["flows"]),
                settled=bool(plane["settled"]),
                ports=int(plane["ports"]),
                address=str(plane["address"]),
                **{name: tuple(str(item) for item in plane[name]) for name in lists},
            ),
            domains=tuple(
                Domain(
                    uuid=str(domain["uuid"]),
                    state=str(domain["state"]),
                    reason=str(domain["reason"]),
                    since=int(domain["since"]),
                )
                for domain in data["domains"]
            ),
            libvirt_error=str(data["libvirt_error"]),
            build_failures=failures_from_json(data["build_failures"]),
        )
    except (KeyError, TypeError, ValueError):
        return None


def failures_from_json(data: Any) -> tuple[BuildFailure, ...]:
    """Return failed builds from JSON types.

    Raises:
        KeyError, TypeError, ValueError: they have another form.
    """
    return tuple(
        BuildFailure(
            at=int(failure["at"]),
            instance=str(failure["instance"]),
            fault=str(failure["fault"])[:FAULT_LIMIT],
        )
        for failure in data
    )

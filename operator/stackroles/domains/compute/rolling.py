"""Which node's data plane is replaced next: one node at a time, and none while another is cut off.

A pod that is Ready is no proof: ovs-vswitchd answers before ovn-controller has given it its flows.
The node's agent, which no such roll touches, reports when ports, flows, tunnels and metadata
proxies are back.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackroles.agents.compute.node_protocol import DataPlane

CONNECTED = "connected"
_SHOWN = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlane:
    """A node's data plane.

    Attributes:
        online: whether the node's kubelet reports it as ready; pods of another cannot be replaced.
        outdated: names of pods of a former template that are not on their way out.
        stuck: those of them that will not become ready by themselves: they have nothing to lose.
        pending: why pods are on their way, empty when all there must be are ready.
        ready_since: when the last of its pods became ready, in seconds since the epoch by the
            node's clock: its kubelet writes it.
        seen_at: when the agent saw what it reports, by the same clock.
        report: what the node's agent says, None while it does not.
    """

    online: bool = True
    outdated: tuple[str, ...] = ()
    stuck: tuple[str, ...] = ()
    pending: str = ""
    ready_since: int = 0
    seen_at: int = 0
    report: DataPlane | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RollStep:
    """What a roll does now.

    Attributes:
        node: the node whose pods are replaced, empty for none.
        pods: the pods to delete; their successors have the new template.
        waits: what is waited for instead, empty when nothing is.
        left: nodes with pods of a former template, sorted.
    """

    node: str = ""
    pods: tuple[str, ...] = ()
    waits: str = ""
    left: tuple[str, ...] = field(default=())


def next_step(nodes: Mapping[str, NodePlane]) -> RollStep:
    """Return the next step of a roll of the data plane.

    Args:
        nodes: all nodes of a pool by name.
    """
    left = tuple(sorted(name for name, node in nodes.items() if node.outdated and node.online))
    if not left:
        return RollStep()
    stuck = next((name for name in left if nodes[name].stuck), "")
    if stuck:
        return RollStep(node=stuck, pods=nodes[stuck].stuck, left=left)
    troubles = troubles_of(nodes)
    # A node in trouble comes first, and alone: what troubles several is no fault of their pods.
    first = next((name for name in left if name in troubles), left[0])
    others = {name: trouble for name, trouble in troubles.items() if name != first}
    if others:
        shown = "; ".join(f"{name}: {trouble}" for name, trouble in [*others.items()][:_SHOWN])
        return RollStep(waits=shown, left=left)
    return RollStep(node=first, pods=nodes[first].outdated, left=left)


def troubles_of(nodes: Mapping[str, NodePlane]) -> dict[str, str]:
    """Return why nodes do not carry traffic, or why that is not known, by node, sorted.

    Nodes that are off are left out: they carry none, whatever is done to others.
    """
    online = {name: node for name, node in sorted(nodes.items()) if node.online}
    ends = {
        node.report.address
        for node in online.values()
        if node.report is not None and node.report.address and not node.pending
    }
    found = {name: _trouble(node, ends) for name, node in online.items()}
    return {name: trouble for name, trouble in found.items() if trouble}


def _trouble(node: NodePlane, ends: set[str]) -> str:
    if node.pending:
        return node.pending
    plane = node.report
    if plane is None:
        return "its node-agent does not answer, so whether it carries traffic is not known"
    if node.seen_at <= node.ready_since:
        return "its node-agent has not reported since its pods are ready"
    return _switch_trouble(plane) or _path_trouble(plane, ends)


def _switch_trouble(plane: DataPlane) -> str:
    if plane.switch_error:
        return f"its switch cannot be asked: {plane.switch_error}"
    if plane.controller != CONNECTED:
        return f"ovn-controller is {plane.controller or 'silent'}"
    return "" if plane.settled else f"its flows still change ({plane.flows} now)"


def _path_trouble(plane: DataPlane, ends: set[str]) -> str:
    if plane.idle_ports:
        ports = f"{', '.join(plane.idle_ports[:_SHOWN])} of {plane.ports} ports"
        return f"{ports} have no flows yet"
    lacking = sorted(ends - {plane.address, *plane.tunnels})
    # As many of them as the report leaves out may be there.
    if len(lacking) > plane.omitted.get("tunnels", 0):
        return f"it has no tunnel to {', '.join(lacking[:_SHOWN])}"
    if plane.silent_networks:
        networks = ", ".join(plane.silent_networks[:_SHOWN])
        return f"no metadata proxy answers in {networks}"
    return ""

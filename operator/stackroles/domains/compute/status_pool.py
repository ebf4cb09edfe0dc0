"""From what was observed of a pool's nodes to the pool's status."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stackroles.api.v1alpha1.compute import ComputeNodeStatus, ComputePoolStatus
from stackroles.api.v1alpha1.conditions import ConditionType, Reason, reason_of
from stackroles.domains.compute.status_node import READY
from stackroles.workloads.conditions import Finding, ObservationTime, all_conditions, conditions_of
from stackroles.workloads.listing import list_some

_NAMED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What a pool does with nodes.

    Attributes:
        selected: how many nodes the user's labels choose.
        pending: nodes that are to be taken, or will be when they are ready.
        leaving: nodes that are to leave.
        taken: nodes that another pool has, with that pool's name.
        releasing: nodes that it gets when the named pool has let go of them.
        ipv6: nodes that it cannot use, with their address of IPv6.
    """

    selected: int
    pending: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    taken: Mapping[str, str] = field(default_factory=dict)
    releasing: Mapping[str, str] = field(default_factory=dict)
    ipv6: Mapping[str, str] = field(default_factory=dict)


def assess_pool(
    selection: Selection,
    nodes: Mapping[str, ComputeNodeStatus],
    *,
    reconciled: Finding,
    progressing: Finding | None,
    rolling: Finding | None,
    libvirt: Finding,
    previous: ComputePoolStatus,
    observed_at: ObservationTime,
    unknown: str = "",
) -> ComputePoolStatus:
    """Return the status of a pool, without its children.

    Args:
        selection: which nodes it has, wants and may not have.
        nodes: status of each of its nodes, by node.
        reconciled: whether all was applied, or why not.
        progressing: the finding about the pool as a whole; None to derive it from its nodes.
        rolling: how the roll of the data plane stands, None when there is none.
        libvirt: whether all nodes run the libvirt that is declared.
        previous: the status so far.
        observed_at: when this was.
        unknown: why it is not known whether nodes serve; empty where it is.
    """
    ready = sorted(name for name, status in nodes.items() if status.state == READY)
    unserving = {name for name, status in nodes.items() if status.state != READY}
    unhealthy = sorted({*unserving, *selection.pending, *selection.releasing})
    available = _pool_available(selection, ready, unhealthy, unknown)
    if reconciled.reason.status == "True":
        reconciled = _unusable(selection) or reconciled
    progressing = progressing or _held_up(nodes) or rolling or _pool_progressing(selection, nodes)
    return ComputePoolStatus(
        observed_generation=observed_at.generation,
        conditions=(
            *all_conditions(reconciled, available, progressing, previous.conditions, observed_at),
            *conditions_of(
                (_guests(nodes), libvirt),
                previous.conditions,
                observed_at.generation,
                observed_at.now,
            ),
        ),
        nodes=selection.selected,
        ready=len(ready),
        vcpus=sum(nodes[name].vcpus for name in ready),
        memory_mib=sum(nodes[name].memory_mib for name in ready),
        instances=sum(status.instances for status in nodes.values()),
        unhealthy=tuple(unhealthy),
        children=previous.children,
    )


def _guests(nodes: Mapping[str, ComputeNodeStatus]) -> Finding:
    """Return on which nodes guests fail, with the first one's message."""
    conditions = {
        name: condition
        for name, status in sorted(nodes.items())
        for condition in status.conditions
        if condition.type == ConditionType.GUESTS_FAILING
    }
    for wanted in ("True", "Unknown"):
        found = {name: finding for name, finding in conditions.items() if finding.status == wanted}
        if found:
            first = next(iter(found.values()))
            more = f" Also {_names(list(found)[1:])}." if len(found) > 1 else ""
            reason = reason_of(first.reason) or Reason.GUESTS_UNKNOWN
            return Finding(reason, f"{first.message}{more}")
    return Finding(Reason.GUESTS_RUN, "Builds succeed, and guests are as nova knows them.")


def _pool_available(
    selection: Selection, ready: Sequence[str], unhealthy: Sequence[str], unknown: str
) -> Finding:
    if selection.selected == 0 and not selection.leaving:
        return Finding(
            Reason.NO_NODES,
            "No node has the labels of spec.nodeSelector: label a node, or change the selector.",
        )
    if unknown:
        return Finding(
            Reason.NODES_UNKNOWN,
            "Whether the nodes serve guests is not known, what is shown was known before: "
            f"{unknown}",
        )
    if not ready:
        return Finding(
            Reason.NODES_UNAVAILABLE, f"None of {len(unhealthy)} nodes serves guests yet."
        )
    if unhealthy:
        names = f"{', '.join(unhealthy[:_NAMED])}{' ...' if len(unhealthy) > _NAMED else ''}"
        return Finding(
            Reason.NODES_SERVE, f"{len(ready)} nodes serve guests; these do not: {names}."
        )
    return Finding(Reason.NODES_SERVE, f"All {len(ready)} nodes serve guests.")


def _pool_progressing(selection: Selection, nodes: Mapping[str, ComputeNodeStatus]) -> Finding:
    """Return what is still under way."""
    if selection.releasing:
        return Finding(Reason.ENROLLING, _releasing(selection.releasing))
    if selection.leaving:
        return Finding(
            Reason.LEAVING,
            f"{_names(selection.leaving)} leave the pool when they have no guests.",
        )
    # A node that is being taken has its ComputeNode already.
    under_way = {name for name, status in nodes.items() if status.state != READY}
    if pending := sorted(under_way.union(selection.pending)):
        return Finding(Reason.ENROLLING, f"{_names(pending)} do not serve yet.")
    lacking = sorted(name for name, status in nodes.items() if _lacks_agents(status))
    if lacking:
        return Finding(Reason.RECOVERING, f"Not all agents are ready on {_names(lacking)}.")
    return Finding(Reason.ROLLOUT_COMPLETE, "All nodes are enrolled.")


def _lacks_agents(node: ComputeNodeStatus) -> bool:
    return any(condition.reason == Reason.RECOVERING.value for condition in node.conditions)


def _held_up(nodes: Mapping[str, ComputeNodeStatus]) -> Finding | None:
    for name in sorted(nodes):
        for condition in nodes[name].conditions:
            finished = condition.reason == Reason.ROLLOUT_COMPLETE.value
            if condition.type == "Progressing" and condition.status == "False" and not finished:
                # Of another version's reasons only the message is understood.
                reason = reason_of(condition.reason) or Reason.NOT_BECOMING_READY
                return Finding(reason, f"Node {name}: {condition.message}")
    return None


def _releasing(releasing: Mapping[str, str]) -> str:
    pools = ", ".join(sorted(set(releasing.values())))
    return (
        f"{_names(sorted(releasing))} are taken when they have left ComputePool {pools}, whose "
        "conditions say what holds them there."
    )


def _unusable(selection: Selection) -> Finding | None:
    """Return why the pool does not get all nodes that it selects, None when it does."""
    if selection.taken:
        return _claimed(selection.taken)
    if not selection.ipv6:
        return None
    named = [f"{node} ({address})" for node, address in sorted(selection.ipv6.items())]
    return Finding(
        Reason.IPV4_REQUIRED,
        f"The agents of a compute node use its first InternalIP, which must be of IPv4: "
        f"{_names(named)}. Have its kubelet report an address of IPv4 first (--node-ip), or take "
        "the pool's labels off the node.",
    )


def _claimed(taken: Mapping[str, str]) -> Finding:
    named = [f"{node} belongs to ComputePool {pool}" for node, pool in sorted(taken.items())]
    return Finding(
        Reason.NODE_CLAIMED,
        f"A node has one pool: {_names(named)}. Change spec.nodeSelector of one of the pools, or "
        "the labels of the node.",
    )


def _names(items: Sequence[str]) -> str:
    return list_some(items, _NAMED)

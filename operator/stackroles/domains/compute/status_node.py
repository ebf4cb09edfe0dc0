"""From what was observed of a compute node to its status."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles.api.v1alpha1.compute import ComputeNodeStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding, Look, all_conditions
from stackroles.workloads.pod import first_finding, is_ready

Object = Mapping[str, Any]
_GONE = (
    "Its node is gone from Kubernetes; it comes back with a node of the same name and labels. If "
    "the machine is gone for good, evacuate its guests (openstack server evacuate) or delete them: "
    "a host without guests is removed from the cloud."
)
READY, ENROLLING, UNAVAILABLE, LEAVING = "Ready", "Enrolling", "Unavailable", "Leaving"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostFacts:
    """What nova and placement say of a host."""

    up: bool
    enabled: bool
    reason: str = ""
    vcpus: int = 0
    memory_mib: int = 0
    guests: int = 0
    zone: str = ""

    @property
    def words(self) -> str:
        """The service's state as people say it: "up, enabled"."""
        state = f"{'up' if self.up else 'down'}, {'enabled' if self.enabled else 'disabled'}"
        return state if self.enabled or not self.reason else f"{state}: {self.reason}"[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedNode:
    """A compute node as observed.

    Attributes:
        host: what the cloud says of it, None where it says nothing (yet).
        pods: its agents' pods.
        roles: how many agents it must have.
        mapped: whether the scheduler knows the host.
        leaving: whether it shall leave the pool.
        gone: whether there is no such node in Kubernetes.
        silence: why the cloud could not be asked, empty when it could.
        zone: the availability zone that it must be in, None for any.
    """

    host: HostFacts | None
    pods: Sequence[Object]
    roles: int
    mapped: bool
    leaving: bool = False
    gone: bool = False
    silence: str = ""
    zone: str | None = None


def read_report(pods: Iterable[Object], probe: str) -> dict[str, str]:
    """Return what the probe of a node left in its termination message; empty before it ran."""
    for pod in pods:
        for container in pod.get("status", {}).get("initContainerStatuses") or ():
            ended = container.get("state", {}).get("terminated") or {}
            if container["name"] == probe and ended.get("exitCode") == 0:
                return _parse(ended.get("message") or "")
    return {}


def _parse(text: str) -> dict[str, str]:
    try:
        content = json.loads(text)
    except ValueError:
        return {}
    return {str(k): str(v) for k, v in content.items()} if isinstance(content, dict) else {}


def assess_node(
    observed: ObservedNode, report: Mapping[str, str], previous: ComputeNodeStatus, look: Look
) -> ComputeNodeStatus:
    """Return the status of a ComputeNode.

    Args:
        observed: the node.
        report: what its probe said, empty when it is not known now.
        previous: the status so far.
        look: when this was.
    """
    new = previous.state not in (READY, UNAVAILABLE)
    available, progressing = _node_available(observed), _node_progressing(observed, look.now, new)
    state = _state(observed, available, previous.state, new=new)
    host = observed.host
    known = host or _known_before(observed, previous)
    return ComputeNodeStatus(
        observed_generation=look.generation,
        conditions=all_conditions(
            Finding(Reason.APPLIED), available, progressing, previous.conditions, look
        ),
        state=state,
        service_state=_service_state(observed, previous),
        virt_type=report.get("virtType") or previous.virt_type,
        virt_reason=report.get("virtReason") or previous.virt_reason,
        compute_id=report.get("computeId") or previous.compute_id,
        host_uuid=report.get("hostUuid") or previous.host_uuid,
        vcpus=known.vcpus,
        memory_mib=known.memory_mib,
        guests=known.guests,
        children=(),
    )


def _known_before(observed: ObservedNode, previous: ComputeNodeStatus) -> HostFacts:
    """Return a host's numbers so far while the cloud is silent, none for one it does not know."""
    if not observed.silence:
        return HostFacts(up=False, enabled=False)
    return HostFacts(
        up=False,
        enabled=False,
        vcpus=previous.vcpus,
        memory_mib=previous.memory_mib,
        guests=previous.guests,
    )


def _service_state(observed: ObservedNode, previous: ComputeNodeStatus) -> str | None:
    if observed.host is not None:
        return observed.host.words
    return previous.service_state if observed.silence else None


def _state(observed: ObservedNode, available: Finding, before: str | None, *, new: bool) -> str:
    if observed.leaving:
        return LEAVING
    if available.reason is Reason.NODES_SERVE:
        return READY
    if available.reason is Reason.NODES_UNKNOWN and not new:
        return before or UNAVAILABLE
    # A node that never served is still on its way, whatever holds it up.
    return ENROLLING if new else UNAVAILABLE


def _node_available(observed: ObservedNode) -> Finding:
    if observed.silence:
        return Finding(
            Reason.NODES_UNKNOWN,
            "Whether it serves guests is not known, what is shown was known before: "
            f"{observed.silence}",
        )
    trouble = _host_trouble(observed.host, observed.zone, mapped=observed.mapped)
    if trouble:
        return Finding(Reason.NODES_UNAVAILABLE, trouble)
    return Finding(Reason.NODES_SERVE, "The scheduler may place guests on it.")


def _host_trouble(host: HostFacts | None, zone: str | None, *, mapped: bool) -> str:
    if host is None:
        return "nova does not know the host yet."
    if not host.up:
        return "nova-compute does not report (service down)."
    if not host.enabled:
        return f"The service is disabled in nova: {host.reason or 'no reason was given'}."
    if not mapped:
        return "The host is not mapped into its cell yet."
    if zone not in (None, host.zone):
        return f"The host is in availability zone {host.zone or '(none)'}, not in {zone} yet."
    return "" if host.vcpus else "Placement does not know its resources yet."


def _node_progressing(observed: ObservedNode, now: datetime, new: bool) -> Finding:
    if observed.gone:
        return Finding(Reason.LEAVING, _GONE)
    if observed.leaving:
        return Finding(Reason.LEAVING, "It leaves the pool when it has no guests.")
    trouble = first_finding(observed.pods, now)
    if trouble is not None:
        return trouble
    ready = sum(1 for pod in observed.pods if is_ready(pod))
    if ready < observed.roles:
        reason = Reason.ENROLLING if new else Reason.RECOVERING
        return Finding(reason, f"{ready} of {observed.roles} agents are ready.")
    return Finding(Reason.ROLLOUT_COMPLETE, f"All {observed.roles} agents are ready.")

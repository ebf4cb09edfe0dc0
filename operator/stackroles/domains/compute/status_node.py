"""From what was observed of a compute node to its status."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles.agents import wire
from stackroles.agents.compute.node_protocol import BuildFailure, NodeReport
from stackroles.agents.compute.probe_protocol import ProbeReport
from stackroles.api.v1alpha1.compute import ComputeNodeStatus, InstanceStates
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import ANNOTATION_PROBE
from stackroles.domains.compute.status_instances import (
    Instance,
    assess_guests,
    count_domains,
    count_nova,
    differences,
)
from stackroles.domains.compute.status_network import assess_network
from stackroles.workloads.conditions import Finding, ObservationTime, all_conditions, conditions_of
from stackroles.workloads.pod import containers_of, first_finding, is_ready

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
    instances: tuple[Instance, ...] = ()
    zone: str = ""

    @property
    def message(self) -> str:
        """The service's state in a sentence: "up, enabled"."""
        state = f"{'up' if self.up else 'down'}, {'enabled' if self.enabled else 'disabled'}"
        return state if self.enabled or not self.reason else f"{state}: {self.reason}"[:32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """Builds that failed on a host, and what was done about them.

    Attributes:
        failures: those in a row that no probe guest has answered, the newest last.
        closed: the fault for which the host's service is disabled, empty where it is not.
        counted_from: when a probe guest last answered some.
        request: the probe that was asked for, empty for none.
    """

    failures: tuple[BuildFailure, ...] = ()
    closed: str = ""
    counted_from: datetime | None = None
    request: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedNode:
    """A compute node as observed.

    Attributes:
        name: its name.
        host: what the cloud says of it, None where it says nothing (yet).
        pods: its agents' pods.
        roles: how many agents it must have.
        mapped: whether the scheduler knows the host.
        leaving: whether it shall leave the pool.
        gone: whether there is no such node in Kubernetes.
        api_error: why the cloud could not be asked, empty when it could.
        zone: the availability zone that it must be in, None for any.
        report: what its agent says, None while it does not.
        builds: builds that failed here, and what follows from them.
        outdated: roles with a pod of a former template.
    """

    name: str = ""
    host: HostFacts | None
    pods: Sequence[Object]
    roles: int
    mapped: bool
    leaving: bool = False
    gone: bool = False
    api_error: str = ""
    zone: str | None = None
    report: NodeReport | None = None
    builds: Builds = Builds()
    outdated: tuple[str, ...] = ()


def read_report(pods: Iterable[Object], probe: str) -> ProbeReport | None:
    """Return the newest report that a node's probes left in their termination messages.

    Args:
        pods: pods of the node, those of probes on request among them.
        probe: the name of the container that probes.
    """
    reports = (_report_of(pod, probe) for pod in pods)
    found = [report for report in reports if report is not None]
    return max(found, key=lambda report: (report.probed_at, report.request), default=None)


def _report_of(pod: Object, probe: str) -> ProbeReport | None:
    for container in containers_of(pod):
        ended = container.get("state", {}).get("terminated") or {}
        if container["name"] == probe and ended.get("exitCode") == 0:
            return _read(ended.get("message") or "")
    return None


def _read(message: str) -> ProbeReport | None:
    """Return the report in a termination message, None where it is none."""
    try:
        return wire.loads(ProbeReport, message)
    except wire.WireError:
        return None


def assess_node(
    observed: ObservedNode,
    report: ProbeReport | None,
    previous: ComputeNodeStatus,
    observed_at: ObservationTime,
) -> ComputeNodeStatus:
    """Return the status of a ComputeNode.

    Args:
        observed: the node.
        report: what its probe guest showed, None when that is not known now.
        previous: the status so far.
        observed_at: when this was.
    """
    new = previous.state not in (READY, UNAVAILABLE)
    probed = report or _probed_before(previous)
    available = _unproven(probed) or _node_available(observed)
    progressing = _node_progressing(observed, observed_at.now, new)
    state = _state(observed, available, previous.state, new=new)
    differing = _differences(observed, previous, observed_at.now)
    guests = assess_guests(
        observed.name, observed.builds.failures, observed.builds.closed, observed.report, differing
    )
    own = (guests, assess_network(observed.report))
    return ComputeNodeStatus(
        observed_generation=observed_at.generation,
        conditions=(
            *all_conditions(
                Finding(Reason.APPLIED), available, progressing, previous.conditions, observed_at
            ),
            *conditions_of(own, previous.conditions, observed_at.generation, observed_at.now),
        ),
        state=state,
        service_state=_service_state(observed, previous),
        virt_type=probed.virt_type or None,
        virt_proven=probed.proven if probed.virt_type else None,
        virt_reason=probed.reason or None,
        cpu_mode=probed.cpu_mode or None,
        machine_type=probed.machine_type or None,
        probed_at=probed.probed_at or None,
        probe_request=probed.request or None,
        compute_id=probed.compute_id or previous.compute_id,
        host_uuid=probed.host_uuid or previous.host_uuid,
        **_numbers(observed, previous),
        libvirt_states=_libvirt_states(observed.report),
        differences=differing,
        build_failures=len(observed.builds.failures),
        builds_counted_from=observed.builds.counted_from,
        guest_probe=observed.builds.request or None,
        outdated=observed.outdated,
        children=(),
    )


def _probed_before(previous: ComputeNodeStatus) -> ProbeReport:
    """Return the report that a status was made of; a node that was never probed proves nothing."""
    return ProbeReport(
        virt_type=previous.virt_type or "",
        proven=previous.virt_proven is not False,
        reason=previous.virt_reason or "",
        cpu_mode=previous.cpu_mode or "",
        machine_type=previous.machine_type or "",
        probed_at=previous.probed_at or "",
        request=previous.probe_request or "",
        compute_id=previous.compute_id or "",
        host_uuid=previous.host_uuid or "",
    )


def _unproven(probed: ProbeReport) -> Finding | None:
    """Return why a node takes no guests although all its agents may run."""
    if probed.proven:
        return None
    return Finding(
        Reason.PROBE_GUEST_FAILED,
        f"No guest runs here. {probed.reason}. Tried again when nova-compute's pod starts, or by: "
        f"kubectl annotate computenode <name> {ANNOTATION_PROBE}=$(date +%s) --overwrite",
    )


def _numbers(observed: ObservedNode, previous: ComputeNodeStatus) -> dict[str, Any]:
    """Return what the cloud counts of a host: as before while it is silent, none if unknown."""
    host = observed.host
    if host is not None:
        return {
            "vcpus": host.vcpus,
            "memory_mib": host.memory_mib,
            "instances": len(host.instances),
            "nova_states": count_nova(host.instances),
        }
    if not observed.api_error:
        return {}
    names = ("vcpus", "memory_mib", "instances", "nova_states")
    return {name: getattr(previous, name) for name in names}


def _libvirt_states(report: NodeReport | None) -> InstanceStates | None:
    if report is None or report.libvirt_error:
        return None
    return count_domains(report.domains, report.domains_omitted)


def _differences(
    observed: ObservedNode, previous: ComputeNodeStatus, now: datetime
) -> tuple[str, ...]:
    """Return where nova and libvirt differ: as before while the cloud or the agent is silent."""
    report = observed.report
    if observed.api_error or report is None or report.libvirt_error:
        return previous.differences
    instances = observed.host.instances if observed.host else ()
    return differences(instances, report.domains, now, whole=not report.domains_omitted)


def _service_state(observed: ObservedNode, previous: ComputeNodeStatus) -> str | None:
    if observed.host is not None:
        return observed.host.message
    return previous.service_state if observed.api_error else None


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
    if observed.api_error:
        return Finding(
            Reason.NODES_UNKNOWN,
            "Whether it serves guests is not known, what is shown was known before: "
            f"{observed.api_error}",
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

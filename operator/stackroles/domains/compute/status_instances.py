"""A node's instances as nova and as libvirt know them, and where the two differ."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from stackroles.agents.compute.node_protocol import FAULT_LIMIT, BuildFailure, Domain, NodeReport
from stackroles.api.v1alpha1.compute import InstanceStates
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.constants import ANNOTATION_PROBE
from stackroles.workloads.conditions import Finding
from stackroles.workloads.listing import list_some

RUNNING, PAUSED, SHUT_OFF, CRASHED, OTHER = "running", "paused", "shut off", "crashed", "other"
# nova follows libvirt's events within seconds, and is itself polled only so often.
SETTLED_SECONDS = 90
_SHOWN: Final = 3
# nova's status of a server and the state in which libvirt has it; others say nothing of libvirt.
_EXPECTED: Final[Mapping[str, str]] = {
    "ACTIVE": RUNNING,
    "PASSWORD": RUNNING,
    "RESCUE": RUNNING,
    "VERIFY_RESIZE": RUNNING,
    "PAUSED": PAUSED,
    "SHUTOFF": SHUT_OFF,
    "SUSPENDED": SHUT_OFF,
}
# A guest that ended by itself is shut off to nova in either case.
_ENDED = frozenset({SHUT_OFF, CRASHED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """One instance as nova knows it.

    Attributes:
        uuid: its UUID.
        name: its name.
        status: ACTIVE, SHUTOFF, ERROR ...
        task: what is being done to it, empty for nothing.
        updated: when nova last changed its record, None when it does not say.
    """

    uuid: str
    name: str
    status: str
    task: str = ""
    updated: datetime | None = None


def count_nova(instances: Iterable[Instance]) -> InstanceStates:
    """Return how many instances are in which state, as nova knows them."""
    states = Counter(
        CRASHED if found.status == "ERROR" else _EXPECTED.get(found.status, OTHER)
        for found in instances
    )
    return _states(states)


def count_domains(domains: Iterable[Domain], omitted: int = 0) -> InstanceStates:
    """Return how many instances are in which state, as libvirt knows them.

    Args:
        domains: those that are reported.
        omitted: how many more there are; they count as other.
    """
    return _states(Counter(domain.state for domain in domains) + Counter({OTHER: omitted}))


def _states(counted: Mapping[str, int]) -> InstanceStates:
    return InstanceStates(
        running=counted.get(RUNNING, 0),
        paused=counted.get(PAUSED, 0),
        shut_off=counted.get(SHUT_OFF, 0),
        crashed=counted.get(CRASHED, 0),
        other=sum(n for state, n in counted.items() if state not in
                  (RUNNING, PAUSED, SHUT_OFF, CRASHED)),
    )  # fmt: skip


def differences(
    instances: Sequence[Instance],
    domains: Sequence[Domain],
    now: datetime,
    *,
    whole: bool = True,
) -> tuple[str, ...]:
    """Return where nova and libvirt differ about instances, a sentence each, sorted.

    What changed within the last minute and a half is left out: they are asked at different times.

    Args:
        instances: those nova has on the node.
        domains: those libvirt has there.
        now: the time of the observation.
        whole: whether these are all guests there; nothing follows for others.
    """
    known = {domain.uuid: domain for domain in domains}
    found = [
        _difference(instance, known.pop(instance.uuid, None), now)
        for instance in sorted(instances, key=lambda instance: instance.name)
        if whole or instance.uuid in known
    ]
    found += [
        f"{domain.uuid}: nova has no such instance here, libvirt has it {domain.state}"
        for domain in known.values()
        if _settled(domain, now)
    ]
    return tuple(difference for difference in found if difference)


def _difference(instance: Instance, domain: Domain | None, now: datetime) -> str:
    expected = _EXPECTED.get(instance.status)
    if instance.task or expected is None:
        return ""
    name = f"{instance.name} ({instance.uuid})"
    if domain is None:
        recent = instance.updated and (now - instance.updated).total_seconds() < SETTLED_SECONDS
        missing = expected is not SHUT_OFF and not recent
        return f"{name}: nova says {instance.status}, libvirt does not have it" if missing else ""
    same = domain.state == expected or {domain.state, expected} <= _ENDED
    if same or not _settled(domain, now):
        return ""
    reason = f" ({domain.reason})" if domain.reason else ""
    return f"{name}: nova says {instance.status}, libvirt says {domain.state}{reason}"


def _settled(domain: Domain, now: datetime) -> bool:
    return now.timestamp() - domain.since >= SETTLED_SECONDS


def assess_guests(
    node: str,
    failures: Sequence[BuildFailure],
    closed: str,
    report: NodeReport | None,
    differing: Sequence[str],
) -> Finding:
    """Return whether guests of a node fail, for its condition GuestsFailing.

    Args:
        node: the node.
        failures: builds that failed in a row, the newest last.
        closed: the fault for which its service is disabled, empty where it is not.
        report: what its agent says, None while it does not.
        differing: where nova and libvirt differ.
    """
    if closed:
        return Finding(
            Reason.BUILDS_FAIL,
            f"Builds of instances failed on {node} one after the other, last with: "
            f"{closed[:FAULT_LIMIT]}. Its "
            "service is disabled in nova until a probe guest has run there. Where the first one "
            "failed too, mend what the fault names, then ask for another: kubectl annotate "
            f"computenode {node} {ANNOTATION_PROBE}=$(date +%s) --overwrite",
        )
    if failures:
        return Finding(
            Reason.BUILDS_FAIL,
            f"{len(failures)} builds of instances in a row failed on {node}, last with: "
            f"{failures[-1].fault[:FAULT_LIMIT]}",
        )
    if differing:
        shown = list_some(differing, _SHOWN, separator="; ")
        return Finding(
            Reason.GUESTS_DIFFER,
            f"On {node} guests are not as nova knows them: {shown}. "
            "Start or stop them by openstack server, or reset them (openstack server reboot "
            "--hard).",
        )
    if report is None:
        return Finding(
            Reason.GUESTS_UNKNOWN, f"The node-agent of {node} does not answer; see its pod."
        )
    if report.libvirt_error:
        return Finding(
            Reason.GUESTS_UNKNOWN, f"libvirt of {node} cannot be asked: {report.libvirt_error}"
        )
    return Finding(Reason.GUESTS_RUN, "Builds succeed, and guests are as nova knows them.")

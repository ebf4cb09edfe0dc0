"""How the brokers stand, as far as it shows in a cloud's status; pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from stackroles.agents.broker.protocol import BrokerStatus, State, VhostQueues
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.conditions import ConditionType, Reason, reason_of
from stackroles.domains.messaging.model import Brokers
from stackroles.roles.topology import DEFAULT
from stackroles.workloads.conditions import Finding
from stackroles.workloads.course import Course
from stackroles.workloads.listing import list_some

MESSAGING = DEFAULT.broker.name
_UNKNOWN: Final = Finding(Reason.BROKERS_UNKNOWN, "No broker has answered yet.")
# A volume is reported before publishers are blocked for it: at so many times the limit.
_LIMITS_LEFT: Final = 5


@dataclass(frozen=True, slots=True)
class MessagingState:
    """How the messaging cluster stands.

    Attributes:
        problem: what keeps members out of it that needs a person, None where nothing does.
        health: whether brokers or queues lack something while they serve.
        note: what is under way, where there are to be fewer; empty when nothing is.
        course: how it comes back from a loss.
    """

    problem: Finding | None = None
    health: Finding = _UNKNOWN
    note: str = ""
    course: Course = field(default_factory=Course)


def assess_health(observed: Brokers, *further: Finding) -> Finding:
    """Return what brokers and queues lack, worst first, with the accounts and queues known.

    Args:
        observed: all brokers.
        further: what else is found of those that use them.
    """
    reports = {b.pod: b.report for b in observed.members if b.report}
    serving = {pod: r for pod, r in reports.items() if r.state is State.RUNNING}
    if not serving:
        return Finding(Reason.BROKERS_UNKNOWN, "No broker serves that could be asked.")
    queues = _queues(serving.values())
    found = (
        *(Finding(Reason.BROKER_ALARM, text) for text in _alarms(serving)),
        *(Finding(Reason.QUEUES_WITHOUT_MAJORITY, text) for text in _silent(queues)),
        *(Finding(Reason.BROKERS_PARTED, text) for text in _parted(serving)),
        *(Finding(Reason.BROKER_VOLUME_FILLING, text) for text in _filling(serving)),
        *(Finding(Reason.QUEUES_TOO_SMALL, text) for text in _small(queues)),
        *further,
    )
    if not found:
        return Finding(Reason.BROKERS_SOUND, "Every queue has its members; no broker has an alarm.")
    return Finding(found[0].reason, " ".join(finding.message for finding in found))


def _queues(reports: Iterable[BrokerStatus]) -> dict[str, VhostQueues]:
    """Return the queues by virtual host, as the broker reports them that counts most in trouble."""
    worst: dict[str, VhostQueues] = {}
    for report in reports:
        for vhost, queues in report.queues.items():
            known = worst.get(vhost)
            if known is None or (queues.silent, queues.small) > (known.silent, known.small):
                worst[vhost] = queues
    return dict(sorted(worst.items()))


def _alarms(serving: dict[str, BrokerStatus]) -> list[str]:
    texts = []
    for pod, report in sorted(serving.items()):
        if report.alarms:
            what = " and ".join(alarm.replace("_", " ") for alarm in report.alarms)
            texts.append(
                f"{pod} has an alarm ({what}): nobody can publish until it has enough again."
                f"{_space(report)}{_largest(report)}"
            )
    return texts


def _space(report: BrokerStatus) -> str:
    if "disk" not in report.alarms or report.disk_free < 0:
        return ""
    free, limit = report.disk_free >> 20, report.disk_limit >> 20
    return f" {free} MiB of its volume are free, and {limit} MiB must be."


def _largest(report: BrokerStatus) -> str:
    return f" Most messages of its queues are in {report.largest}." if report.largest else ""


def _silent(queues: dict[str, VhostQueues]) -> list[str]:
    lack = "have no majority of their members or no leader"
    return [
        _lacking(vhost, found.total, found.silent, lack, found.silent_names)
        for vhost, found in queues.items()
        if found.silent
    ]


def _small(queues: dict[str, VhostQueues]) -> list[str]:
    lack = "have fewer members than there are brokers"
    return [
        _lacking(vhost, found.total, found.small, lack, found.small_names)
        for vhost, found in queues.items()
        if found.small
    ]


def _lacking(vhost: str, total: int, count: int, lack: str, names: Sequence[str]) -> str:
    listed = list_some(names, len(names), total=count)
    return f"{count} of {total} queues of {vhost} {lack}: {listed}."


def _parted(serving: dict[str, BrokerStatus]) -> list[str]:
    return [
        f"{pod} is parted from {', '.join(sorted(map(pod_of, report.partitions)))}."
        for pod, report in sorted(serving.items())
        if report.partitions
    ]


def _filling(serving: dict[str, BrokerStatus]) -> list[str]:
    texts = []
    for pod, report in sorted(serving.items()):
        known = report.disk_free >= 0 and report.disk_limit >= 0 and "disk" not in report.alarms
        if known and report.disk_free < _LIMITS_LEFT * report.disk_limit:
            texts.append(
                f"{report.disk_free >> 20} MiB of the volume of {pod} are free; below "
                f"{report.disk_limit >> 20} MiB nobody can publish.{_largest(report)}"
            )
    return texts


def pod_of(node: str) -> str:
    """Return the pod that a node is, such as rabbit@demo-rabbitmq-0.demo-rabbitmq.ns.svc."""
    return node.partition("@")[2].partition(".")[0]


def remembered_messaging(previous: CloudControllerStatus) -> MessagingState:
    """Return how it stood by a cloud's status: what is known of it when an operator begins."""
    known = {condition.type: condition for condition in previous.conditions}
    degraded = known.get(ConditionType.MESSAGING_DEGRADED)
    reason = reason_of(degraded.reason) if degraded else None
    health = Finding(reason, degraded.message) if degraded and reason else _UNKNOWN
    progressing = known.get(ConditionType.PROGRESSING)
    role = next((role for role in previous.roles if role.name == MESSAGING), None)
    if progressing is None or progressing.reason != Reason.MESSAGING_BLOCKED.value or role is None:
        return MessagingState(health=health)
    message = role.message or progressing.message
    return MessagingState(Finding(Reason.MESSAGING_BLOCKED, message), health)

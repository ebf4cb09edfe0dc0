"""Which brokers are in their cluster, and which have left it; pure."""

from collections.abc import Mapping

from stackroles.agents.broker.protocol import BrokerStatus, State
from stackroles.domains.messaging.status import pod_of
from stackroles.workloads.departures import MemberView


def view_members(reports: Mapping[str, BrokerStatus | None]) -> Mapping[int, MemberView]:
    """Return what is known of each broker, by ordinal; who did not answer is left out.

    A broker has left when it says so and none that serves counts it any more.

    Args:
        reports: by pod name; None without an answer.
    """
    known = {pod: report for pod, report in reports.items() if report is not None}
    serving = [report for report in known.values() if report.state is State.RUNNING]
    counted = {pod_of(node) for report in serving for node in report.members}
    return {
        int(pod.rpartition("-")[2]): MemberView(
            healthy=_is_healthy(report),
            left=report.state is State.LEFT and bool(serving) and pod not in counted,
        )
        for pod, report in known.items()
    }


def _is_healthy(report: BrokerStatus) -> bool:
    majority = 2 * len(report.running) > len(report.members)
    return report.state is State.RUNNING and majority and not report.message

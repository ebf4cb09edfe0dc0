"""Which members of an OVN database are in their cluster, and which have left it; pure."""

from collections.abc import Mapping

from stackroles.agents.ovsdb.protocol import OvsdbStatus, State
from stackroles.domains.ovn.status import Reports, serves
from stackroles.workloads.departures import MemberView


def view_members(reports: Reports) -> Mapping[int, MemberView]:
    """Return what is known of each member, by ordinal; who did not answer is left out.

    A member has left when it says so and no server that serves counts it any more.

    Args:
        reports: by pod name; None without an answer.
    """
    known = {pod: report for pod, report in reports.items() if report is not None}
    counted = {
        server.address
        for report in known.values()
        if serves(report) and report.view is not None
        for server in report.view.servers
    }
    return {int(pod.rpartition("-")[2]): _view(pod, r, counted) for pod, r in known.items()}


def _view(pod: str, report: OvsdbStatus, counted: set[str]) -> MemberView:
    is_counted = any(address.partition(":")[2].startswith(f"{pod}.") for address in counted)
    return MemberView(
        healthy=serves(report) and report.view is not None and report.view.is_member,
        left=report.state is State.LEFT and bool(counted) and not is_counted,
    )

"""Whether changes of networks reach a node; pure."""

from stackroles.agents.compute.node_protocol import NodeReport
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.compute.rolling import CONNECTED
from stackroles.workloads.conditions import Finding


def assess_network(report: NodeReport | None) -> Finding:
    """Return whether a node's ovn-controller follows the southbound database.

    Args:
        report: of the node's agent, None when it does not answer.
    """
    if report is None:
        return Finding(Reason.NETWORK_UNKNOWN, "The node's agent does not answer.")
    state = report.data_plane.controller
    if state == CONNECTED:
        return Finding(Reason.NETWORK_FOLLOWED)
    if report.data_plane.switch_error:
        why = f"Its switch cannot be asked: {report.data_plane.switch_error}"
        return Finding(Reason.NETWORK_UNKNOWN, why)
    return Finding(
        Reason.NETWORK_STALE,
        f"ovn-controller is {state or 'silent'}: guests keep the network that they have, and no "
        "change of it reaches this node. It looks for a member of the southbound database by "
        "itself; where all nodes say so, see the role ovn-sb of the CloudController.",
    )

"""A node whose ovn-controller has lost OVN's database says so."""

import pytest

from stackroles.agents.compute.node_protocol import DataPlane, NodeReport
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.compute.status_network import assess_network


@pytest.mark.parametrize(
    ("report", "reason", "says"),
    [
        (None, Reason.NETWORK_UNKNOWN, "does not answer"),
        (NodeReport(data_plane=DataPlane(controller="connected")), Reason.NETWORK_FOLLOWED, ""),
        (
            NodeReport(data_plane=DataPlane(controller="not connected")),
            Reason.NETWORK_STALE,
            "ovn-controller is not connected: guests keep the network",
        ),
        (NodeReport(), Reason.NETWORK_STALE, "ovn-controller is silent"),
        (
            NodeReport(data_plane=DataPlane(switch_error="no socket")),
            Reason.NETWORK_UNKNOWN,
            "Its switch cannot be asked: no socket",
        ),
    ],
)
def test_whether_changes_reach_a_node(report: NodeReport | None, reason: Reason, says: str) -> None:
    found = assess_network(report)
    assert found.reason is reason
    assert says in found.message

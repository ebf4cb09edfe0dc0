"""Asks the agents of compute nodes how these stand."""

from collections.abc import Mapping

from stackroles.agents.compute.node_protocol import PORT, REPORT_PATH, NodeReport
from stackroles.reconcile.pod_http import get_messages, url_of


async def pull_node_reports(addresses: Mapping[str, str]) -> dict[str, NodeReport | None]:
    """Return what each node's agent says, by node; None of one that does not.

    Args:
        addresses: the agent's pod address by node.
    """
    urls = {name: url_of(ip, PORT, REPORT_PATH) for name, ip in addresses.items()}
    return await get_messages(NodeReport, urls)

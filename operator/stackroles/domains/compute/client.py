"""Asks the agents of compute nodes how these stand."""

from collections.abc import Mapping

from stackroles.agents.compute.node_protocol import PORT, NodeReport, report_from_json
from stackroles.reconcile.pod_http import get_all, url_of


async def pull_node_reports(addresses: Mapping[str, str]) -> dict[str, NodeReport | None]:
    """Return what each node's agent says, by node; None of one that does not.

    Args:
        addresses: the agent's pod address by node.
    """
    answers = await get_all({name: url_of(ip, PORT, "/report") for name, ip in addresses.items()})
    return {name: report_from_json(answer) for name, answer in answers.items()}

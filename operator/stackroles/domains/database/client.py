"""Asks role pods what they are: HTTP at pod addresses, without the Kubernetes API.

No answer is None: unknown, never down.
"""

from collections.abc import Mapping

from stackroles.agents.galera.protocol import PORT, REPORT_PATH, Report
from stackroles.reconcile.pod_http import get_all, get_messages, url_of
from stackroles.roles.haproxy import STATS_PORT


async def pull_reports(addresses: Mapping[str, str]) -> dict[str, Report | None]:
    """Return each database member's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name.
    """
    urls = {name: url_of(ip, PORT, REPORT_PATH) for name, ip in addresses.items()}
    return await get_messages(Report, urls)


async def pull_writers(addresses: Mapping[str, str]) -> dict[str, int | None]:
    """Return the number of the member each proxy sends clients to, by pod name.

    0 means that no client has come yet; None that the proxy did not answer.

    Args:
        addresses: pod address by pod name.
    """
    urls = {name: url_of(ip, STATS_PORT, "/writer") for name, ip in addresses.items()}
    return {name: parse_writer(answer) for name, answer in (await get_all(urls)).items()}


def parse_writer(answer: str | None) -> int | None:
    """Return a proxy's answer as a number, None when it is none."""
    text = (answer or "").strip()
    return int(text) if text.isdecimal() else None

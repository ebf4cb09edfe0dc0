"""Which of several addresses is used: the services inside a cloud listen on IPv4."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any


def is_ipv6(text: str) -> bool:
    """Return whether a text is an IPv6 address; any other text is none."""
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False


def node_address(node: Mapping[str, Any]) -> str:
    """Return a node's first InternalIP, which `status.hostIP` of its pods is; empty without one."""
    addresses = (node.get("status") or {}).get("addresses") or ()
    return next((a["address"] for a in addresses if a["type"] == "InternalIP"), "")


def pod_address(pod: Mapping[str, Any]) -> str:
    """Return a pod's IPv4 address, empty while it has none.

    `status.podIP` is the first of `status.podIPs`, of whichever family the cluster puts first.
    """
    status = pod.get("status") or {}
    found = [entry.get("ip", "") for entry in status.get("podIPs") or ()]
    found = found or [status.get("podIP") or ""]
    return next((ip for ip in found if ip and not is_ipv6(ip)), "")

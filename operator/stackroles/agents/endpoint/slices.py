"""What EndpointSlices say of a Service's members: pure functions of the objects.

The fields are those of discovery.k8s.io/v1. A Service that publishes unready addresses lists every
pod that runs; `terminating` is set from the moment that the pod is deleted.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Object = Mapping[str, Any]

_SERVICE = "kubernetes.io/service-name"
_NUMERIC = ("IPv4", "IPv6")


def members(slices: Iterable[Object], service: str) -> dict[str, bool]:
    """Return the addresses of a Service's pods, ready or not, and whether each is to be drained.

    A pod may be in two slices while these are rearranged; it is drained when both say that it
    terminates, since one of them may be the older one.

    Args:
        slices: EndpointSlices, of other Services too.
        service: the Service's name.
    """
    found: dict[str, bool] = {}
    for item in slices:
        labels = item.get("metadata", {}).get("labels") or {}
        if labels.get(_SERVICE) != service or item.get("addressType") not in _NUMERIC:
            continue
        for endpoint in item.get("endpoints") or ():
            leaves = bool((endpoint.get("conditions") or {}).get("terminating"))
            # Of several addresses all are the same pod's: one is enough (KEP-752).
            for address in (endpoint.get("addresses") or ())[:1]:
                found[address] = leaves and found.get(address, True)
    return found

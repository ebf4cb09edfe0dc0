"""What EndpointSlices say of a Service's members: pure functions of the objects.

The fields are those of discovery.k8s.io/v1. A Service that publishes unready addresses lists every
pod that runs; `terminating` is set from the moment that the pod is deleted. Without any pod there
is one slice whose `endpoints` are null; it has the Service's labels as all others have.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from stackroles.agents.endpoint.protocol import PAUSED_LABEL

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
        if _labels(item).get(_SERVICE) != service or item.get("addressType") not in _NUMERIC:
            continue
        for endpoint in item.get("endpoints") or ():
            leaves = bool((endpoint.get("conditions") or {}).get("terminating"))
            # Of several addresses all are the same pod's: one is enough (KEP-752).
            for address in (endpoint.get("addresses") or ())[:1]:
                found[address] = leaves and found.get(address, True)
    return found


def paused_by(slices: Iterable[Object], service: str) -> str:
    """Return the name of the Restore that pauses a Service's role, "" when none does.

    Slices get a label one after the other: the first of them is enough, and the last to lose it
    ends the pause.

    Args:
        slices: EndpointSlices, of other Services too.
        service: the Service's name.
    """
    names = (
        _labels(item).get(PAUSED_LABEL) for item in slices if _labels(item).get(_SERVICE) == service
    )
    return min(filter(None, names), default="")


def _labels(item: Object) -> Mapping[str, str]:
    return item.get("metadata", {}).get("labels") or {}

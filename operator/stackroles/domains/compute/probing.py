"""Which node has to run its probe guest again, and what follows from a report."""

from collections.abc import Mapping
from typing import Any

from stackroles import naming
from stackroles.agents.compute.probe_protocol import ProbeReport
from stackroles.constants import ANNOTATION_PROBE

Object = Mapping[str, Any]

_JOINT = "+"
_LONGEST = 63


def requests_of(node: Object) -> tuple[str, ...]:
    """Return what asks a node to run its probe guest again.

    Args:
        node: the ComputeNode: a person's request is its annotation, the operator's is in its
            status.
    """
    annotation = (node["metadata"].get("annotations") or {}).get(ANNOTATION_PROBE, "")
    own = (node.get("status") or {}).get("guestProbe") or ""
    return tuple(_short(request) for request in (annotation, own) if request)


def _short(request: str) -> str:
    """Return a request as it is, or its hash where it cannot be joined with another."""
    fits = len(request) <= _LONGEST and _JOINT not in request
    return request if fits else naming.digest(request)


def is_answered(request: str, report: ProbeReport) -> bool:
    """Return whether a report is of a probe guest that ran for a request, among others."""
    return _short(request) in report.request.split(_JOINT)


def unanswered(node: Object, report: ProbeReport | None) -> str:
    """Return the request that a node's next probe answers, empty where none is due.

    A node that has never reported is about to probe anyway.
    """
    requests = requests_of(node)
    if report is None or all(is_answered(request, report) for request in requests):
        return ""
    return _JOINT.join(requests)


def differs(used: ProbeReport | None, newest: ProbeReport | None) -> bool:
    """Return whether nova-compute runs with something else than what was proven last.

    Args:
        used: the report of the probe before nova-compute was started.
        newest: the newest report of the node.
    """
    if used is None or newest is None or not newest.proven:
        return False
    return (used.virt_type, used.cpu_mode, used.machine_type) != (
        newest.virt_type,
        newest.cpu_mode,
        newest.machine_type,
    )

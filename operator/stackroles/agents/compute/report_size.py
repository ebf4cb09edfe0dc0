"""Keeps a node's report within what the operator reads of an answer."""

from dataclasses import replace
from typing import Final

from stackroles.agents import wire
from stackroles.agents.compute.node_protocol import (
    FAILURES_LIMIT,
    FAULT_LIMIT,
    INSTANCES_LIMIT,
    NAMES_LIMIT,
    TUNNELS_LIMIT,
    DataPlane,
    NodeReport,
)
from stackroles.agents.text import shorten_encoded

# Longer than any name or address that is expected.
_NAME: Final = 64


def to_answer(report: NodeReport) -> bytes:
    """Return a report as JSON that the operator reads as a whole; what is left out is counted."""
    text = wire.dumps(bounded(report), separators=(",", ":"), ensure_ascii=False)
    # Half of a surrogate pair, as a broken text may hold, has no encoding.
    return text.encode(errors="replace")


def bounded(report: NodeReport) -> NodeReport:
    """Return a report with its lists and texts cut to their limits."""
    failures = report.build_failures[-FAILURES_LIMIT:]
    return replace(
        report,
        data_plane=_bounded_plane(report.data_plane),
        domains=report.domains[:INSTANCES_LIMIT],
        domains_omitted=max(len(report.domains) - INSTANCES_LIMIT, 0),
        libvirt_error=shorten_encoded(report.libvirt_error, FAULT_LIMIT),
        build_failures=tuple(
            replace(
                failure,
                instance=shorten_encoded(failure.instance, _NAME),
                fault=shorten_encoded(failure.fault, FAULT_LIMIT),
            )
            for failure in failures
        ),
    )


def _bounded_plane(plane: DataPlane) -> DataPlane:
    limits = {
        "idle_ports": NAMES_LIMIT,
        "tunnels": TUNNELS_LIMIT,
        "silent_networks": NAMES_LIMIT,
    }
    lists: dict[str, tuple[str, ...]] = {name: getattr(plane, name) for name in limits}
    cut = {
        name: tuple(shorten_encoded(item, _NAME) for item in items[: limits[name]])
        for name, items in lists.items()
    }
    return replace(
        plane,
        switch_error=shorten_encoded(plane.switch_error, FAULT_LIMIT),
        controller=shorten_encoded(plane.controller, FAULT_LIMIT),
        address=shorten_encoded(plane.address, _NAME),
        omitted={n: len(lists[n]) - len(cut[n]) for n in cut if len(lists[n]) > len(cut[n])},
        idle_ports=cut["idle_ports"],
        tunnels=cut["tunnels"],
        silent_networks=cut["silent_networks"],
    )

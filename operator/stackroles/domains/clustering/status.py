"""Who of the members that take turns is active, by what their gates report; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackroles.agents.gate.protocol import GateStatus, State, Switchover
from stackroles.workloads.course import Decided, decided_at


@dataclass(frozen=True, slots=True)
class Turns:
    """How the members of one ActivePassive role stand.

    Attributes:
        active: the pod that is active, None while none is.
        last: the last change of the active member.
        message: what a person should know; empty when there is nothing.
    """

    active: str | None = None
    last: Switchover | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class ClusteringState:
    """How all roles of a cloud stand whose members take turns, by role."""

    roles: Mapping[str, Turns] = field(default_factory=dict)


def assess_turns(reports: Mapping[str, GateStatus | None]) -> Turns:
    """Return how a role stands by its gates' reports.

    Args:
        reports: by pod; None without an answer.
    """
    known = {pod: report for pod, report in sorted(reports.items()) if report is not None}
    active = [pod for pod, report in known.items() if report.state is State.ACTIVE]
    last = max(
        (report.last_switchover for report in known.values() if report.last_switchover),
        key=lambda change: change.at,
        default=None,
    )
    messages = [f"{pod}: {report.message}." for pod, report in known.items() if report.message]
    return Turns(active[0] if len(active) == 1 else None, last, " ".join(messages))


def decisions(turns: Turns) -> list[Decided]:
    """Return the last change of a role's active member as something that was decided."""
    last = turns.last
    if last is None or not last.target:
        return []
    text = f"{last.target} takes over from {last.source or 'nobody'}: {last.reason}"
    return decided_at(last.at, text)


def has_lease(reports: Mapping[str, GateStatus | None]) -> bool:
    """Return whether a gate knows of a holder: then the Lease is there."""
    return any(report.holder for report in reports.values() if report is not None)

"""How the members of OVN's databases stand, as far as it shows in a cloud's status; pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackroles.agents.ovsdb.protocol import OvsdbStatus, State
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.roles.ovn import NORTH, SOUTH
from stackroles.workloads.conditions import Finding
from stackroles.workloads.course import Course

DATABASES = (NORTH.role, SOUTH.role)
Reports = Mapping[str, OvsdbStatus | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OvnState:
    """How OVN's databases stand, by role.

    Attributes:
        problems: what needs a person.
        notes: what a person should know of members.
        courses: how they come back from a loss.
    """

    problems: Mapping[str, Finding] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    courses: Mapping[str, Course] = field(default_factory=dict)


def assess_databases(
    reports: Mapping[str, Reports],
    problems: Mapping[str, Finding | None],
    leaving: Mapping[str, str],
    courses: Mapping[str, Course],
) -> OvnState:
    """Return how the databases stand by their members' reports.

    Args:
        reports: by role, then by pod name; None without an answer.
        problems: what needs a person, by role.
        leaving: what is under way where there are to be fewer, by role.
        courses: how they come back from a loss, by role.
    """
    notes = {
        role: " ".join(text for text in (leaving.get(role, ""), note_members(of)) if text)
        for role, of in reports.items()
    }
    return OvnState(
        problems={role: finding for role, finding in problems.items() if finding},
        notes={role: note for role, note in notes.items() if note},
        courses=courses,
    )


def note_members(reports: Reports) -> str:
    """Return what to know of members that do not serve, or that have put a file aside."""
    away = [_away(pod, report) for pod, report in sorted(reports.items())]
    aside = [
        f"{pod} put a file aside that it could not use and keeps it for you to look into: "
        f"{report.aside[0]}."
        for pod, report in sorted(reports.items())
        if report and report.aside
    ]
    return " ".join([*(text for text in away if text), *aside])


def serves(report: OvsdbStatus | None) -> bool:
    """Return whether a member is in contact with a majority."""
    return report is not None and report.state is State.MEMBER and report.connected


def remembered_databases(previous: CloudControllerStatus) -> OvnState:
    """Return how they stood by a cloud's status: what is known of them when an operator begins."""
    kind = ConditionType.PROGRESSING
    progressing = next((c for c in previous.conditions if c.type == kind), None)
    if progressing is None or progressing.reason != Reason.OVN_BLOCKED.value:
        return OvnState()
    messages = {role.name: role.message for role in previous.roles if role.name in DATABASES}
    return OvnState(
        problems={
            role: Finding(Reason.OVN_BLOCKED, text)
            for role, text in messages.items()
            if text and text.startswith(f"{role} has lost its ")
        }
    )


def _away(pod: str, report: OvsdbStatus | None) -> str:
    if report is None:
        return f"{pod} does not answer."
    if report.waits_for:
        return f"{pod} waits: {report.waits_for}."
    if report.state in (State.LEAVING, State.LEFT):
        return ""  # the message about departures has it
    if not serves(report):
        return f"{pod} has no contact to a majority."
    return ""

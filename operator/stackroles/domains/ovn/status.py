"""How the members of OVN's databases stand, as far as it shows in a cloud's status; pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stackroles.agents.ovsdb.protocol import OvsdbStatus, State
from stackroles.api.v1alpha1.cloud_controller import CloudControllerStatus
from stackroles.api.v1alpha1.conditions import ConditionType, Reason
from stackroles.roles.ovn import NORTH, SOUTH
from stackroles.workloads.conditions import Finding

DATABASES = (NORTH.role, SOUTH.role)
Reports = Mapping[str, OvsdbStatus | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class OvnState:
    """How OVN's databases stand, by role.

    Attributes:
        problems: what needs a person.
        notes: what a person should know of members.
    """

    problems: Mapping[str, Finding] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)


def assess_databases(
    reports: Mapping[str, Reports], sizes: Mapping[str, int], leaving: Mapping[str, str]
) -> OvnState:
    """Return how the databases stand by their members' reports.

    Args:
        reports: by role, then by pod name; None without an answer.
        sizes: how many members each role is to have.
        leaving: what is under way where there are to be fewer, by role.
    """
    found = {role: assess_majority(role, of, sizes[role]) for role, of in reports.items()}
    notes = {
        role: " ".join(text for text in (leaving.get(role, ""), note_members(of)) if text)
        for role, of in reports.items()
    }
    return OvnState(
        problems={role: finding for role, finding in found.items() if finding},
        notes={role: note for role, note in notes.items() if note},
    )


def assess_majority(role: str, reports: Reports, size: int) -> Finding | None:
    """Return that the majority is lost for good, None where it is not or not known to be.

    That is so when all members answer, none serves, some have a file that they cannot use or none,
    and those with one are too few. A database that was never made has no member with a file.
    """
    known = {
        pod: report
        for pod, report in reports.items()
        if report is not None and int(pod.rpartition("-")[2]) < size
    }
    if len(known) < size or any(serves(report) for report in known.values()):
        return None
    without = sorted(p for p, r in known.items() if r.state in (State.EMPTY, State.UNUSABLE))
    holding = sorted(set(known) - set(without))
    is_new = all(report.state is State.EMPTY for report in known.values())
    if is_new or len(holding) > size // 2:
        return None
    kept = f"{_list(holding)} have the data, and wait" if holding else "No member has usable data"
    return Finding(
        Reason.OVN_BLOCKED,
        f"{role} has lost its majority: {kept}; {_list(without)} have none that can be used "
        f"({'; '.join(_why(pod, known[pod]) for pod in without)}). Instances keep their network, "
        'and nothing can be changed. Bring the lost volumes back, or see "A majority of an OVN '
        'database" in docs/install.md.',
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
            if text and text.startswith(f"{role} has lost its majority")
        }
    )


def _away(pod: str, report: OvsdbStatus | None) -> str:
    if report is None:
        return f"{pod} does not answer."
    if report.waits_for:
        return f"{pod} waits: {report.waits_for}."
    if report.state in (State.LEAVING, State.LEFT):
        return ""  # what is said of departures says it
    if not serves(report):
        return f"{pod} has no contact to a majority."
    return ""


def _why(pod: str, report: OvsdbStatus) -> str:
    return f"{pod}: {report.fault or 'its volume is empty'}"


def _list(pods: Iterable[str]) -> str:
    return ", ".join(pods)

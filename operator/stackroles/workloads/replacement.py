"""Which member of a role that decides by majority is lost, and when its volume is given up; pure.

A member whose volume is on a machine that is gone can start nowhere else. While others serve they
have all that was confirmed, and a member with an empty volume gets it from them. Whether the
machine comes back only a person knows: the volume is given up by a consent in the resource.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from stackroles.api.v1alpha1.cloud_controller import ReplaceMember
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.workloads.conditions import Finding
from stackroles.workloads.departures import MemberView
from stackroles.workloads.incident import incident
from stackroles.workloads.pod import condition_of, time_of

Object = Mapping[str, Any]

# A restart of a node takes less; who is away longer is reported.
LOST_PATIENCE: Final = timedelta(minutes=2)
# Which node a volume was made for, by the scheduler.
_SELECTED_NODE: Final = "volume.kubernetes.io/selected-node"


@dataclass(frozen=True, slots=True, kw_only=True)
class AbsentMember:
    """A member that cannot run where its volume is.

    Attributes:
        pod: its pod.
        claim: the name of its volume claim.
        claim_uid: the claim's identity.
        node: where its volume is; empty where that is not known.
        why: what is wrong there, as the end of a sentence.
        since: since when; None where that is not known.
    """

    pod: str
    claim: str
    claim_uid: str
    node: str
    why: str
    since: datetime | None = None

    @property
    def ordinal(self) -> int:
        """Its number."""
        return int(self.pod.rpartition("-")[2])


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleView:
    """What is known of a role.

    Attributes:
        owner_uid: identity of the CloudController.
        role: the role.
        wanted: how many members it is to have.
        members: what is known of each, by ordinal; who did not answer is left out.
        refused: why nobody may be replaced now; empty where nothing speaks against it.
    """

    owner_uid: str
    role: str
    wanted: int
    members: Mapping[int, MemberView]
    refused: str = ""

    def incident(self, member: AbsentMember) -> str:
        """Return the incident that a member is lost: another one once it has another claim."""
        return incident(self.owner_uid, self.role, {member.pod: member.claim_uid}, {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replacement:
    """What follows.

    Attributes:
        problem: what needs a person, or is done by a consent; None where nothing is lost.
        member: the member to replace now; None where nobody is.
        incident: the incident that was consented to; empty without such a member.
    """

    problem: Finding | None = None
    member: AbsentMember | None = None
    incident: str = ""


def find_absent(
    pods: Sequence[Object], claims: Mapping[str, Object], nodes: Mapping[str, Object]
) -> list[AbsentMember]:
    """Return the members that cannot run where their volumes are, by ordinal.

    Args:
        pods: the role's pods.
        claims: the volume claim of each pod that has one, by the pod's name.
        nodes: all nodes by name; empty where the operator may not read them.
    """
    found = []
    for pod in pods:
        claim = claims.get(pod["metadata"]["name"])
        if claim is None or claim.get("status", {}).get("phase") != "Bound":
            continue
        if absence := _absence(pod, claim, nodes):
            found.append(absence)
    return sorted(found, key=lambda member: member.ordinal)


def _absence(pod: Object, claim: Object, nodes: Mapping[str, Object]) -> AbsentMember | None:
    node: str = pod.get("spec", {}).get("nodeName") or ""
    if node:
        reason = _node_fault(node, nodes)
    else:
        node = claim["metadata"].get("annotations", {}).get(_SELECTED_NODE, "")
        reason = _scheduling_fault(pod)
    if reason is None:
        return None
    why, since = reason
    return AbsentMember(
        pod=pod["metadata"]["name"],
        claim=claim["metadata"]["name"],
        claim_uid=claim["metadata"]["uid"],
        node=node,
        why=why,
        since=since,
    )


def _node_fault(name: str, nodes: Mapping[str, Object]) -> tuple[str, datetime | None] | None:
    """Return what is wrong with a node and since when, None where nothing is known to be."""
    if not nodes:
        return None
    if name not in nodes:
        return f"its node {name} does not exist any more", None
    ready = condition_of(nodes[name].get("status", {}), "Ready")
    if ready is None or ready.get("status") == "True":
        return None
    return f"its node {name} is not ready", time_of(ready.get("lastTransitionTime"))


def _scheduling_fault(pod: Object) -> tuple[str, datetime | None] | None:
    """Return that a pod can run on no node because of its volume, None where that is not so."""
    scheduled = condition_of(pod.get("status", {}), "PodScheduled")
    if scheduled is None or scheduled.get("status") != "False":
        return None
    message = str(scheduled.get("message", ""))
    # The scheduler names volumes as "volume node affinity" and "PersistentVolume's node affinity".
    if "volume" not in message.lower():
        return None
    why = f"no node can run it with its volume ({message.rstrip('.')})"
    return why, time_of(scheduled.get("lastTransitionTime"))


def plan_replacement(
    view: RoleView,
    absent: Sequence[AbsentMember],
    consent: ReplaceMember | None,
    now: datetime,
) -> Replacement:
    """Return which member is replaced now, and what needs a person.

    Args:
        view: the role.
        absent: members that cannot run where their volumes are.
        consent: `spec.roles.<role>.replaceMember`.
        now: the time of the observation.
    """
    lost = [
        member
        for member in absent
        if member.ordinal not in view.members
        and (member.since is None or now - member.since >= LOST_PATIENCE)
    ]
    if not lost:
        return Replacement()
    refused = view.refused or _without_others(view)
    meant = next((m for m in lost if consent and _is_meant(consent, m, view)), None)
    if meant is None:
        if refused:
            # Who brings the others back comes first: their own finding says how.
            return Replacement()
        asked = " ".join(_ask(member, view) for member in lost)
        return Replacement(problem=_finding(asked + _explain(consent, lost)))
    if refused:
        text = f"{_lost(meant)} It is not replaced, as was consented to, since {refused}."
        return Replacement(problem=_finding(text))
    text = (
        f"{_lost(meant)} It is replaced by consent: its volume claim {meant.claim} and its pod are "
        "deleted, and it gets all data anew from the others."
    )
    return Replacement(
        problem=_finding(text), member=meant, incident=consent.incident if consent else ""
    )


def _without_others(view: RoleView) -> str:
    if any(member.healthy for member in view.members.values()):
        return ""
    return "no member serves, and the newest data may be on its volume"


def _is_meant(consent: ReplaceMember, member: AbsentMember, view: RoleView) -> bool:
    return consent.member == member.pod and consent.incident == view.incident(member)


def _finding(text: str) -> Finding:
    return Finding(Reason.MEMBER_LOST, text)


def _lost(member: AbsentMember) -> str:
    where = f" on node {member.node}" if member.node else ""
    return (
        f"Member {member.pod} cannot run: {member.why}. Its data is on claim {member.claim}{where}."
    )


def _ask(member: AbsentMember, view: RoleView) -> str:
    healthy = sum(found.healthy for found in view.members.values())
    number = view.incident(member)
    return (
        f"{_lost(member)} Bring that back, and it joins by itself. Only if it is gone for good, "
        f"set spec.roles.{view.role}.replaceMember to {{member: {member.pod}, "
        f"incident: {number}}}: the claim with its data and the pod are then deleted, and the "
        f"member gets all data anew from the others, wherever it fits. Until then "
        f"{healthy} of {view.wanted} members serve."
    )


def _explain(consent: ReplaceMember | None, lost: Sequence[AbsentMember]) -> str:
    """Return why the consent in the spec does not serve, with a leading space; empty without."""
    if consent is None:
        return ""
    if consent.member not in {member.pod for member in lost}:
        return f" The consent in the spec names {consent.member}, which is not lost."
    return f" The consent in the spec is for another incident, {consent.incident}."

"""OVN's databases of a cloud, reconciled by themselves: asks their members, and decides."""

from typing import Any, Final

from stackroles import naming
from stackroles.agents import wire
from stackroles.agents.ovsdb.protocol import DECISION_ANNOTATION, PORT, OvsdbStatus
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.domains.ovn.decide import Outcome, decide
from stackroles.domains.ovn.departures import view_members
from stackroles.domains.ovn.model import DatabaseMember, DatabaseMembers, Recorded
from stackroles.domains.ovn.status import DATABASES, Reports, assess_databases, serves
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.cloud_state import read_fact, record_fact
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.members import Agent, RoleMembers
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding
from stackroles.workloads.course import Course

Object = dict[str, Any]

PART: Final = "ovn"
AGENT: Final = Agent(
    status=OvsdbStatus,
    port=PORT,
    annotation=DECISION_ANNOTATION,
    view=view_members,
    event="OvnRecovery",
)
# A database that nobody serves waits for a decision; the others are looked after.
_WAITING_INTERVAL, _INTERVAL = 1.0, 5.0


def databases_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's OVN databases."""
    return PartRef(*ref_of(resource), PART)


async def reconcile_databases(context: Context, resource: Object) -> None:
    """Have the members' agents asked from now on, decide, and publish how the databases stand.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
        ClusterError: the Kubernetes API refused or did not answer.
        NotReady: what is recorded has changed meanwhile.
    """
    cloud = active_cloud(context, resource)
    if cloud is None:
        return
    reports: dict[str, Reports] = {}
    problems: dict[str, Finding | None] = {}
    leaving: dict[str, str] = {}
    courses: dict[str, Course] = {}
    for role in DATABASES:
        if context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(role)) is None:
            continue
        definition, part = registry.role(role), databases_of(resource)
        members = RoleMembers(
            context=context, resource=resource, cloud=cloud, role=definition, agent=AGENT, part=part
        )
        polled = members.polled()
        waits = not any(serves(report) for report in (polled or {}).values())
        members.keep_polling(_WAITING_INTERVAL if waits else _INTERVAL)
        if polled is not None:
            reports[role] = polled
            problem = await _decide(context, cloud, role, members, polled)
            problems[role] = problem or await members.replace_lost(polled)
            leaving[role] = await members.let_go(polled)
            courses[role] = members.course(polled)
    if reports:
        state = assess_databases(reports, problems, leaving, courses)
        context.publish(resource, databases_of(resource), state)


async def _decide(
    context: Context,
    cloud: Cloud,
    role: str,
    members: RoleMembers[OvsdbStatus],
    polled: Reports,
) -> Finding | None:
    """Decide, record, then publish; return what needs a person, None where nothing does."""
    if not any(polled.values()):
        return None  # nothing follows from no answer
    text = await read_fact(context.cluster, cloud, role)
    try:
        recorded = wire.loads(Recorded, text) if text is not None else Recorded()
    except wire.WireError as error:
        return Finding(
            Reason.OVN_BLOCKED,
            f"{role} has lost its record: key {role} of ConfigMap {naming.state(cloud.name)} "
            f"cannot be read ({error}). Put back what was there.",
        )

    def conclude(reports: Reports) -> Outcome:
        claims = members.claims().items()
        observed = DatabaseMembers(
            owner_uid=cloud.uid,
            role=role,
            members=[DatabaseMember(pod=p, claim=uid, report=reports.get(p)) for p, uid in claims],
            consent=members.consent,
        )
        return decide(observed, recorded, registry.role(role).survivor_lacks)

    outcome = await members.decide(polled, conclude)
    if outcome.recorded != recorded:
        after = wire.dumps(outcome.recorded, sort_keys=True)
        await record_fact(context.cluster, cloud, role, text, after)
    await members.publish(outcome.decisions)
    return outcome.problem

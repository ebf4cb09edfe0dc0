"""The messaging cluster of a cloud, reconciled by itself: asks its brokers, and decides."""

from collections.abc import Mapping
from typing import Any, Final

from stackroles.agents.broker.protocol import DECISION_ANNOTATION, PORT, BrokerStatus
from stackroles.domains.messaging.decide import Outcome, decide
from stackroles.domains.messaging.departures import view_members
from stackroles.domains.messaging.model import Broker, Brokers
from stackroles.domains.messaging.reconcile_rpc import reconcile_rpc
from stackroles.domains.messaging.status import MESSAGING, MessagingState, assess_health
from stackroles.kube.kinds import PartRef, ref_of, uid_of
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.members import Agent, RoleMembers
from stackroles.roles import registry

Object = dict[str, Any]

PART: Final = "messaging"
AGENT: Final = Agent(
    status=BrokerStatus,
    port=PORT,
    annotation=DECISION_ANNOTATION,
    view=view_members,
    event="MessagingRecovery",
)
_INTERVAL: Final = 10.0
# Some findings depend on how long something lasts, which no difference of reports shows.
_WATCH_SECONDS: Final = 10.0


def messaging_of(resource: Object) -> PartRef:
    """Return the key of a CloudController's messaging cluster."""
    return PartRef(*ref_of(resource), PART)


async def reconcile_messaging(context: Context, resource: Object) -> None:
    """Have the brokers' agents asked from now on, decide, and publish how they stand.

    Raises:
        SpecInvalid: the spec asks for what cannot be; the pass over the cloud says so.
        ClusterError: the Kubernetes API refused or did not answer.
    """
    cloud = active_cloud(context, resource)
    if cloud is None:
        return
    if context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(MESSAGING)) is None:
        return
    role, part = registry.role(MESSAGING), messaging_of(resource)
    members = RoleMembers(
        context=context, resource=resource, cloud=cloud, role=role, agent=AGENT, part=part
    )
    members.keep_polling(_INTERVAL)
    polled = members.polled()
    if polled is None:
        return

    def observe(reports: Mapping[str, BrokerStatus | None]) -> Brokers:
        claims = members.claims().items()
        return Brokers(
            owner_uid=uid_of(resource),
            role=MESSAGING,
            members=[Broker(pod=p, claim=uid, report=reports.get(p)) for p, uid in claims],
            consent=members.consent,
        )

    def conclude(reports: Mapping[str, BrokerStatus | None]) -> Outcome:
        return decide(observe(reports), role.survivor_lacks)

    outcome = await members.decide(polled, conclude)
    note = await members.let_go(polled)
    lost = await members.replace_lost(polled)
    deaf = await reconcile_rpc(context, resource, cloud, part)
    health = assess_health(observe(polled), *([deaf] if deaf else []))
    course = members.course(polled)
    state = MessagingState(outcome.problem or lost, health, note, course)
    context.publish(resource, part, state)
    await members.publish(outcome.decisions)
    if outcome.decisions or not outcome.settled:
        context.enqueue(part, _WATCH_SECONDS)

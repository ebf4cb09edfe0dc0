"""The messaging cluster of a cloud, reconciled by itself: asks its brokers, and decides."""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from stackroles import naming
from stackroles.addresses import pod_address
from stackroles.agents import wire
from stackroles.agents.broker.protocol import (
    DECISION_ANNOTATION,
    PORT,
    BrokerDecision,
    BrokerStatus,
)
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.config.cloud import Cloud
from stackroles.domains.messaging.decide import Outcome, decide
from stackroles.domains.messaging.departures import view_members
from stackroles.domains.messaging.model import Broker, Brokers
from stackroles.domains.messaging.status import MESSAGING, MessagingState, assess_health
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.departures import reconcile_departures
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.roles import registry
from stackroles.workloads.departures import MemberView
from stackroles.workloads.manifests.metadata import ownerless, selector

Object = dict[str, Any]
log = structlog.get_logger(__name__)

PART: Final = "messaging"
_INTERVAL = 10.0
_DEADLINE = 5.0
# Some findings depend on how long something lasts, which no difference of reports shows.
_WATCH_SECONDS: Final = 10.0
Reports = Mapping[str, BrokerStatus | None]


async def pull_reports(addresses: Mapping[str, str]) -> Reports:
    """Return each broker's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name.
    """
    urls = {name: url_of(ip, PORT, STATUS_PATH) for name, ip in addresses.items()}
    return await get_messages(BrokerStatus, urls)


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
    workload = context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(MESSAGING))
    if workload is not None:
        await _Messaging(context, resource, cloud).run()


class _Messaging:
    """One pass over the brokers of one cloud."""

    def __init__(self, context: Context, resource: Object, cloud: Cloud) -> None:
        self._context = context
        self._resource = resource
        self._cloud = cloud
        self._part = messaging_of(resource)

    async def run(self) -> None:
        name = f"{self._part.whole}/brokers"
        self._context.poller.ensure(
            name, self._ask, interval=_INTERVAL, deadline=_DEADLINE, notify=self._part
        )
        seen = self._context.poller.latest(name)
        if seen is None or seen.value is None:
            return
        observed = self._observed(seen.value)
        outcome = self._decide(observed)
        note = await self._let_go(seen.value)
        state = MessagingState(outcome.problem, assess_health(observed), note)
        self._context.publish(self._resource, self._part, state)
        if outcome.decisions:
            await self._publish(outcome)
        if outcome.decisions or not outcome.settled:
            self._context.enqueue(self._part, _WATCH_SECONDS)

    async def _let_go(self, polled: Reports) -> str:
        """Let brokers leave that are not wanted any more; return what is under way."""

        async def look() -> Mapping[int, MemberView]:
            return view_members(await self._ask())

        role = registry.role(MESSAGING)
        return await reconcile_departures(
            self._context,
            self._resource,
            self._cloud,
            role,
            polled=view_members(polled),
            look=look,
            reader=service_of(self._resource, role.service),
        )

    def _decide(self, observed: Brokers) -> Outcome:
        return decide(observed, registry.role(MESSAGING).survivor_lacks)

    def _pods(self) -> dict[str, Object]:
        cluster, cloud = self._context.cluster, self._cloud
        found = cluster.list("Pod", cloud.namespace, selector(cloud, MESSAGING))
        return {pod["metadata"]["name"]: pod for pod in found}

    async def _ask(self) -> Reports:
        found = {name: pod_address(pod) for name, pod in self._pods().items()}
        return await pull_reports({name: ip for name, ip in found.items() if ip})

    def _observed(self, reports: Reports) -> Brokers:
        cloud, workload = self._cloud, self._cloud.workload(MESSAGING)
        volume = registry.role(MESSAGING).volume
        prefix = f"{volume.claim}-" if volume else ""
        labels = ownerless(selector(cloud, MESSAGING))
        claims = self._context.cluster.list("PersistentVolumeClaim", cloud.namespace, labels)
        uids = {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in claims}
        names = [naming.pod(workload, n) for n in range(cloud.replicas[MESSAGING])]
        declared = cloud.spec.roles.get(MESSAGING)
        return Brokers(
            owner_uid=cloud.uid,
            role=MESSAGING,
            brokers=[
                Broker(pod=name, claim=uids.get(prefix + name, ""), report=reports.get(name))
                for name in names
            ],
            consent=declared.recovery if declared else None,
        )

    async def _publish(self, outcome: Outcome) -> None:
        """Publish what still follows from what all brokers answer now."""
        again = self._decide(self._observed(await self._ask())).decisions
        pods = self._pods()
        for name, decision in outcome.decisions.items():
            pod = pods.get(name)
            if pod is None or again.get(name) != decision or _published(pod) == decision:
                continue
            note = {DECISION_ANNOTATION: wire.dumps(decision, sort_keys=True)}
            await self._context.cluster.annotate_pod(pod, note)
            log.info("Published a decision", broker=name, mode=decision.mode.value)
            await self._context.cluster.event(
                self._resource,
                "Warning",
                "MessagingRecovery",
                f"{name} is told to {decision.mode.value}, as was consented to for incident "
                f"{decision.incident}.",
            )


def _published(pod: Object) -> BrokerDecision | None:
    """Return the decision in a pod's annotation, None where there is none that can be read."""
    text = pod["metadata"].get("annotations", {}).get(DECISION_ANNOTATION, "")
    try:
        return wire.loads(BrokerDecision, text)
    except wire.WireError:
        return None

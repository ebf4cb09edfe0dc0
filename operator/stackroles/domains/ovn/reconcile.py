"""OVN's databases of a cloud, reconciled by themselves: asks their members, and decides."""

from collections.abc import Mapping
from typing import Any, Final

import structlog

from stackroles import naming
from stackroles.addresses import pod_address
from stackroles.agents import wire
from stackroles.agents.ovsdb.protocol import (
    DECISION_ANNOTATION,
    PORT,
    OvsdbDecision,
    OvsdbStatus,
)
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.domains.ovn.decide import Outcome, decide
from stackroles.domains.ovn.departures import view_members
from stackroles.domains.ovn.model import Member, Members, Recorded
from stackroles.domains.ovn.status import DATABASES, Reports, assess_databases, serves
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.cloud_state import read_fact, record_fact
from stackroles.reconcile.clouds import active_cloud
from stackroles.reconcile.context import Context
from stackroles.reconcile.departures import reconcile_departures
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.roles import registry
from stackroles.workloads.conditions import Finding
from stackroles.workloads.departures import MemberView
from stackroles.workloads.manifests.metadata import ownerless, selector

Object = dict[str, Any]
log = structlog.get_logger(__name__)

PART: Final = "ovn"
# A database that nobody serves waits for a decision; the others are looked after.
_WAITING_INTERVAL, _INTERVAL = 1.0, 5.0
_DEADLINE = 5.0


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
    for role in DATABASES:
        if context.cluster.get("StatefulSet", cloud.namespace, cloud.workload(role)) is None:
            continue
        database = _Database(context, resource, cloud, role)
        found = database.polled()
        if found is not None:
            reports[role] = found
            problems[role] = await database.decide(found)
            leaving[role] = await database.let_go(found)
    if reports:
        state = assess_databases(reports, problems, leaving)
        context.publish(resource, databases_of(resource), state)


class _Database:
    """One pass over one database of one cloud."""

    def __init__(self, context: Context, resource: Object, cloud: Cloud, role: str) -> None:
        self._context = context
        self._resource = resource
        self._cloud = cloud
        self._role = role
        self._definition = registry.role(role)
        self._part = databases_of(resource)

    def polled(self) -> Reports | None:
        """Return what the members answered last, None before the first round."""
        name = f"{self._part.whole}/{self._role}"
        seen = self._context.poller.latest(name)
        reports: Reports | None = seen.value if seen is not None else None
        waits = not any(serves(report) for report in (reports or {}).values())
        self._context.poller.ensure(
            name,
            self._ask,
            interval=_WAITING_INTERVAL if waits else _INTERVAL,
            deadline=_DEADLINE,
            notify=self._part,
        )
        return reports

    async def decide(self, polled: Reports) -> Finding | None:
        """Decide, record, then publish what still follows from what all answer now.

        Returns:
            What needs a person, None where nothing does.
        """
        if not any(polled.values()):
            return None  # nothing follows from no answer
        text = await read_fact(self._context.cluster, self._cloud, self._role)
        try:
            recorded = wire.loads(Recorded, text) if text is not None else Recorded()
        except wire.WireError as error:
            state = naming.state(self._cloud.name)
            return Finding(
                Reason.OVN_BLOCKED,
                f"{self._role} has lost its record: key {self._role} of ConfigMap {state} cannot "
                f"be read ({error}). Put back what was there.",
            )
        outcome = self._decide(polled, recorded)
        if outcome.decisions:
            outcome = self._decide(await self._ask(), recorded)
        if outcome.recorded != recorded:
            after = wire.dumps(outcome.recorded, sort_keys=True)
            await record_fact(self._context.cluster, self._cloud, self._role, text, after)
        await self._publish(outcome.decisions)
        return outcome.problem

    async def let_go(self, polled: Reports) -> str:
        """Let members leave that are not wanted any more; return what is under way."""

        async def look() -> Mapping[int, MemberView]:
            return view_members(await self._ask())

        return await reconcile_departures(
            self._context,
            self._resource,
            self._cloud,
            self._definition,
            polled=view_members(polled),
            look=look,
            reader=service_of(self._resource, self._definition.service),
        )

    def _decide(self, reports: Reports, recorded: Recorded) -> Outcome:
        cloud, workload = self._cloud, self._cloud.workload(self._role)
        labels = ownerless(selector(cloud, self._role))
        claims = self._context.cluster.list("PersistentVolumeClaim", cloud.namespace, labels)
        uids = {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in claims}
        volume = self._definition.volume
        prefix = f"{volume.claim}-" if volume else ""
        names = [naming.pod(workload, n) for n in range(cloud.replicas[self._role])]
        declared = cloud.spec.roles.get(self._role)
        observed = Members(
            owner_uid=cloud.uid,
            role=self._role,
            members=[
                Member(pod=name, claim=uids.get(prefix + name, ""), report=reports.get(name))
                for name in names
            ],
            consent=declared.recovery if declared else None,
        )
        return decide(observed, recorded, self._definition.survivor_lacks)

    def _pods(self) -> dict[str, Object]:
        labels = selector(self._cloud, self._role)
        pods = self._context.cluster.list("Pod", self._cloud.namespace, labels)
        return {pod["metadata"]["name"]: pod for pod in pods}

    async def _ask(self) -> Reports:
        return await pull_reports({name: pod_address(pod) for name, pod in self._pods().items()})

    async def _publish(self, decisions: Mapping[str, OvsdbDecision]) -> None:
        pods = self._pods()
        for name, decision in decisions.items():
            pod = pods.get(name)
            text = wire.dumps(decision, sort_keys=True)
            if pod is None or _annotation(pod) == text:
                continue
            await self._context.cluster.annotate_pod(pod, {DECISION_ANNOTATION: text})
            log.info("Published a decision", member=name, mode=decision.mode.value)
            if decision.incident:
                await self._context.cluster.event(
                    self._resource,
                    "Warning",
                    "OvnRecovery",
                    f"{name} is told to {decision.mode.value} {self._role}, as was consented to "
                    f"for incident {decision.incident}.",
                )


def _annotation(pod: Object) -> str | None:
    found: str | None = pod["metadata"].get("annotations", {}).get(DECISION_ANNOTATION)
    return found


async def pull_reports(addresses: Mapping[str, str]) -> Reports:
    """Return each member's report by pod name, asked side by side within a second.

    Args:
        addresses: pod address by pod name, empty where there is none yet.
    """
    urls = {name: url_of(ip, PORT, STATUS_PATH) for name, ip in addresses.items() if ip}
    return {**dict.fromkeys(addresses), **await get_messages(OvsdbStatus, urls)}

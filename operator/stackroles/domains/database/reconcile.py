"""Database cluster: observe the members, decide, record, observe again, and only then publish."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog

from stackroles import naming
from stackroles.addresses import pod_address
from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_GALERA_DECISION
from stackroles.domains.database.client import pull_reports, pull_writers
from stackroles.domains.database.decide import decide
from stackroles.domains.database.members import STARTS_THAT_TELL, failures
from stackroles.domains.database.model import (
    Decision,
    Member,
    Mode,
    Outcome,
    PersistedState,
    Report,
    Verdict,
)
from stackroles.domains.database.reconcile_state import (
    StateUnreadable,
    dump_decision,
    parse_decision,
    read_state,
    record_state,
)
from stackroles.domains.database.rolling import RollMember, next_to_restart
from stackroles.errors import Conflict, NotReady
from stackroles.kube.kinds import ObjectRef, PartRef, ref_of
from stackroles.reconcile.context import Context
from stackroles.roles.topology import DEFAULT, Topology
from stackroles.workloads.manifests.metadata import selector

Object = dict[str, Any]
log = structlog.get_logger(__name__)

PART: Final = "database"
_REVISION: Final = "controller-revision-hash"
_CALM_SECONDS: Final = 2.0
_BUSY_SECONDS: Final = 1.0
_DEADLINE_SECONDS: Final = 5.0
_RETRY_SECONDS: Final = 0.5
# Some decisions depend on how long something lasts, which no difference of reports shows.
_WATCH_SECONDS: Final = 2.0
# How old answers may be that nothing follows from: a poll's interval, its deadline left aside.
_FRESH_SECONDS: Final = 3.0

_Answers = tuple[Mapping[str, Report | None], Mapping[str, int | None]]


@dataclass(frozen=True, slots=True)
class GaleraResult:
    """How the database stands, for the cloud's status.

    Attributes:
        ready: all members are synced.
        primary: somebody serves.
        writer: pod of the member that all proxies send clients to; None when not known.
        verdict: one word, the reason of a condition; `verdict.needs_person` for one that stops.
        message: the same as a sentence, with what to do.
        members: phase of each member, by pod name ("Unknown" without an answer).
        failing: errors of members whose servers did not start again and again; empty without any.
    """

    ready: bool
    primary: bool
    writer: str | None
    verdict: Verdict
    message: str
    members: Mapping[str, str]
    failing: str = ""


@dataclass(frozen=True, slots=True)
class Network:
    """How the members and the proxies are asked; addresses by pod name."""

    reports: Callable[[Mapping[str, str]], Awaitable[Mapping[str, Report | None]]] = pull_reports
    writers: Callable[[Mapping[str, str]], Awaitable[Mapping[str, int | None]]] = pull_writers


async def reconcile_galera(
    context: Context,
    owner: Object,
    cloud: Cloud,
    network: Network | None = None,
    topology: Topology = DEFAULT,
) -> GaleraResult:
    """Bring the cloud's database members together; call it on every pass over the cloud.

    It asks for another pass by itself while something is under way. Not called for a resource that
    is suspended or being deleted.

    Args:
        context: the cluster and the poller.
        owner: the CloudController as in the cache.
        cloud: the same, resolved.
        network: how pods are asked; over HTTP by default.
        topology: whose database it is, and behind which proxies.

    Raises:
        ClusterError: the Kubernetes API refused or did not answer.
    """
    galera = _Galera(context, owner, cloud, network or Network(), topology)
    outcome, members, writer = await galera.decide_and_record()
    restart = galera.next_to_restart(outcome, members, writer)
    await galera.publish(outcome, leaving=restart["metadata"]["name"] if restart else None)
    galera.keep_polling(outcome)
    if restart is not None:
        await galera.restart(restart)
    return GaleraResult(
        ready=outcome.verdict is Verdict.SYNCED,
        primary=any(member.view for member in members),
        writer=writer,
        verdict=outcome.verdict,
        message=outcome.message,
        members={member.name: _phase(member) for member in members},
        failing=failures(members, STARTS_THAT_TELL),
    )


class _Galera:
    """One pass over one cloud's database."""

    def __init__(
        self,
        context: Context,
        owner: Object,
        cloud: Cloud,
        network: Network,
        topology: Topology,
    ) -> None:
        self._context = context
        self._cluster = context.cluster
        self._owner = owner
        self._cloud = cloud
        self._network = network
        self._database, self._proxy = topology.database.name, topology.proxy.name
        self._workload = cloud.workload(self._database)

    async def decide_and_record(self) -> tuple[Outcome, Sequence[Member], str | None]:
        """Decide, and record what follows; return also the members and the writer.

        What was polled a moment ago is enough to find that nothing is to be done. Where something
        is, all members are asked again first.
        """
        try:
            persisted = await read_state(self._cluster, self._cloud)
            polled = self._polled()
            if polled is not None:
                members, writer = self._members(polled[0]), self._agreed(polled[1])
                outcome = decide(members, persisted, self._context.leader)
                if not self._acts(outcome, persisted, members, writer):
                    return outcome, members, writer
            members, writer = await asyncio.gather(self._observe(), self.writer())
            outcome = decide(members, persisted, self._context.leader)
            if outcome.persisted != persisted:
                await record_state(self._cluster, self._cloud, persisted, outcome.persisted)
        except StateUnreadable as error:
            unreadable = Outcome(
                verdict=Verdict.STATE_UNREADABLE, message=str(error), persisted=PersistedState()
            )
            members, writer = await asyncio.gather(self._observe(), self.writer())
            return unreadable, members, writer
        return outcome, members, writer

    def _polled(self) -> _Answers | None:
        """Return what members and proxies answered the poller, None when that is too long ago."""
        seen = self._context.poller.latest(poll_name(ref_of(self._owner)))
        if seen is None or seen.error or self._context.clock.monotonic() - seen.at > _FRESH_SECONDS:
            return None
        answers: _Answers = seen.value
        return answers

    def _acts(
        self,
        outcome: Outcome,
        persisted: PersistedState,
        members: Sequence[Member],
        writer: str | None,
    ) -> bool:
        """Return whether an outcome changes anything: the record, a member's decision, or a pod."""
        pods = self._pods(self._database)
        return (
            outcome.persisted != persisted
            or any(
                name not in pods or _published(pods[name]) != decision
                for name, decision in outcome.decisions.items()
            )
            or self.next_to_restart(outcome, members, writer) is not None
        )

    async def publish(self, outcome: Outcome, leaving: str | None) -> None:
        """Publish what still follows from a second observation of all members.

        Args:
            outcome: what was decided and recorded.
            leaving: a member whose pod is restarted instead.
        """
        if not outcome.decisions.keys() - {leaving}:
            return
        again = decide(await self._observe(), outcome.persisted, self._context.leader)
        pods = self._pods(self._database)
        for name, decision in outcome.decisions.items():
            if name == leaving:
                continue
            if again.decisions.get(name) != decision:
                log.info("The members have changed since the decision", member=name)
                self._context.enqueue(PartRef(*ref_of(self._owner), PART), _RETRY_SECONDS)
                continue
            if _published(pods[name]) == decision:
                continue
            annotations = {ANNOTATION_GALERA_DECISION: dump_decision(decision)}
            await self._cluster.annotate_pod(pods[name], annotations)
            log.info("Published a decision", member=name, **_log_fields(decision))
            if decision.mode in (Mode.CREATE, Mode.BOOTSTRAP):
                await self._cluster.event(self._owner, "Normal", "GaleraBootstrap", outcome.message)

    async def _observe(self) -> list[Member]:
        """Return every member that should exist, and every further one that does."""
        return self._members(await self._network.reports(_addresses(self._pods(self._database))))

    def _members(self, reports: Mapping[str, Report | None]) -> list[Member]:
        pods = self._pods(self._database)
        wanted = {
            naming.pod(self._workload, n) for n in range(self._cloud.replicas[self._database])
        }
        return [
            _member(name, pods.get(name), reports.get(name))
            for name in sorted(wanted | pods.keys(), key=_ordinal)
        ]

    async def writer(self) -> str | None:
        """Return the member that all proxies agree on, None when they do not, or nobody came."""
        return self._agreed(await self._network.writers(_addresses(self._pods(self._proxy))))

    def _agreed(self, writers: Mapping[str, int | None]) -> str | None:
        found = {n for n in writers.values() if n is not None}
        if len(found) != 1 or found == {0}:
            return None
        return naming.pod(self._workload, found.pop() - 1)

    def next_to_restart(
        self, outcome: Outcome, members: Sequence[Member], writer: str | None
    ) -> Object | None:
        """Return the pod of the next member that needs the present template, if that is safe."""
        if not outcome.verdict.may_restart:
            return None
        workload = self._cluster.get("StatefulSet", self._cloud.namespace, self._workload)
        if workload is None:
            return None
        status = workload.get("status", {})
        if status.get("observedGeneration") != workload["metadata"].get("generation"):
            return None
        revision, pods = status.get("updateRevision"), self._pods(self._database)
        chosen = next_to_restart(
            [_roll_member(member, pods.get(member.name), revision) for member in members], writer
        )
        return pods[chosen] if chosen else None

    async def restart(self, pod: Object) -> None:
        """Delete a member's pod, so that it is made again by the present template."""
        name = pod["metadata"]["name"]
        try:
            await self._cluster.delete(pod)
        except Conflict as error:
            raise NotReady(f"Pod {name} changed before its restart", _RETRY_SECONDS) from error
        log.info("Restarting a database member for its new template", member=name)
        message = f"Restarting {name} for its new template."
        await self._cluster.event(self._owner, "Normal", "GaleraRoll", message)

    def keep_polling(self, outcome: Outcome) -> None:
        """Poll the members, more often while not all are synced."""
        calm = outcome.verdict is Verdict.SYNCED

        async def poll() -> tuple[Mapping[str, Report | None], Mapping[str, int | None]]:
            members, proxies = self._pods(self._database), self._pods(self._proxy)
            reports = await self._network.reports(_addresses(members))
            return reports, await self._network.writers(_addresses(proxies))

        part = PartRef(*ref_of(self._owner), PART)
        self._context.poller.ensure(
            poll_name(part.whole),
            poll,
            interval=_CALM_SECONDS if calm else _BUSY_SECONDS,
            deadline=_DEADLINE_SECONDS,
            notify=part,
        )
        if not calm and not outcome.verdict.needs_person:
            self._context.enqueue(part, _WATCH_SECONDS)

    def _pods(self, role: str) -> dict[str, Object]:
        found = self._cluster.list("Pod", self._cloud.namespace, selector(self._cloud, role))
        return {pod["metadata"]["name"]: pod for pod in found}


def poll_name(ref: ObjectRef) -> str:
    """Return the name under which a cloud's database is polled; it starts with the resource's."""
    return f"{ref}/galera"


def _member(name: str, pod: Object | None, report: Report | None) -> Member:
    return Member(
        name=name,
        ordinal=_ordinal(name),
        pod_uid=pod["metadata"]["uid"] if pod else None,
        report=report,
        published=_published(pod) if pod else None,
    )


def _published(pod: Object) -> Decision | None:
    annotations = pod["metadata"].get("annotations", {})
    return parse_decision(annotations.get(ANNOTATION_GALERA_DECISION))


def _roll_member(member: Member, pod: Object | None, revision: str | None) -> RollMember:
    metadata = pod["metadata"] if pod else {}
    statuses = (pod or {}).get("status", {}).get("containerStatuses") or ()
    current = metadata.get("labels", {}).get(_REVISION)
    return RollMember(
        member=member,
        outdated=pod is not None and revision is not None and current != revision,
        leaving="deletionTimestamp" in metadata,
        running=any("running" in status.get("state", {}) for status in statuses),
    )


def _addresses(pods: Mapping[str, Object]) -> dict[str, str]:
    """Return the addresses of pods that have one."""
    found = {name: pod_address(pod) for name, pod in pods.items()}
    return {name: ip for name, ip in found.items() if ip}


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])


def _phase(member: Member) -> str:
    report = member.known
    if report is None:
        return "Unknown"
    view = report.view
    if view is not None and view.primary:
        return "Synced" if view.synced else "Donor" if view.donor else "Joining"
    return report.phase.value


def _log_fields(decision: Decision) -> dict[str, Any]:
    return {"mode": decision.mode.value, "seqno": decision.seqno, "attempt": decision.attempt}

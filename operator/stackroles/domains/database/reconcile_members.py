"""Database members as their pods and agents report them, and the writer that proxies name."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from stackroles import naming
from stackroles.addresses import pod_address
from stackroles.agents import wire
from stackroles.agents.galera.protocol import DECISION_ANNOTATION, Decision, Report
from stackroles.config.cloud import Cloud
from stackroles.domains.database.client import pull_reports, pull_writers
from stackroles.domains.database.model import Member
from stackroles.domains.database.rolling import RollMember
from stackroles.domains.database.status import VolumeClaim
from stackroles.kube.kinds import PartRef, ref_of
from stackroles.reconcile.context import Context
from stackroles.roles.mariadb import MARIADB
from stackroles.roles.topology import Topology
from stackroles.workloads.manifests.metadata import ownerless, selector

Object = dict[str, Any]

PART: Final = "database"
_REVISION: Final = "controller-revision-hash"
_DEADLINE_SECONDS: Final = 5.0
# How old answers may be that nothing follows from: a poll's interval, its deadline left aside.
_FRESH_SECONDS: Final = 3.0

_Answers = tuple[Mapping[str, Report | None], Mapping[str, int | None]]


@dataclass(frozen=True, slots=True)
class Network:
    """How the members and the proxies are asked; addresses by pod name."""

    reports: Callable[[Mapping[str, str]], Awaitable[Mapping[str, Report | None]]] = pull_reports
    writers: Callable[[Mapping[str, str]], Awaitable[Mapping[str, int | None]]] = pull_writers


@dataclass(frozen=True, slots=True)
class Observed:
    """The members at one moment.

    Attributes:
        members: every member that should exist, and every further one that does.
        writer: pod of the member that all proxies send clients to; None when not known.
        writers: number of the member that each proxy sends clients to, as `pull_writers` has it.
    """

    members: Sequence[Member]
    writer: str | None
    writers: Mapping[str, int | None] = field(default_factory=dict)


class Members:
    """The database members of one cloud, and the proxies before them."""

    def __init__(
        self,
        context: Context,
        owner: Object,
        cloud: Cloud,
        network: Network,
        topology: Topology,
    ) -> None:
        self._context = context
        self._cloud = cloud
        self._network = network
        self._part = PartRef(*ref_of(owner), PART)
        # It begins with the resource's name, as all polls of a resource do.
        self._poll = f"{ref_of(owner)}/galera"
        self._database, self._proxy = topology.database.name, topology.proxy.name
        self._workload = cloud.workload(self._database)

    async def ask(self) -> Observed:
        """Return what all members and proxies answer now."""
        proxies = _addresses(self._pods(self._proxy))
        members, writers = await asyncio.gather(self.ask_members(), self._network.writers(proxies))
        return Observed(members, self._agreed(writers), writers)

    async def ask_members(self) -> Sequence[Member]:
        """Return what all members answer now."""
        return self._members(await self._network.reports(_addresses(self.pods())))

    def polled(self) -> Observed | None:
        """Return what members and proxies answered the poller, None when that is too long ago."""
        seen = self._context.poller.latest(self._poll)
        if seen is None or seen.error or self._context.clock.monotonic() - seen.at > _FRESH_SECONDS:
            return None
        answers: _Answers = seen.value
        return Observed(self._members(answers[0]), self._agreed(answers[1]), answers[1])

    def poll(self, interval: float) -> None:
        """Have members and proxies asked from now on; another answer is news to the database."""

        async def ask() -> _Answers:
            members, proxies = self.pods(), self._pods(self._proxy)
            reports = await self._network.reports(_addresses(members))
            return reports, await self._network.writers(_addresses(proxies))

        self._context.poller.ensure(
            self._poll,
            ask,
            interval=interval,
            deadline=_DEADLINE_SECONDS,
            notify=self._part,
        )

    def rolling(self, members: Sequence[Member]) -> list[RollMember] | None:
        """Return the members with what their pods show; None while the StatefulSet is not known."""
        cloud = self._cloud
        workload = self._context.cluster.get("StatefulSet", cloud.namespace, self._workload)
        status = (workload or {}).get("status", {})
        if workload is None or (
            status.get("observedGeneration") != workload["metadata"].get("generation")
        ):
            return None
        revision, pods = status.get("updateRevision"), self.pods()
        return [_roll_member(member, pods.get(member.name), revision) for member in members]

    def pods(self) -> dict[str, Object]:
        """Return the members' pods by name."""
        return self._pods(self._database)

    def claims(self) -> dict[str, VolumeClaim]:
        """Return the members' volume claims by pod name."""
        cluster, cloud = self._context.cluster, self._cloud
        labels = ownerless(selector(cloud, self._database))
        found = cluster.list("PersistentVolumeClaim", cloud.namespace, labels)
        return {_member_of(claim): _claim(claim) for claim in found}

    def _pods(self, role: str) -> dict[str, Object]:
        cluster, cloud = self._context.cluster, self._cloud
        found = cluster.list("Pod", cloud.namespace, selector(cloud, role))
        return {pod["metadata"]["name"]: pod for pod in found}

    def _members(self, reports: Mapping[str, Report | None]) -> list[Member]:
        pods, size = self.pods(), self._cloud.replicas[self._database]
        wanted = {naming.pod(self._workload, n) for n in range(size)}
        return [
            _member(name, pods.get(name), reports.get(name))
            for name in sorted(wanted | pods.keys(), key=_ordinal)
        ]

    def _agreed(self, writers: Mapping[str, int | None]) -> str | None:
        """Return the member that all proxies agree on; None when they do not, or nobody came."""
        found = {n for n in writers.values() if n is not None}
        if len(found) != 1 or found == {0}:
            return None
        return naming.pod(self._workload, found.pop() - 1)


def published(pod: Object) -> Decision | None:
    """Return the decision in a pod's annotation, None where there is none that can be read."""
    text = pod["metadata"].get("annotations", {}).get(DECISION_ANNOTATION, "")
    try:
        return wire.loads(Decision, text)
    except wire.WireError:
        return None


def _member(name: str, pod: Object | None, report: Report | None) -> Member:
    return Member(
        name=name,
        ordinal=_ordinal(name),
        pod_uid=pod["metadata"]["uid"] if pod else None,
        report=report,
        published=published(pod) if pod else None,
    )


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


def _member_of(claim: Object) -> str:
    """Return the pod that a claim of the StatefulSet belongs to."""
    name: str = claim["metadata"]["name"]
    return name.removeprefix(f"{MARIADB.volume.claim}-") if MARIADB.volume else name


def _claim(claim: Object) -> VolumeClaim:
    size = claim.get("status", {}).get("capacity", {}).get("storage", "")
    return VolumeClaim(claim["metadata"]["name"], size)


def _addresses(pods: Mapping[str, Object]) -> dict[str, str]:
    """Return the addresses of pods that have one."""
    found = {name: pod_address(pod) for name, pod in pods.items()}
    return {name: ip for name, ip in found.items() if ip}


def _ordinal(name: str) -> int:
    return int(name.rpartition("-")[2])

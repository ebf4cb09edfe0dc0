"""The members of a role that decides by majority: asked, observed, and given decisions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Generic, Protocol, TypeVar

import structlog

from stackroles import naming
from stackroles.addresses import pod_address
from stackroles.agents import wire
from stackroles.agents.status_protocol import STATUS_PATH
from stackroles.api.v1alpha1.cloud_controller import Recovery
from stackroles.config.cloud import Cloud
from stackroles.kube.kinds import PartRef
from stackroles.reconcile.context import Context
from stackroles.reconcile.departures import reconcile_departures
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.pod_http import get_messages, url_of
from stackroles.reconcile.replacement import reconcile_replacement
from stackroles.roles.definition import RoleDefinition
from stackroles.workloads.conditions import Finding
from stackroles.workloads.course import Course, course_of
from stackroles.workloads.departures import MemberView
from stackroles.workloads.manifests.metadata import ownerless, selector

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_DEADLINE: Final = 5.0


class Report(Protocol):
    """What a member's agent answers."""

    @property
    def actions(self) -> Mapping[str, str]:
        """What it did by itself about a loss, by time."""
        ...


R = TypeVar("R", bound=Report)


class Decision(Protocol):
    """What is decided for one member: applied by its agent, once."""

    @property
    def mode(self) -> StrEnum:
        """What it does."""
        ...

    @property
    def incident(self) -> str:
        """The loss that the user consented to, empty where none was needed."""
        ...


class Outcome(Protocol):
    """What follows from the members' reports."""

    @property
    def decisions(self) -> Mapping[str, Decision]:
        """What to publish, by pod."""
        ...


D = TypeVar("D", bound=Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent(Generic[R]):
    """How a role's agents are asked, and how they get decisions.

    Attributes:
        status: what an agent answers.
        port: where it answers.
        annotation: the annotation of a member's pod that holds its decision.
        view: what the reports mean for departures, by ordinal.
        event: reason of the Event about a decision by consent.
    """

    status: type[R]
    port: int
    annotation: str
    view: Callable[[Mapping[str, R | None]], Mapping[int, MemberView]]
    event: str

    async def pull(self, addresses: Mapping[str, str]) -> dict[str, R | None]:
        """Return each member's report by pod name, asked side by side within a second.

        Args:
            addresses: pod address by pod name, empty where there is none yet.
        """
        urls = {name: url_of(ip, self.port, STATUS_PATH) for name, ip in addresses.items() if ip}
        return {**dict.fromkeys(addresses), **await get_messages(self.status, urls)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleMembers(Generic[R]):
    """The members of one role of a cloud, during one pass.

    Attributes:
        context: what a pass is given.
        resource: the CloudController.
        cloud: the cloud as declared.
        role: the role.
        agent: how its agents are asked.
        part: the part of the resource whose pass it is.
    """

    context: Context
    resource: Object
    cloud: Cloud
    role: RoleDefinition
    agent: Agent[R]
    part: PartRef

    @property
    def consent(self) -> Recovery | None:
        """`spec.roles.<role>.recovery`."""
        declared = self.cloud.spec.roles.get(self.role.name)
        return declared.recovery if declared else None

    def polled(self) -> Mapping[str, R | None] | None:
        """Return each member's last report by pod name, None before the first round."""
        seen = self.context.poller.latest(self._poll_name)
        return seen.value if seen is not None else None

    def keep_polling(self, interval: float) -> None:
        """Have the members asked from now on, and the part reconciled on a difference.

        Args:
            interval: seconds between two rounds.
        """
        self.context.poller.ensure(
            self._poll_name, self.ask, interval=interval, deadline=_DEADLINE, notify=self.part
        )

    async def ask(self) -> Mapping[str, R | None]:
        """Return each member's report by pod name, as it answers now."""
        return await self.agent.pull({n: pod_address(p) for n, p in self._pods().items()})

    def claims(self) -> dict[str, str]:
        """Return the uid of its volume claim by pod of every wanted member, "" without a claim."""
        cloud, role = self.cloud, self.role
        workload, volume = cloud.workload(role.name), role.volume
        labels = ownerless(selector(cloud, role.name))
        claims = self.context.cluster.list("PersistentVolumeClaim", cloud.namespace, labels)
        uids = {claim["metadata"]["name"]: claim["metadata"]["uid"] for claim in claims}
        prefix = f"{volume.claim}-" if volume else ""
        pods = [naming.pod(workload, n) for n in range(cloud.replicas[role.name])]
        return {pod: uids.get(prefix + pod, "") for pod in pods}

    async def decide(
        self, polled: Mapping[str, R | None], decide: Callable[[Mapping[str, R | None]], D]
    ) -> D:
        """Return what follows from the last reports.

        What is to be published follows from what all members answer now.
        """
        outcome = decide(polled)
        return decide(await self.ask()) if outcome.decisions else outcome

    async def publish(self, decisions: Mapping[str, Decision]) -> None:
        """Give members what is decided for them, with an Event for what was consented to.

        Raises:
            ClusterError: the Kubernetes API refused or did not answer.
        """
        pods = self._pods()
        for name, decision in decisions.items():
            pod, text = pods.get(name), wire.dumps(decision, sort_keys=True)
            if pod is None or _annotation(pod, self.agent.annotation) == text:
                continue
            await self.context.cluster.annotate_pod(pod, {self.agent.annotation: text})
            log.info("Published a decision", member=name, mode=decision.mode.value)
            if decision.incident:
                await self.context.cluster.event(
                    self.resource,
                    "Warning",
                    self.agent.event,
                    f"The operator decided that {name} of {self.role.name} is to "
                    f"{decision.mode.value}, by the consent to incident {decision.incident}.",
                )

    async def let_go(self, polled: Mapping[str, R | None]) -> str:
        """Let members leave that are not wanted any more; return what is under way.

        Raises:
            ClusterError: the Kubernetes API refused or did not answer.
        """
        return await reconcile_departures(
            self.context,
            self.resource,
            self.cloud,
            self.role,
            polled=self.agent.view(polled),
            look=self._look,
            reader=service_of(self.resource, self.role.service),
        )

    async def replace_lost(self, polled: Mapping[str, R | None]) -> Finding | None:
        """Replace the lost member that the user consents to; return what needs a person.

        Raises:
            ClusterError: the Kubernetes API refused or did not answer.
            NotReady: what is recorded has changed meanwhile.
        """
        return await reconcile_replacement(
            self.context,
            self.resource,
            self.cloud,
            self.role,
            part=self.part,
            polled=self.agent.view(polled),
            look=self._look,
        )

    def course(self, polled: Mapping[str, R | None]) -> Course:
        """Return how the role stands by its members' last reports."""
        views, workload = self.agent.view(polled), self.cloud.workload(self.role.name)
        serving = {
            naming.pod(workload, n): views[n].healthy if n in views else None
            for n in range(self.cloud.replicas[self.role.name])
        }
        actions = {pod: report.actions for pod, report in polled.items() if report is not None}
        return course_of(actions, serving)

    async def _look(self) -> Mapping[int, MemberView]:
        return self.agent.view(await self.ask())

    @property
    def _poll_name(self) -> str:
        return f"{self.part.whole}/{self.role.name}"

    def _pods(self) -> Mapping[str, Object]:
        labels = selector(self.cloud, self.role.name)
        pods = self.context.cluster.list("Pod", self.cloud.namespace, labels)
        return {pod["metadata"]["name"]: pod for pod in pods}


def _annotation(pod: Object, name: str) -> str | None:
    found: str | None = pod["metadata"].get("annotations", {}).get(name)
    return found

"""Database cluster: observe the members, decide, record, observe again, and only then publish."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import structlog

from stackroles.agents import wire
from stackroles.agents.galera.protocol import DECISION_ANNOTATION, Decision, Mode
from stackroles.config.cloud import Cloud
from stackroles.domains.database.consent import Consent
from stackroles.domains.database.decide import decide
from stackroles.domains.database.departures import view_members
from stackroles.domains.database.members import STARTS_THAT_TELL, failures
from stackroles.domains.database.model import Member, Outcome, PersistedState, Verdict
from stackroles.domains.database.reconcile_members import (
    PART,
    Members,
    Network,
    Observed,
    published,
)
from stackroles.domains.database.reconcile_state import StateUnreadable, read_state, record_state
from stackroles.domains.database.rolling import next_to_restart
from stackroles.domains.database.status import assess_health, explain_desync
from stackroles.errors import Conflict, NotReady
from stackroles.kube.kinds import PartRef, ref_of, uid_of
from stackroles.reconcile.context import Context
from stackroles.reconcile.departures import reconcile_departures
from stackroles.reconcile.parts import service_of
from stackroles.reconcile.replacement import reconcile_replacement
from stackroles.roles.mariadb import MARIADB
from stackroles.roles.topology import DEFAULT, Topology
from stackroles.workloads.conditions import Finding
from stackroles.workloads.departures import MemberView
from stackroles.workloads.restoring import RecordUnreadable

Object = dict[str, Any]
log = structlog.get_logger(__name__)

_CALM_SECONDS: Final = 2.0
_BUSY_SECONDS: Final = 1.0
_RETRY_SECONDS: Final = 0.5
# Some decisions depend on how long something lasts, which no difference of reports shows.
_WATCH_SECONDS: Final = 2.0


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
        decided: what was decided now, as a sentence; empty when nothing was.
        note: what is under way: members that leave, or serve without being synced; empty without.
        lost: the member that is gone with its volume, and what to do; None without any.
        health: whether members lack something while they serve.
    """

    ready: bool
    primary: bool
    writer: str | None
    verdict: Verdict
    message: str
    members: Mapping[str, str]
    health: Finding
    failing: str = ""
    decided: str = ""
    note: str = ""
    lost: Finding | None = None


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
    members = Members(context, owner, cloud, network or Network(), topology)
    galera = _Galera(context, owner, cloud, members)
    outcome, observed = await galera.decide_and_record()
    restart = galera.next_to_restart(outcome, observed)
    await galera.publish(outcome, leaving=restart["metadata"]["name"] if restart else None)
    galera.keep_polling(outcome)
    if restart is not None:
        await galera.restart(restart)
    note = await galera.let_go(outcome, observed)
    lost = await galera.replace_lost(outcome, observed)
    return GaleraResult(
        ready=outcome.verdict is Verdict.SYNCED,
        primary=any(member.view for member in observed.members),
        writer=observed.writer,
        verdict=outcome.verdict,
        message=outcome.message,
        members={member.name: _phase(member) for member in observed.members},
        decided=outcome.decided,
        failing=failures(observed.members, STARTS_THAT_TELL),
        health=assess_health(observed.members, members.claims()),
        note=note or explain_desync(observed.members),
        lost=lost,
    )


class _Galera:
    """One pass over one cloud's database."""

    def __init__(self, context: Context, owner: Object, cloud: Cloud, members: Members) -> None:
        self._context = context
        self._cluster = context.cluster
        self._owner = owner
        self._cloud = cloud
        self._members = members
        self._part = PartRef(*ref_of(owner), PART)
        declared = cloud.spec.roles.get(MARIADB.name)
        self._consent = Consent(
            owner_uid=uid_of(owner), given=declared.recovery if declared else None
        )

    def _decide(self, members: Sequence[Member], persisted: PersistedState) -> Outcome:
        return decide(members, persisted, self._context.leader, self._consent)

    async def decide_and_record(self) -> tuple[Outcome, Observed]:
        """Decide, and record what follows; return also what that was decided on.

        What was polled a moment ago is enough to find that nothing is to be done. Where something
        is, all members are asked again first.
        """
        try:
            persisted = await read_state(self._cluster, self._cloud)
            polled = self._members.polled()
            if polled is not None:
                outcome = self._decide(polled.members, persisted)
                if not self._acts(outcome, persisted, polled):
                    return outcome, polled
            observed = await self._members.ask()
            outcome = self._decide(observed.members, persisted)
            if outcome.persisted != persisted:
                await record_state(self._cluster, self._cloud, persisted, outcome.persisted)
        except (StateUnreadable, RecordUnreadable) as error:
            unreadable = Outcome(
                verdict=Verdict.STATE_UNREADABLE, message=str(error), persisted=PersistedState()
            )
            return unreadable, await self._members.ask()
        return outcome, observed

    def _acts(self, outcome: Outcome, persisted: PersistedState, observed: Observed) -> bool:
        """Return whether an outcome changes anything: the record, a member's decision, or a pod."""
        pods = self._members.pods()
        return (
            outcome.persisted != persisted
            or any(
                name not in pods or published(pods[name]) != decision
                for name, decision in outcome.decisions.items()
            )
            or self.next_to_restart(outcome, observed) is not None
        )

    async def publish(self, outcome: Outcome, leaving: str | None) -> None:
        """Publish what still follows from a second observation of all members.

        Args:
            outcome: what was decided and recorded.
            leaving: a member whose pod is restarted instead.
        """
        if not outcome.decisions.keys() - {leaving}:
            return
        members = await self._members.ask_members()
        again = self._decide(members, outcome.persisted)
        pods = self._members.pods()
        for name, decision in outcome.decisions.items():
            if name == leaving:
                continue
            if again.decisions.get(name) != decision:
                log.info("The members have changed since the decision", member=name)
                self._context.enqueue(self._part, _RETRY_SECONDS)
                continue
            if published(pods[name]) == decision:
                continue
            annotations = {DECISION_ANNOTATION: wire.dumps(decision, sort_keys=True)}
            await self._cluster.annotate_pod(pods[name], annotations)
            log.info("Published a decision", member=name, **_log_fields(decision))
            if decision.mode in (Mode.CREATE, Mode.BOOTSTRAP):
                await self._cluster.event(self._owner, "Normal", "GaleraBootstrap", outcome.message)

    def next_to_restart(self, outcome: Outcome, observed: Observed) -> Object | None:
        """Return the pod of the next member that needs the present template, if that is safe."""
        if not outcome.verdict.may_restart:
            return None
        rolling = self._members.rolling(observed.members)
        chosen = next_to_restart(rolling, observed.writer) if rolling else None
        return self._members.pods()[chosen] if chosen else None

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

    async def let_go(self, outcome: Outcome, observed: Observed) -> str:
        """Let members leave that are not wanted any more; return what is under way."""
        if outcome.verdict.needs_person:
            return ""
        persisted = outcome.persisted
        return await reconcile_departures(
            self._context,
            self._owner,
            self._cloud,
            MARIADB,
            polled=view_members(observed.members, persisted, observed.writers),
            look=lambda: self._look(persisted),
            reader=service_of(self._owner, MARIADB.service),
        )

    async def replace_lost(self, outcome: Outcome, observed: Observed) -> Finding | None:
        """Replace the lost member that the user consents to; return what needs a person."""
        persisted, verdict = outcome.persisted, outcome.verdict
        return await reconcile_replacement(
            self._context,
            self._owner,
            self._cloud,
            MARIADB,
            part=self._part,
            polled=view_members(observed.members, persisted, observed.writers),
            look=lambda: self._look(persisted),
            refused=f"the database waits for a person ({verdict})" if verdict.needs_person else "",
            forget=lambda member: self._forget(member.pod, persisted),
        )

    async def _look(self, persisted: PersistedState) -> Mapping[int, MemberView]:
        found = await self._members.ask()
        return view_members(found.members, persisted, found.writers)

    async def _forget(self, name: str, persisted: PersistedState) -> None:
        """Take a member's volume out of the record: nobody waits for what it holds any more."""
        volumes = {m: volume for m, volume in persisted.volumes.items() if m != name}
        if volumes != persisted.volumes:
            after = replace(persisted, volumes=volumes)
            await record_state(self._cluster, self._cloud, persisted, after)

    def keep_polling(self, outcome: Outcome) -> None:
        """Poll the members, more often while not all are synced."""
        calm = outcome.verdict is Verdict.SYNCED
        self._members.poll(_CALM_SECONDS if calm else _BUSY_SECONDS)
        if not calm and not outcome.verdict.needs_person:
            self._context.enqueue(self._part, _WATCH_SECONDS)


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

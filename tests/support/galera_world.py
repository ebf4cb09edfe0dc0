"""A Galera cluster, its agents and an operator that may crash, as a simulation without time.

Independent of the code under test except for what each side really runs: the operator's `decide`
and the agent's `rejection`. The rest is what was seen of MariaDB 11.8 with Galera 4: a member that
is killed keeps what was durable on it, a component lives on while most of its last members remain,
a joiner needs a primary component, a state transfer destroys the old data before the new is whole.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from stackroles.agents.galera.decision import rejection
from stackroles.agents.galera.protocol import (
    Activity,
    Decision,
    MemberPhase,
    Mode,
    Position,
    Report,
    View,
)
from stackroles.agents.galera.volume import AppliedDecision
from stackroles.domains.database.decide import decide
from stackroles.domains.database.model import Member, PersistedState, Verdict

HISTORY = "11111111-1111-1111-1111-111111111111"


class Wrong(AssertionError):  # noqa: N818 - it says what it means
    """Something happened that must never happen."""


@dataclass
class Volume:
    """What is durable on one member."""

    id: str
    empty: bool = True
    creating: bool = False
    uuid: str | None = None
    seqno: int = -1
    transfer: bool = False
    safe: bool = False
    applied: AppliedDecision = field(default_factory=AppliedDecision)


@dataclass
class Node:
    """One member: its pod, agent, server and volume."""

    name: str
    volume: Volume
    pod_uid: str
    attempt: str
    phase: MemberPhase = MemberPhase.RECOVERING
    mode: Mode | None = None
    reachable: bool = True
    synced: bool = False
    primary: bool = False
    joining: bool = False
    annotation: Decision | None = None

    @property
    def position(self) -> Position | None:
        """What the agent would report."""
        if self.phase is not MemberPhase.WAITING:
            return None
        volume = self.volume
        if volume.empty or volume.creating:
            return Position(empty=True)
        if volume.transfer:
            return Position(transfer=True)
        if volume.uuid is None:
            return Position(error="no history")
        return Position(uuid=volume.uuid, seqno=volume.seqno, safe=volume.safe)


class World:
    """Members, the component they form, and what clients saw acknowledged."""

    def __init__(self, size: int = 3) -> None:
        self.counter = 0
        self.nodes = [
            Node(f"m-{n}", Volume(self.new("vol")), self.new("pod"), self.new("attempt"))
            for n in range(size)
        ]
        self.component: set[str] = set()
        self.ghosts: set[str] = set()
        self.committed = 0
        self.acknowledged = 0
        self.created = 0
        self.crowds = 0
        self.bootstraps: list[int] = []
        self.persisted = PersistedState()
        self.paused: list[Operator] = []

    def new(self, kind: str) -> str:
        """Return a name that was not there before."""
        self.counter += 1
        return f"{kind}-{self.counter}"

    def node(self, name: str) -> Node:
        """Return a member by name."""
        return next(node for node in self.nodes if node.name == name)

    def state(self) -> tuple[object, ...]:
        """Return all that an operator's pass and the members' steps depend on, to compare."""
        nodes = [replace(node, volume=replace(node.volume)) for node in self.nodes]
        return nodes, self.persisted, self.committed, set(self.component), set(self.ghosts)

    # -- what happens to members -----------------------------------------------------------------

    def write(self, node: Node) -> None:
        """A client writes through a member that serves and gets an acknowledgement."""
        if not node.synced or node.volume.creating:
            return
        self.committed += 1
        node.volume.seqno = self.acknowledged = self.committed

    def flush(self, node: Node) -> None:
        """A member makes durable what it has received."""
        if node.synced:
            node.volume.seqno = self.committed

    def kill(self, node: Node) -> None:
        """A server dies at once; its agent starts over."""
        if node.phase in (MemberPhase.RECOVERING, MemberPhase.WAITING):
            return
        self._leave(node, quorum=True)
        if node.name in self.component or node.primary:
            self.ghosts.add(node.name)
        self._over(node)

    def stop(self, node: Node) -> None:
        """A server stops in good order; its agent starts over."""
        if node.phase in (MemberPhase.RECOVERING, MemberPhase.WAITING):
            return
        if node.synced:
            node.volume.seqno = self.committed
            node.volume.safe = self.component == {node.name}
        self._leave(node, quorum=False)
        self._over(node)

    def evict(self) -> None:
        """The component forgets members that have ended."""
        self.ghosts.clear()

    def replace_pod(self, node: Node) -> None:
        """A pod is deleted and made again on its volume."""
        self.kill(node)
        node.pod_uid = self.new("pod")
        node.annotation = None
        self._over(node)

    def lose_volume(self, node: Node) -> None:
        """A volume is replaced by an empty one, and with it the pod."""
        self.replace_pod(node)
        node.volume = Volume(self.new("vol"))

    def lose_state(self, node: Node) -> None:
        """A server dies and leaves data that names no history."""
        self.kill(node)
        if node.phase is MemberPhase.RECOVERING and node.volume.uuid and not node.volume.creating:
            node.volume.uuid, node.volume.seqno = None, -1

    def _leave(self, node: Node, *, quorum: bool) -> None:
        if node.name not in self.component:
            return
        before = len(self.component)
        self.component.discard(node.name)
        if quorum:
            self.ghosts.add(node.name)
        if quorum and len(self.component) * 2 <= before:
            self._scatter()

    def _scatter(self) -> None:
        """The component is lost: its members run on without it."""
        for name in self.component:
            other = self.node(name)
            other.synced = other.primary = False
        self.component.clear()
        self.ghosts.clear()

    def _over(self, node: Node) -> None:
        node.synced = node.primary = node.joining = False
        node.attempt = self.new("attempt")
        node.phase = MemberPhase.RECOVERING
        node.mode = None

    # -- what agents do --------------------------------------------------------------------------

    def advance(self, node: Node) -> None:
        """The agent or its server does its next step."""
        if node.phase is MemberPhase.RECOVERING:
            node.phase = MemberPhase.WAITING
        elif node.phase is MemberPhase.WAITING:
            self._apply_decision(node)
        elif node.joining:
            self._join(node)
        elif node.annotation and (node.annotation.mode, node.annotation.attempt) == (
            Mode.RECOVER,
            node.attempt,
        ):
            self.stop(node)
        elif node.synced and node.volume.creating:
            node.volume.creating = False

    def _apply_decision(self, node: Node) -> None:
        published, position = node.annotation, node.position
        if published is None or position is None:
            return
        if rejection(published, node.attempt, position, node.volume.applied):
            return
        if published.mode is Mode.RECOVER:
            self._over(node)
            return
        node.volume.applied = AppliedDecision(published.attempt, published.epoch)
        node.phase, node.mode = MemberPhase.STARTING, published.mode
        if published.mode is Mode.JOIN:
            if self.component and any(other.joining for other in self.nodes):
                self.crowds += 1
            node.joining = True
            if node.name in self.ghosts and self.component:
                raise Wrong(f"{node.name} joins while its former self is still counted")
        else:
            self._found(node, published.mode)

    def _found(self, node: Node, mode: Mode) -> None:
        """Form a primary component; every rule that matters is checked here."""
        if self.component:
            raise Wrong(f"{node.name} forms a second component beside {self.component}")
        if mode is Mode.CREATE:
            if self.acknowledged:
                raise Wrong(f"{node.name} makes a new database; {self.acknowledged} were written")
            node.volume = Volume(
                node.volume.id, False, True, HISTORY, 0, applied=node.volume.applied
            )
            self.created += 1
        elif node.volume.seqno < self.acknowledged:
            raise Wrong(f"{node.name} starts at {node.volume.seqno} of {self.acknowledged}")
        self.committed = node.volume.seqno
        self.bootstraps.append(node.volume.seqno)
        self._synced(node)

    def _join(self, node: Node) -> None:
        if not self.component:
            self._over(node)  # it gives up after a while
            return
        volume = node.volume
        if volume.empty or volume.transfer or volume.creating or volume.uuid is None:
            if not volume.transfer:
                volume.empty, volume.transfer, volume.creating = False, True, False
                volume.uuid, volume.seqno = None, -1
                return
            volume.transfer = False
        elif volume.seqno > self.committed:
            raise Wrong(f"{node.name} joins and drops {volume.seqno - self.committed}")
        volume.uuid, volume.seqno = HISTORY, self.committed
        self._synced(node)

    def _synced(self, node: Node) -> None:
        node.joining = False
        node.phase = MemberPhase.RUNNING
        node.primary = node.synced = True
        node.volume.safe = False
        self.component.add(node.name)

    # -- what the operator sees and does -----------------------------------------------------------

    def observe(self, node: Node) -> Member:
        """Return one member as it is now."""
        return Member(
            name=node.name,
            ordinal=int(node.name[2:]),
            pod_uid=node.pod_uid,
            report=self._report(node) if node.reachable else None,
            published=node.annotation,
        )

    def _report(self, node: Node) -> Report:
        view = None
        if node.phase is MemberPhase.RUNNING:
            view = View(
                primary=node.primary,
                synced=node.synced,
                uuid=HISTORY,
                committed=self.committed,
                size=len(self.component | self.ghosts) if node.primary else 1,
                addresses=frozenset(self.component | self.ghosts),
            )
        return Report(
            pod_uid=node.pod_uid,
            volume_id=node.volume.id,
            attempt=node.attempt,
            phase=node.phase,
            mode=node.mode,
            position=node.position,
            view=view,
            activity=Activity.JOINING if node.joining else None,
            address=node.name,
            creating=node.volume.creating,
            applied_epoch=node.volume.applied.epoch,
            non_primary_seconds=60 if view and not view.primary else 0,
        )

    def publish(self, name: str, decision: Decision) -> None:
        """A decision reaches a pod's annotation."""
        self.node(name).annotation = decision


class Operator:
    """One operator's passes, a step at a time; whatever happens between two steps has happened.

    It knows nothing of those before it but what is recorded; no Lease outlives it.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.leader = world.new("leader")
        self._begin()

    def _begin(self) -> None:
        self.seen: dict[str, Member] = {}
        self.unpublished: Mapping[str, Decision] = {}
        self.stage = "observe"
        self.verdict: Verdict | None = None

    def step(self) -> None:
        """Do the next step of a pass."""
        world = self.world
        if self.stage in ("observe", "observe again") and len(self.seen) < len(world.nodes):
            node = world.nodes[len(self.seen)]
            self.seen[node.name] = world.observe(node)
        elif self.stage == "observe":
            self.read = world.persisted
            outcome = decide(list(self.seen.values()), self.read, self.leader)
            self.verdict = outcome.verdict
            self.unpublished, self.persisted = outcome.decisions, outcome.persisted
            self.stage = "record"
        elif self.stage == "record":
            self._record()
        elif self.stage == "observe again":
            again = decide(list(self.seen.values()), self.persisted, self.leader)
            self.unpublished = {
                n: d for n, d in self.unpublished.items() if again.decisions.get(n) == d
            }
            self.stage = "publish"
        elif self.stage == "publish" and self.unpublished:
            name, decision = next(iter(self.unpublished.items()))
            self.unpublished = {n: d for n, d in self.unpublished.items() if n != name}
            world.publish(name, decision)
        else:
            self._begin()

    def _record(self) -> None:
        """Write what was decided, unless somebody else wrote since it was read."""
        if self.persisted != self.read:
            if self.world.persisted != self.read:
                self._begin()
                return
            self.world.persisted = self.persisted
        self.seen, self.stage = {}, "observe again" if self.unpublished else "done"

    def replace(self) -> "Operator":
        """Pause here; another operator takes over.

        This one may go on at any time, as if no fence held it back.
        """
        self.world.paused.append(self)
        return Operator(self.world)

    def whole_pass(self) -> None:
        """Run one pass with nothing in between."""
        self._begin()
        while self.stage != "done" and (self.stage, bool(self.unpublished)) != ("publish", False):
            self.step()
        self.stage = "done"

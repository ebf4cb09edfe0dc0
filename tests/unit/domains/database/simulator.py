"""A Galera cluster by its transactions: which member holds which write, in memory and on disk.

Independent of `tests.support.galera_world`, which knows positions only. Here every write has an
identity of its own, a volume is the list of those that are durable on it, and whether a start loses
something is found by comparing these lists, never by comparing positions. Of the code under test it
runs the decision (`domains/database/decide.py`) and what an agent accepts (`rejection`,
`may_rejoin`).
"""

from dataclasses import dataclass, field

from stackroles.agents.galera.decision import rejection
from stackroles.agents.galera.peers import may_rejoin
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
from stackroles.domains.database.model import Member

# For how many steps a server is outside a primary component before that counts as long.
_LONG = 6


class Violation(AssertionError):  # noqa: N818 - what it is
    """Something happened that must never happen."""


@dataclass
class Disk:
    """What is durable on a member."""

    identity: str
    history: str | None = None
    writes: list[int] = field(default_factory=list)
    torn: bool = False
    safe: bool = False
    applied: AppliedDecision = field(default_factory=AppliedDecision)

    @property
    def empty(self) -> bool:
        """Whether it holds no database."""
        return self.history is None and not self.torn


@dataclass(eq=False)
class Component:
    """A group of members that serve, or that served until it was dissolved."""

    history: str
    writes: list[int]
    members: set[str]
    ended: set[str] = field(default_factory=set)
    primary: bool = True


@dataclass(eq=False)
class Node:
    """One member: pod, agent, server, disk."""

    name: str
    disk: Disk
    pod: str
    attempt: str
    phase: MemberPhase = MemberPhase.RECOVERING
    mode: Mode | None = None
    component: Component | None = None
    transferring: bool = False
    annotation: Decision | None = None
    muted: bool = False
    side: int = 0
    alone: int = 0

    @property
    def serves(self) -> bool:
        """Whether it is a whole member of a primary component."""
        return self.phase is MemberPhase.RUNNING and bool(
            self.component and self.component.primary and self.name in self.component.members
        )


class Simulation:
    """Members, the components they form, and the writes that clients saw acknowledged."""

    def __init__(self, size: int) -> None:
        self._drawn = 0
        self.nodes = [
            Node(f"m-{n}", Disk(self.draw("disk")), self.draw("pod"), self.draw("attempt"))
            for n in range(size)
        ]
        self.acknowledged: set[int] = set()
        self.losses = self.replaced = 0
        self.starts = 0

    def draw(self, kind: str) -> str:
        """Return a name that was not there before."""
        self._drawn += 1
        return f"{kind}-{self._drawn}"

    def serving(self) -> Component | None:
        """Return the primary component, None without one."""
        return next((n.component for n in self.nodes if n.serves), None)

    # -- clients and failures --------------------------------------------------------------------

    def write(self, node: Node) -> None:
        """A member commits a write; all members of the component have received it by then."""
        if node.serves and node.component is not None:
            self._drawn += 1
            node.component.writes.append(self._drawn)
            self.flush(node)
            self.acknowledged.add(self._drawn)

    def flush(self, node: Node) -> None:
        """A member applies all that it has received."""
        if node.component is not None:
            node.disk.writes = list(node.component.writes)

    def kill(self, *nodes: Node) -> None:
        """Servers die in the same moment; what they had not applied is gone from them."""
        self._part([node for node in nodes if node.component], announced=False)
        for node in nodes:
            self._begin(node)

    def stop(self, node: Node) -> None:
        """A server stops in good order."""
        if node.component is not None:
            self.flush(node)
            node.disk.safe = node.component.members == {node.name}
            self._part([node], announced=True)
        self._begin(node)

    def replace_pod(self, node: Node) -> None:
        """A pod is deleted and made again on its volume."""
        self.kill(node)
        node.pod, node.annotation = self.draw("pod"), None

    def lose_disk(self, node: Node) -> None:
        """A member is made again on a new volume."""
        self.replace_pod(node)
        self.replaced += 1
        if node.disk.history:
            self.losses += 1
        node.disk = Disk(self.draw("disk"))

    def cut(self, node: Node) -> None:
        """The network of a member is cut from that of the others."""
        node.side = 1
        component = node.component
        if component is not None and component.primary:
            here = [n for n in self._of(component) if n.side == 1]
            there = [n for n in self._of(component) if n.side == 0]
            lesser = here if len(here) <= len(there) else there
            self._part(lesser, announced=False, alive=True)

    def heal(self, node: Node) -> None:
        """The network of a member is whole again; parts that meet merge by themselves."""
        node.side = 0
        serving = self.serving()
        for lost in {id(n.component): n.component for n in self.nodes if n.component}.values():
            if lost is None or lost.primary or lost is serving:
                continue
            near = [n for n in self.nodes if n.component is lost and n.side == 0]
            if serving is not None:
                self._merge(near, serving)
            elif 2 * len(near) > len(lost.members):
                # Most of the last primary component: nobody else can have gone on.
                lost.members = {n.name for n in near}
                lost.primary = True
                serving = lost

    def _merge(self, near: list[Node], serving: Component) -> None:
        for node in near:
            held = node.component.writes if node.component else []
            if node.component and node.component.history == serving.history and (
                held == serving.writes[: len(held)]
            ):  # fmt: skip
                node.component = serving
                serving.members.add(node.name)

    def _of(self, component: Component) -> list[Node]:
        return [n for n in self.nodes if n.component is component and n.name in component.members]

    def _part(self, leaving: list[Node], *, announced: bool, alive: bool = False) -> None:
        """Members leave their component; without half of its members the rest is not primary."""
        for component in {id(n.component): n.component for n in leaving}.values():
            if component is not None and component.primary:
                names = {n.name for n in leaving if n.component is component} & component.members
                self._shrink(component, names, announced=announced, alive=alive)

    def _shrink(
        self, component: Component, names: set[str], *, announced: bool, alive: bool
    ) -> None:
        before, rest = len(component.members), component.members - names
        if not announced and 2 * len(rest) <= before:
            component.primary = False  # whoever still runs keeps its last view
            return
        component.members = rest
        if alive:
            last = Component(component.history, list(component.writes), rest | names, primary=False)
            for name in names:
                next(n for n in self.nodes if n.name == name).component = last
        elif not announced:
            component.ended |= names

    def _begin(self, node: Node) -> None:
        node.component, node.transferring, node.mode = None, False, None
        node.alone = 0
        node.attempt, node.phase = self.draw("attempt"), MemberPhase.RECOVERING

    # -- what agents and servers do ----------------------------------------------------------------

    def advance(self, node: Node) -> None:
        """An agent or its server does its next step."""
        if node.component is not None and node.component.primary:
            node.component.ended.clear()  # the component has dropped who ended
        if node.component is not None and not node.serves:
            node.alone += 1
        published = node.annotation
        if node.phase is MemberPhase.RECOVERING:
            node.phase = MemberPhase.WAITING
        elif node.phase is MemberPhase.WAITING:
            if published is not None and self._accepts(node, published):
                self._apply(node, published)
        elif node.phase is MemberPhase.STARTING:
            self._start(node)
        elif published and (published.mode, published.attempt) == (Mode.RECOVER, node.attempt):
            self.stop(node)

    def rejoin(self, node: Node) -> None:
        """A waiting member that hears of no decision asks the others."""
        position = self.position(node)
        if node.phase is not MemberPhase.WAITING or position is None:
            return
        others = [n for n in self.nodes if n is not node]
        reports = {n.name: self.report(n) if n.side == node.side else None for n in others}
        if may_rejoin(node.name, node.name, position, reports):
            epoch = node.disk.applied.epoch
            self._apply(node, Decision(attempt=node.attempt, epoch=epoch, mode=Mode.JOIN))

    def _accepts(self, node: Node, decision: Decision) -> bool:
        position = self.position(node)
        assert position is not None
        return rejection(decision, node.attempt, position, node.disk.applied) is None

    def _apply(self, node: Node, decision: Decision) -> None:
        if decision.mode is Mode.RECOVER:
            self._begin(node)
            return
        node.disk.applied = AppliedDecision(decision.attempt, decision.epoch)
        node.phase, node.mode = MemberPhase.STARTING, decision.mode

    def _start(self, node: Node) -> None:
        if node.mode in (Mode.CREATE, Mode.BOOTSTRAP):
            self._form(node)
        else:
            self._join(node)

    def _form(self, node: Node) -> None:
        """A server forms a primary component of what is on its disk: the moment of truth."""
        if self.serving() is not None:
            raise Violation(f"{node.name} forms a component beside another one")
        disk = node.disk
        if node.mode is Mode.CREATE:
            disk.history = self.draw("history")
        self._check(set(disk.writes), node, f"{node.mode} of {node.name}")
        disk.safe = False
        node.component = Component(str(disk.history), list(disk.writes), {node.name})
        node.phase = MemberPhase.RUNNING
        self.starts += 1

    def _check(self, kept: set[int], node: Node, what: str) -> None:
        """Raise Violation where acknowledged writes are given up, whether a volume has them or not.

        What only a lost volume held is for a person to give up, never for a start.
        """
        gone = self.acknowledged - kept
        others = [n for n in self.nodes if n is not node and not n.disk.torn]
        surviving = {w for n in others for w in n.disk.writes} & gone
        if gone:
            raise Violation(f"{what} gives up {len(gone)} writes, {len(surviving)} are on a disk")

    def _join(self, node: Node) -> None:
        serving, disk = self.serving(), node.disk
        if serving is None or all(n.side != node.side for n in self._of(serving)):
            self._begin(node)  # it gives up after a while
            return
        held = len(disk.writes)
        whole = disk.history == serving.history and disk.writes == serving.writes[:held]
        if disk.torn or not whole:
            if not node.transferring:
                if lost := (set(disk.writes) & self.acknowledged) - set(serving.writes):
                    raise Violation(f"{node.name} joins and drops {len(lost)} acknowledged writes")
                node.transferring, disk.torn = True, True
                disk.history, disk.writes = None, []
                return
            disk.torn = False
        disk.history, disk.writes = serving.history, list(serving.writes)
        node.transferring = disk.safe = False
        node.component, node.phase = serving, MemberPhase.RUNNING
        serving.members.add(node.name)
        serving.ended.discard(node.name)

    # -- what the operator sees --------------------------------------------------------------------

    def position(self, node: Node) -> Position | None:
        """Return what an agent reports of a stopped member's data."""
        if node.phase is not MemberPhase.WAITING:
            return None
        disk = node.disk
        if disk.empty:
            return Position(empty=True)
        if disk.torn:
            return Position(transfer=True)
        return Position(uuid=disk.history, seqno=len(disk.writes), safe=disk.safe)

    def report(self, node: Node) -> Report:
        """Return what an agent reports."""
        view, component = None, node.component
        if component is not None and node.phase is MemberPhase.RUNNING:
            counted = component.members | component.ended if node.serves else {node.name}
            view = View(
                primary=node.serves,
                synced=node.serves,
                uuid=component.history,
                committed=len(component.writes),
                size=len(counted),
                addresses=frozenset(counted),
            )
        return Report(
            member=node.name,
            pod_uid=node.pod,
            volume_id=node.disk.identity,
            attempt=node.attempt,
            phase=node.phase,
            mode=node.mode,
            position=self.position(node),
            view=view,
            activity=Activity.JOINING if node.mode is Mode.JOIN and view is None else None,
            address=node.name,
            applied_epoch=node.disk.applied.epoch,
            non_primary_seconds=60 if view and not view.primary and node.alone >= _LONG else 0,
        )

    def observe(self, node: Node) -> Member:
        """Return one member as the operator finds it now."""
        return Member(
            name=node.name,
            ordinal=int(node.name[2:]),
            pod_uid=node.pod,
            report=None if node.muted else self.report(node),
            published=node.annotation,
        )

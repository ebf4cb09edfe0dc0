"""Which nodes a pool takes, keeps, may not take and gives back."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields

from stackroles.constants import LABEL_POOL


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A pool as far as nodes are concerned.

    Attributes:
        name: "<namespace>/<name>", for messages.
        label: the value of the operator's node label for it.
        uid: its identity.
        selector: the user's labels that choose nodes.
        created: when it was created; the older pool wins a node that nobody has yet.
        deleting: whether it is going; it takes no more nodes.
    """

    name: str
    label: str
    uid: str
    selector: Mapping[str, str]
    created: str = ""
    deleting: bool = False

    def selects(self, node: "Candidate") -> bool:
        """Return whether the user's labels choose a node."""
        return self.selector.items() <= node.labels.items()


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A node.

    Attributes:
        name: its name.
        labels: all its labels.
        claimed: the value of the operator's label on it, empty for none.
        foreign: whether that label is of a namespace whose pools cannot be seen.
        ready: whether its kubelet reports it as ready.
        enrolled: pools with a ComputeNode for it: "<namespace>/<name>" by the pool's identity.
        ipv6: its address, which agents would use, where that is of IPv6; empty otherwise.
    """

    name: str
    labels: Mapping[str, str]
    claimed: str = ""
    foreign: bool = False
    ready: bool = True
    enrolled: Mapping[str, str] = field(default_factory=dict)
    ipv6: str = ""

    def held_beside(self, pool: Claim) -> str:
        """Return the name of another pool that has not let go of it, empty for none."""
        return next((name for uid, name in self.enrolled.items() if uid != pool.uid), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What a pool does with nodes; all names sorted.

    Attributes:
        members: nodes it has and still selects.
        enrol: nodes to take now.
        waiting: nodes it selects that are not ready yet.
        leaving: nodes it has and does not select any more.
        taken: nodes it selects that another pool has, with that pool's name.
        releasing: nodes it will take when the named pool has let go of them.
        ipv6: nodes it selects and cannot use, with their address of IPv6.
    """

    members: tuple[str, ...] = ()
    enrol: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    leaving: tuple[str, ...] = ()
    taken: Mapping[str, str] = field(default_factory=dict)
    releasing: Mapping[str, str] = field(default_factory=dict)
    ipv6: Mapping[str, str] = field(default_factory=dict)

    @property
    def selected(self) -> int:
        """How many nodes the user's labels choose."""
        groups = (
            self.members, self.enrol, self.waiting, self.taken, self.releasing, self.ipv6
        )  # fmt: skip
        return sum(len(group) for group in groups)


def plan_enrolment(pool: Claim, others: Iterable[Claim], nodes: Iterable[Candidate]) -> Enrolment:
    """Return what a pool does with each node.

    A node belongs to one pool: the one whose label it carries, else the oldest that selects it. A
    label of a pool that is gone binds nobody; one whose pool cannot be seen binds, for it may well
    exist. The label goes before the cloud has released the host; until then the node's ComputeNode
    holds it for the pool that it leaves.

    Args:
        pool: the pool.
        others: all other pools, of all namespaces that are watched.
        nodes: all nodes.
    """
    rivals = tuple(others)
    groups: dict[str, dict[str, str]] = {field.name: {} for field in fields(Enrolment)}
    for node in sorted(nodes, key=lambda node: node.name):
        if found := _classify(pool, rivals, node):
            group, detail = found
            groups[group][node.name] = detail
    return Enrolment(
        members=tuple(groups["members"]),
        enrol=tuple(groups["enrol"]),
        waiting=tuple(groups["waiting"]),
        leaving=tuple(groups["leaving"]),
        taken=groups["taken"],
        releasing=groups["releasing"],
        ipv6=groups["ipv6"],
    )


def _classify(pool: Claim, rivals: tuple[Claim, ...], node: Candidate) -> tuple[str, str] | None:
    """Return the group of an Enrolment that a node belongs to, with its detail; None for none."""
    mine = node.claimed == pool.label
    if not pool.selects(node) or pool.deleting:
        return ("leaving", "") if mine else None
    if mine:
        return "members", ""
    if holder := _holder(pool, rivals, node):
        return "taken", holder
    if former := node.held_beside(pool):
        return "releasing", former
    if node.ipv6:
        return "ipv6", node.ipv6
    return ("enrol" if node.ready else "waiting"), ""


def _holder(pool: Claim, rivals: Iterable[Claim], node: Candidate) -> str:
    """Return the name of the pool that a node belongs to before this one, empty for none."""
    if node.foreign:
        return (
            f"{node.claimed} of a namespace that is not watched here (if there is no such pool, "
            f"remove the node's label {LABEL_POOL})"
        )
    owner = next((rival for rival in rivals if rival.label == node.claimed), None)
    before = owner or _older(pool, rivals, node)
    return before.name if before else ""


def _older(pool: Claim, rivals: Iterable[Claim], node: Candidate) -> Claim | None:
    """Return the pool that comes before this one for a node nobody has yet."""
    before = [
        rival
        for rival in rivals
        if not rival.deleting
        and rival.selects(node)
        and (rival.created, rival.name) < (pool.created, pool.name)
    ]
    return min(before, key=lambda rival: (rival.created, rival.name), default=None)

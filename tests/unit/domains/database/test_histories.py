"""Random histories of a cluster: whatever happens in whatever order, no choice is wrong."""

from dataclasses import replace
from random import Random

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stackroles.agents.galera.protocol import MemberPhase
from stackroles.domains.database.model import Verdict
from tests.support.galera_world import HISTORY, Operator, World

_EVENTS = {
    "operate": 4, "pass": 3, "advance": 3, "advance_all": 3, "write": 3, "flush": 2, "kill": 2,
    "kill_all": 1, "stop": 1, "replace_pod": 1, "evict": 1, "hide": 1, "show": 1, "replace": 1,
    "wake": 2,
}  # fmt: skip
_LENGTH = 150
seeds = st.integers(0, 2**32 - 1)


def history_of(seed: int, **more: int) -> "History":
    """Play the history of a seed; every other one begins with a formed cluster."""
    random = Random(seed)
    played = History()
    if random.random() < 0.5:
        played.settle()
    names = _EVENTS | more
    for name in random.choices(list(names), list(names.values()), k=_LENGTH):
        played.play(name, random.randrange(3))
    played.settle()
    return played


class History:
    """Plays events against a world."""

    def __init__(self) -> None:
        self.world = World()
        self.operator = Operator(self.world)

    def play(self, name: str, number: int) -> None:
        """Let one thing happen, to the member of a number where it happens to one."""
        node = self.world.nodes[number]
        own = getattr(self, f"_{name}", None)
        if own is not None:
            own()
        elif name in ("hide", "show"):
            node.reachable = name == "show"
        elif name == "evict":
            self.world.evict()
        else:
            getattr(self.world, name)(node)

    def _operate(self) -> None:
        self.operator.step()

    def _pass(self) -> None:
        self.operator.whole_pass()

    def _replace(self) -> None:
        self.operator = self.operator.replace()

    def _wake(self) -> None:
        if self.world.paused:
            self.world.paused[-1].step()

    def _kill_all(self) -> None:
        for node in self.world.nodes:
            self.world.kill(node)

    def _advance_all(self) -> None:
        for node in self.world.nodes:
            self.world.advance(node)

    def verdict(self) -> Verdict | None:
        """Return what the operator says after a whole pass."""
        self.operator.whole_pass()
        return self.operator.verdict

    def settle(self) -> None:
        """Let everything be reachable and do its steps until nothing changes any more."""
        for node in self.world.nodes:
            node.reachable = True
        before = None
        for _ in range(60):
            if before == (before := self.world.state()):
                break
            self.operator.whole_pass()
            self.world.evict()
            for node in self.world.nodes:
                self.world.advance(node)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seeds)
def test_every_history_without_a_lost_volume_ends_with_all_synced_and_nothing_lost(
    seed: int,
) -> None:
    world = history_of(seed).world

    assert world.component == {"m-0", "m-1", "m-2"}
    assert world.committed >= world.acknowledged
    assert world.persisted.uuid == HISTORY
    assert world.persisted.complete


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seeds)
def test_lost_volumes_never_make_a_wrong_choice(seed: int) -> None:
    played = history_of(seed, lose_volume=1)

    if played.world.component:
        assert played.world.committed >= played.world.acknowledged
    else:
        assert played.verdict() in (Verdict.VOLUME_LOST, Verdict.BEHIND)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seeds)
def test_a_member_that_lost_its_state_file_is_never_taken_for_one_that_holds_nothing(
    seed: int,
) -> None:
    played = history_of(seed, lose_state=1)

    if played.world.component:
        assert played.world.committed >= played.world.acknowledged
    else:
        assert played.verdict() is Verdict.UNUSABLE


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seeds)
def test_a_settled_cluster_is_left_alone(seed: int) -> None:
    played = history_of(seed)
    before = [(node.attempt, node.annotation) for node in played.world.nodes]
    persisted = played.world.persisted

    played.settle()

    assert [(node.attempt, node.annotation) for node in played.world.nodes] == before
    assert played.world.persisted == persisted


def test_the_simulation_reaches_its_interesting_states() -> None:
    played = History()
    played.settle()
    world = played.world
    world.write(world.nodes[1])
    for node in world.nodes:
        world.kill(node)
    played.settle()

    assert world.bootstraps == [0, 1]
    assert world.acknowledged == 1

    for node in world.nodes:
        world.lose_volume(node)
    played.settle()

    assert played.verdict() is Verdict.VOLUME_LOST


def test_a_new_operators_decision_is_applied_whatever_was_before_and_its_predecessors_no_more() -> (
    None
):
    played = History()
    played.settle()
    world, old = played.world, played.operator
    for node in world.nodes:
        world.kill(node)
        world.advance(node)
    world.evict()
    while old.stage != "publish":
        old.step()
    (delayed,) = old.unpublished.items()

    played.play("replace", 0)
    played.settle()
    assert world.component == {"m-0", "m-1", "m-2"}
    assert world.persisted.leader == played.operator.leader
    assert world.persisted.epoch > delayed[1].epoch

    node = world.node(delayed[0])
    attempt, annotation = node.attempt, node.annotation
    old.step()
    assert node.annotation == delayed[1]
    world.kill(node)
    world.advance(node)
    world.advance(node)
    assert node.attempt != attempt
    assert node.phase is MemberPhase.WAITING
    assert annotation != node.annotation


def test_a_state_put_back_from_a_backup_does_not_make_members_deaf() -> None:
    played = History()
    played.settle()
    world = played.world
    early = world.persisted
    for _ in range(3):
        played.play("replace", 0)
        for node in world.nodes:
            world.kill(node)
        played.settle()
    world.persisted = replace(early, leader=played.operator.leader)
    for node in world.nodes:
        world.kill(node)
    played.settle()

    assert world.component == {"m-0", "m-1", "m-2"}

"""Random histories of a cluster: whatever happens in whatever order, no choice is wrong."""

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stackroles.plan.galera_model import Verdict
from tests.support.galera_world import HISTORY, Operator, World

_EVENTS = (
    "operate", "operate", "operate", "operate", "advance", "advance", "advance", "write", "flush",
    "kill", "kill_all", "stop", "replace_pod", "evict", "hide", "show", "crash", "late",
)  # fmt: skip
Event = tuple[str, int]
events = st.lists(st.tuples(st.sampled_from(_EVENTS), st.integers(0, 2)), max_size=150)
losses = st.lists(
    st.tuples(st.sampled_from((*_EVENTS, "lose_volume")), st.integers(0, 2)), max_size=150
)


class History:
    """Plays events against a world."""

    def __init__(self) -> None:
        self.world = World()
        self.operator = Operator(self.world)

    def play(self, event: Event) -> None:
        name, number = event
        node = self.world.nodes[number]
        match name:
            case "operate":
                self.operator.step()
            case "crash":
                self.operator = self.operator.crash()
            case "late" if self.world.late:
                self.world.publish(*self.world.late.pop(0))
            case "kill_all":
                for other in self.world.nodes:
                    self.world.kill(other)
            case "evict":
                self.world.evict()
            case "hide" | "show":
                node.reachable = name == "show"
            case "late":
                pass
            case _:
                getattr(self.world, name)(node)

    def settle(self) -> None:
        """Let everything be reachable and do its steps, with nothing else happening."""
        for node in self.world.nodes:
            node.reachable = True
        for _ in range(60):
            self.operator.whole_pass()
            self.world.evict()
            for node in self.world.nodes:
                self.world.advance(node)


def settled(history: list[Event]) -> History:
    played = History()
    for event in history:
        played.play(event)
    played.settle()
    return played


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events)
@example([])
def test_every_history_without_a_lost_volume_ends_with_all_synced_and_nothing_lost(
    history: list[Event],
) -> None:
    world = settled(history).world

    assert world.component == {"m-0", "m-1", "m-2"}
    assert world.committed >= world.acknowledged
    assert world.facts.uuid == HISTORY
    assert world.facts.complete
    assert world.created == 1 or not world.acknowledged


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(losses)
def test_lost_volumes_never_make_a_wrong_choice(history: list[Event]) -> None:
    played = settled(history)

    if played.world.component:
        assert played.world.committed >= played.world.acknowledged
    else:
        played.operator.whole_pass()
        assert played.world.acknowledged or played.world.facts.bootstrap is not None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events)
def test_a_settled_cluster_is_left_alone(history: list[Event]) -> None:
    played = settled(history)
    before = [(node.attempt, node.annotation) for node in played.world.nodes]
    facts = played.world.facts

    played.settle()

    assert [(node.attempt, node.annotation) for node in played.world.nodes] == before
    assert played.world.facts == facts


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
    verdicts = set()
    for node in world.nodes:
        world.lose_volume(node)
    played.settle()
    while played.operator.verdict is None:
        played.operator.step()
    verdicts.add(played.operator.verdict)
    assert verdicts == {Verdict.VOLUME_LOST}

from hypothesis import given
from hypothesis import strategies as st

from stackroles.domains.cloud.bringup import (
    build_graph,
    credentials_read,
    held_nodes,
    plan_bring_up,
)
from stackroles.roles import registry

Graph = dict[str, frozenset[str]]


def unknown_needs(graph: Graph) -> dict[str, frozenset[str]]:
    """Return the needs that nothing provides, by the node that has them."""
    missing = {node: needs - graph.keys() for node, needs in graph.items()}
    return {node: frozenset(needs) for node, needs in missing.items() if needs}


def find_cycle(graph: Graph) -> tuple[str, ...]:
    """Return nodes that need each other and so could never start; empty when there are none."""
    left = {node: set(needs & graph.keys()) for node, needs in graph.items()}
    while ready := [node for node, needs in left.items() if not needs]:
        for node in ready:
            del left[node]
        for needs in left.values():
            needs.difference_update(ready)
    return tuple(sorted(left))


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs without cycles: a node needs only nodes that come before it."""
    names = [f"n{i}" for i in range(draw(st.integers(1, 12)))]
    return {
        name: frozenset(draw(st.sets(st.sampled_from(names[:i]))) if i else ())
        for i, name in enumerate(names)
    }


@st.composite
def moments(draw: st.DrawFn) -> tuple[Graph, frozenset[str], frozenset[str]]:
    graph = draw(graphs())
    some = st.frozensets(st.sampled_from(sorted(graph)))
    return graph, draw(some), draw(some)


def test_roles_and_steps_form_a_graph_without_cycles_or_unknown_needs() -> None:
    graph = build_graph(registry.CONTROLLER_ROLES, registry.SERVICES)
    assert not unknown_needs(graph)
    assert not find_cycle(graph)


def test_cycle_is_found_and_named() -> None:
    graph = {"a": frozenset({"b"}), "b": frozenset({"a"}), "c": frozenset(), "d": frozenset("c")}
    assert find_cycle(graph) == ("a", "b")


@given(moments())
def test_nothing_starts_before_its_needs(moment: tuple[Graph, frozenset[str], frozenset[str]]):  # type: ignore[no-untyped-def]
    graph, done, present = moment
    plan = plan_bring_up(graph, done, present)
    for node in plan.run - present - done:
        assert graph[node] <= done


@given(moments())
def test_what_exists_stays_whatever_its_needs_do(  # type: ignore[no-untyped-def]
    moment: tuple[Graph, frozenset[str], frozenset[str]],
):
    graph, done, present = moment
    assert present <= plan_bring_up(graph, done, present).run


@given(moments())
def test_each_node_runs_or_waits_for_something_named(  # type: ignore[no-untyped-def]
    moment: tuple[Graph, frozenset[str], frozenset[str]],
):
    graph, done, present = moment
    plan = plan_bring_up(graph, done, present)
    assert plan.run | plan.waiting.keys() == graph.keys()
    assert not plan.run & plan.waiting.keys()
    assert all(needs and not needs & done for needs in plan.waiting.values())


@given(graphs())
def test_everything_is_done_in_the_end(graph: Graph) -> None:
    done: frozenset[str] = frozenset()
    for _ in graph:
        done = plan_bring_up(graph, done, done).run
    assert done == graph.keys()


def test_what_reads_a_services_credentials_is_held_and_nothing_else() -> None:
    read = credentials_read(registry.CONTROLLER_ROLES, registry.SERVICES)
    shared = {"mariadb/accounts", "keystone/catalogue"}
    assert held_nodes(read, {"glance"}) == shared | {"glance", "glance/setup", "glance/check"}
    assert held_nodes(read, {"admin"}) == {"keystone/setup", "keystone/catalogue"}
    assert {"rabbitmq", "nova-api"} <= held_nodes(read, {"nova"})
    assert held_nodes(read, set()) == set()
    graph = build_graph(registry.CONTROLLER_ROLES, registry.SERVICES)
    assert read.keys() == graph.keys()

"""What of a cloud may start, given what is done: a graph of roles and steps."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from stackroles.roles.definition import RoleDefinition, ServiceDefinition

Graph = Mapping[str, frozenset[str]]


def build_graph(
    roles: Iterable[RoleDefinition], services: Iterable[ServiceDefinition]
) -> dict[str, frozenset[str]]:
    """Return what each role and step ("<service>/<step>") needs to be done first."""
    graph = {role.name: frozenset(role.needs) for role in roles}
    for service in services:
        for step in service.steps:
            graph[f"{service.name}/{step.name}"] = frozenset(step.needs)
    return graph


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


@dataclass(frozen=True, slots=True)
class BringUp:
    """What to do with each node now.

    Attributes:
        run: roles to apply and steps to have done, those already there or done among them.
        waiting: nodes that may not start yet, with what they wait for.
    """

    run: frozenset[str]
    waiting: Mapping[str, frozenset[str]]


def plan_bring_up(graph: Graph, done: Set[str], present: Set[str]) -> BringUp:
    """Decide what may run.

    Args:
        graph: what each node needs.
        done: nodes that are done: roles that serve, steps that have ended well.
        present: roles that exist. They stay applied whatever becomes of their needs: a need that
            fails later must not take away what runs.
    """
    waiting = {
        node: frozenset(needs - done)
        for node, needs in graph.items()
        if needs - done and node not in present and node not in done
    }
    return BringUp(run=frozenset(graph.keys() - waiting.keys()), waiting=waiting)

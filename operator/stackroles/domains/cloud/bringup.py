"""What of a cloud may start, given what is done: a graph of roles and steps."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from stackroles.roles.definition import OpenStackService, RoleDefinition

Graph = Mapping[str, frozenset[str]]


def build_graph(
    roles: Iterable[RoleDefinition], services: Iterable[OpenStackService]
) -> dict[str, frozenset[str]]:
    """Return what each role and step ("<service>/<step>") needs to be done first."""
    graph = {role.name: frozenset(role.needs) for role in roles}
    for service in services:
        for step in service.steps:
            graph[f"{service.name}/{step.name}"] = frozenset(step.needs)
    return graph


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

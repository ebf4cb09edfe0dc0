"""What of a cloud may start, given what is done: a graph of roles and steps."""

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass

from stackroles.roles import keystone, rabbitmq
from stackroles.roles.container import Mount, SecretEnv, SecretMount, Variable
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


def credentials_read(
    roles: Iterable[RoleDefinition], services: Iterable[OpenStackService]
) -> dict[str, frozenset[str]]:
    """Return whose credentials each role and step needs, "admin" for the administrator's."""
    services = tuple(services)
    brokered = {service.name for service in services if service.broker}
    read: dict[str, frozenset[str]] = {}
    for role in roles:
        containers = (*role.init, *role.containers)
        env = [variable for container in containers for variable in container.env]
        mounts = [mount for container in containers for mount in container.mounts]
        imported = brokered if _imports_accounts(mounts) else ()
        read[role.name] = frozenset({role.service, *_services(env), *imported})
    # What the operator does itself, it does as the administrator, for all services.
    all_users = {service.name for service in services if service.identity}
    for service in services:
        for step in service.steps:
            env = [variable for task in step.tasks for variable in task.env]
            others = _services(env) if step.tasks else {*all_users, keystone.ADMIN}
            read[f"{service.name}/{step.name}"] = frozenset({service.name, *others})
    return read


def _services(env: Iterable[Variable]) -> set[str]:
    return {variable.service for variable in env if isinstance(variable, SecretEnv)}


def _imports_accounts(mounts: Iterable[Mount]) -> bool:
    wanted = rabbitmq.DEFINITIONS
    return any(isinstance(mount, SecretMount) and mount.suffix == wanted for mount in mounts)


def held_nodes(read: Graph, broken: Set[str]) -> frozenset[str]:
    """Return the roles and steps that may not start, since they read what is not known.

    Args:
        read: whose credentials each needs.
        broken: services whose credentials are not known.
    """
    return frozenset(node for node, services in read.items() if services & broken)

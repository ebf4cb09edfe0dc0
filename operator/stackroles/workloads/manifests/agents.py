"""Which agent programs a pod needs: those its commands name, and what these import."""

import ast
import re
from collections.abc import Iterable, Mapping
from functools import cache, lru_cache
from importlib.resources import files

from stackroles.roles.container import AgentMount, Container

PACKAGE = "stackroles.agents"
_NAMED = re.compile(rf"{re.escape(PACKAGE)}\.(\w+)")
_INIT = "__init__.py"


@cache
def agent_sources() -> Mapping[str, str]:
    """Return the agent programs that are part of this package, by file name."""
    return {
        entry.name: entry.read_text()
        for entry in sorted(files(PACKAGE).iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".py")
    }


def agents_of(containers: Iterable[Container], sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources that a pod mounts, by file name; empty without a mount of agents.

    A change to an agent so rolls only the roles that run it.

    Args:
        containers: the pod's containers.
        sources: all agents' sources by file name.
    """
    mounting = [c for c in containers if any(isinstance(m, AgentMount) for m in c.mounts)]
    if not mounting:
        return {}
    named = {module for c in mounting for text in _texts(c) for module in _NAMED.findall(text)}
    needed = _closure(named, sources) if named else set(sources)
    return {name: sources[name] for name in sorted(needed | {_INIT}) if name in sources}


def _texts(container: Container) -> Iterable[str]:
    yield from container.command
    yield from container.pre_stop
    for probe in (container.startup, container.readiness, container.liveness):
        yield from probe.command if probe else ()


def _closure(named: Iterable[str], sources: Mapping[str, str]) -> set[str]:
    found: set[str] = set()
    left = [f"{module}.py" for module in named]
    while left:
        name = left.pop()
        if name in found or name not in sources:
            continue
        found.add(name)
        left += [f"{module}.py" for module in _imports(sources[name])]
    return found


@lru_cache(maxsize=256)
def _imports(source: str) -> frozenset[str]:
    """Return the agents that an agent imports or, by their whole name, starts."""
    modules = set(_NAMED.findall(source))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module == PACKAGE:
            modules.update(alias.name for alias in node.names)
    return frozenset(modules)

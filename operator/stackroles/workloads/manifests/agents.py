"""Which agent programs a pod needs: those its commands name, and what these import."""

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, lru_cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from stackroles.roles.container import AgentMount, Container
from stackroles.workloads.manifests.metadata import Manifest

PACKAGE = "stackroles.agents"
_NAMED = re.compile(rf"{re.escape(PACKAGE)}\.(\w+(?:\.\w+)*)")
_INIT = "__init__.py"


@cache
def agent_sources() -> Mapping[str, str]:
    """Return the agent programs that are part of this package, by path below it, sorted."""
    return dict(sorted(_read(files(PACKAGE), "")))


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, str]]:
    for entry in folder.iterdir():
        if entry.name.endswith(".py"):
            yield prefix + entry.name, entry.read_text()
        elif entry.is_dir() and entry.name != "__pycache__":
            yield from _read(entry, f"{prefix}{entry.name}/")


def agents_of(containers: Iterable[Container], sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources that a pod mounts, by path; empty without a mount of agents.

    A change to an agent so rolls only the roles that run it.

    Args:
        containers: the pod's containers.
        sources: all agents' sources by path below their package.
    """
    mounting = [c for c in containers if any(isinstance(m, AgentMount) for m in c.mounts)]
    if not mounting:
        return {}
    named = {module for c in mounting for text in _texts(c) for module in _NAMED.findall(text)}
    return closure(named, sources) if named else dict(sources)


def closure(modules: Iterable[str], sources: Mapping[str, str]) -> dict[str, str]:
    """Return the sources of some agents and of all they import, sorted by path.

    Args:
        modules: dotted names below the package of agents, such as `galera.agent`.
        sources: all agents' sources by path below their package.
    """
    found: set[str] = set()
    left = list(modules)
    while left:
        for path in _paths(left.pop(), sources):
            if path not in found:
                found.add(path)
                left += _imports(sources[path])
    return {path: sources[path] for path in sorted(found)}


def config_map_data(agents: Mapping[str, str]) -> dict[str, str]:
    """Return agents as data of a ConfigMap, whose keys may hold no slash."""
    return {_key(path): source for path, source in agents.items()}


def config_map_items(agents: Iterable[str]) -> list[Manifest]:
    """Return which key of the ConfigMap a volume shows at which path."""
    return [{"key": _key(path), "path": path} for path in sorted(agents)]


def _key(path: str) -> str:
    return path.replace("/", ".")


def _texts(container: Container) -> Iterable[str]:
    yield from container.command
    yield from container.pre_stop
    for probe in (container.startup, container.readiness, container.liveness):
        yield from probe.command if probe else ()


def _paths(module: str, sources: Mapping[str, str]) -> Iterator[str]:
    """Yield the file of a module and those of the packages it lies in.

    What follows the module in a dotted name, such as a function, is left out.
    """
    folder = ""
    for part in ("", *module.split(".")):
        folder += f"{part}/" if part else ""
        if f"{folder}{_INIT}" in sources:
            yield f"{folder}{_INIT}"
        elif f"{folder.rstrip('/')}.py" in sources:
            yield f"{folder.rstrip('/')}.py"
            return


@lru_cache(maxsize=256)
def _imports(source: str) -> frozenset[str]:
    """Return the agents that an agent imports or, by their whole name, starts."""
    modules = set(_NAMED.findall(source))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            modules.update(
                f"{node.module}.{alias.name}".removeprefix(f"{PACKAGE}.")
                for alias in node.names
                if node.module == PACKAGE or node.module.startswith(f"{PACKAGE}.")
            )
    return frozenset(modules)

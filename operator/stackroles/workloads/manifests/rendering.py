"""A role's rendered files, and the names and hash that follow from them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from stackroles import naming
from stackroles.config.owner import Owner
from stackroles.roles.container import Container
from stackroles.roles.definition import Files, OwnerT, RoleDefinition
from stackroles.workloads.manifests.agents import agents_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendering:
    """What a pod template needs to know of its configuration.

    Attributes:
        files: content by path.
        config_map: name of the ConfigMap with the files, None without files.
        agents_map: name of the ConfigMap with the agents, None where none is mounted.
        agents: sources of the agents that the pod needs, by path.
    """

    files: Mapping[str, str]
    config_map: str | None
    agents_map: str | None
    agents: Mapping[str, str] = field(default_factory=dict)

    @property
    def config_maps(self) -> tuple[str, ...]:
        """The ConfigMaps that a pod of this rendering reads."""
        return tuple(name for name in (self.config_map, self.agents_map) if name)


def file_key(path: str) -> str:
    """Return the key of a file in its ConfigMap (letters, digits, dot, dash, underscore)."""
    return path.strip("/").replace("/", "_")


def render_role(owner: Owner, role: RoleDefinition, files: Mapping[str, str]) -> Rendering:
    """Return the rendering of a role from its files.

    Args:
        owner: the resource the role belongs to.
        role: the role.
        files: content by path, as `role.files` made it.
    """
    return render(owner, role.name, files, (*role.init, *role.containers))


def render(
    owner: Owner, name: str, files: Mapping[str, str], containers: Iterable[Container]
) -> Rendering:
    """Return the rendering of anything with files and containers.

    Raises:
        ValueError: two paths share one key, a mistake in a role's definition.
    """
    if len({file_key(path) for path in files}) != len(files):
        raise ValueError(f"two files of {name} have the same key: {sorted(files)}")
    agents = agents_of(containers, owner.agents)
    return Rendering(
        files=dict(files),
        config_map=naming.config(owner.name, name, files) if files else None,
        agents_map=naming.config(owner.name, "agents", agents) if agents else None,
        agents=agents,
    )


def files_of(files: Files[OwnerT] | None, owner: OwnerT) -> Mapping[str, str]:
    """Return the files that a role or step renders for its owner, none without a function."""
    return dict(files(owner)) if files else {}

"""Which hash-named ConfigMaps must stay."""

from collections.abc import Iterable, Mapping, Set

AGENTS = "agents"


def kept_config_maps(
    existing: Mapping[str, str], wanted: Iterable[str], in_use: Iterable[str], rolling: Set[str]
) -> frozenset[str]:
    """Return the ConfigMaps to keep.

    A pod that restarts, or that its controller makes again in the middle of a roll, needs the
    configuration of its own template. So an old one goes only when no live pod names it and the
    workload it belongs to has finished its roll.

    Args:
        existing: ConfigMaps of the resource with the role (or "agents") each belongs to.
        wanted: those of the present templates.
        in_use: those that live pods name.
        rolling: roles whose roll is not finished.
    """
    kept = set(wanted) | set(in_use)
    kept |= {
        name for name, role in existing.items() if role in rolling or (role == AGENTS and rolling)
    }
    return frozenset(kept)

"""Which roles get a new template now, where several have one; pure.

A change of what roles share, such as an upgrade, would replace members of all of them at once: the
node's processors start dozens of programs, and every layer below an API loses a member at the same
time. So few roles roll at once, and each after those that it needs.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Final

ROLLS_AT_ONCE: Final = 2


def needed_roles(graph: Mapping[str, Set[str]], roles: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the roles that each role needs, directly or through steps and other roles.

    Args:
        graph: what each role and step needs.
        roles: the roles; all else in the graph are steps.
    """
    names = frozenset(roles)
    found: dict[str, frozenset[str]] = {}

    def needed(node: str) -> frozenset[str]:
        if node not in found:
            found[node] = frozenset(graph[node]).union(*map(needed, graph[node]))
        return found[node]

    return {name: needed(name) & names for name in names}


def choose_rolls(
    wanted: Sequence[str],
    rolling: Set[str],
    needs: Mapping[str, Set[str]],
) -> dict[str, frozenset[str]]:
    """Return the roles that wait, with those that they wait for; all others may begin.

    Args:
        wanted: roles with a new template, in the order in which they are to roll.
        rolling: roles whose members are being replaced.
        needs: the roles that each role needs.
    """
    under_way = set(rolling)
    held: dict[str, frozenset[str]] = {}
    for role in wanted:
        if role in rolling:
            continue  # a correction of a roll that has begun
        first = needs[role] & (under_way | held.keys())
        if first or len(under_way) >= ROLLS_AT_ONCE:
            held[role] = frozenset(first or under_way)
        else:
            under_way.add(role)
    return held


def explain_hold(behind: Iterable[str]) -> str:
    """Return why a role's roll waits, as a sentence."""
    return (
        f"Its roll waits for {', '.join(sorted(behind))}: at most {ROLLS_AT_ONCE} roles roll at "
        "once, each after those that it needs."
    )

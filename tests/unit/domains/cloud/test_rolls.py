"""Few roles roll at once, each after those that it needs; bring-ups and corrections do not wait."""

from collections.abc import AsyncIterator

import pytest

from stackroles.constants import ANNOTATION_TEMPLATE
from stackroles.domains.cloud.reconcile_parts import GRAPH
from stackroles.domains.cloud.rolls import ROLLS_AT_ONCE, choose_rolls, needed_roles
from stackroles.roles import registry
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_reconcile import WORKLOADS, World

NEEDS: dict[str, frozenset[str]] = {
    "database": frozenset(),
    "broker": frozenset(),
    "cache": frozenset(),
    "api": frozenset({"database"}),
    "worker": frozenset({"database", "broker", "api"}),
}
ALL = tuple(NEEDS)


def test_what_a_role_needs_is_found_through_steps() -> None:
    graph = {
        "database": frozenset[str](),
        "api/setup": frozenset({"database"}),
        "api": frozenset({"api/setup"}),
    }
    assert needed_roles(graph, ["database", "api"]) == {
        "database": frozenset(),
        "api": frozenset({"database"}),
    }


@pytest.mark.parametrize(
    ("wanted", "rolling", "held"),
    [
        (ALL, set(), {"cache", "api", "worker"}),
        (("api",), set(), set()),
        (("api",), {"database"}, {"api"}),
        (("cache",), {"database", "broker"}, {"cache"}),
        # what rolls already may be corrected
        (("database", "broker"), {"database", "broker"}, set()),
        (("api", "database"), {"database"}, {"api"}),
    ],
)
def test_who_waits(wanted: tuple[str, ...], rolling: set[str], held: set[str]) -> None:
    assert choose_rolls(wanted, rolling, NEEDS).keys() == held


def test_who_waits_is_named_with_what_it_waits_for() -> None:
    held = choose_rolls(("api", "worker"), {"database"}, NEEDS)
    assert held == {"api": {"database"}, "worker": {"database", "api"}}


def test_every_order_of_rolls_comes_to_its_end() -> None:
    needs = needed_roles(GRAPH, (role.name for role in registry.CONTROLLER_ROLES))
    left = [role.name for role in registry.CONTROLLER_ROLES]
    rounds = 0
    while left:
        held = choose_rolls(left, frozenset(), needs)
        begun = [name for name in left if name not in held]
        assert 0 < len(begun) <= ROLLS_AT_ONCE
        left = [name for name in left if name in held]
        rounds += 1
    assert rounds <= len(registry.CONTROLLER_ROLES)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


def templates(world: World) -> dict[str, str]:
    """Return the template of every role's workload."""
    return {
        w["metadata"]["name"]: w["metadata"]["annotations"][ANNOTATION_TEMPLATE]
        for w in world.all(*WORKLOADS)
    }


async def test_a_change_of_all_roles_is_applied_to_a_few_at_a_time(world: World) -> None:
    world.declare()
    await world.settle()
    before = templates(world)
    assert len(before) == len(registry.CONTROLLER_ROLES)
    world.declare(defaultResources={"requests": {"cpu": "31m"}})
    seen: list[set[str]] = []
    for _ in range(len(before)):
        await world.reconcile()
        now = templates(world)
        changed = {name for name in before if now[name] != before[name]}
        seen.append(changed - {name for names in seen for name in names})
        if len(changed) == len(before):
            break
        assert world.condition("Reconciling")["status"] == "True"
        world.serve()
        await world.polls.tick()
    assert set().union(*seen) == set(before)
    assert max(map(len, seen)) <= ROLLS_AT_ONCE
    assert "demo-mariadb" in seen[0]

"""The endpoint with the real HAProxy: members come, leave and die under load."""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.endpoint_world import World, haproxy, short_folder, until, world


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return HAProxy."""
    found = haproxy(tmp_path_factory.mktemp("haproxy"))
    if found is None:
        pytest.skip("no haproxy: neither on PATH nor as the role image (`make images`)")
    return found


@pytest.fixture
def folder() -> Iterator[Path]:
    """Return a folder with a short path."""
    made = short_folder("endpoint")
    yield made
    shutil.rmtree(made)


@pytest.fixture
def served(folder: Path, program: Path) -> Iterator[World]:
    """Return an endpoint with three members."""
    with world(folder, program, members=3) as made:
        yield made


def serves(world: World, member: str) -> bool:
    """Return whether a member gets requests."""
    return member in world.up()


def test_members_rolled_one_after_the_other_cost_no_request(served: World) -> None:
    former = list(served.members)
    with served.load() as calls:
        for address in former:
            new = served.start()
            until(partial(serves, served, new), f"{new} serves")
            served.leave(address)
        until(lambda: served.up() == set(served.members) - set(former), "only new ones serve")

    assert calls.failed == []
    assert set(served.members) == set(calls.served), "each of them served"


def test_a_killed_member_costs_no_read(served: World) -> None:
    first, *others = served.members
    with served.load() as calls:
        until(lambda: calls.served.get(first, 0) > 20, "all of them serve")
        served.kill(first)
        until(lambda: served.up() == set(others), "the killed one is noticed")

    assert calls.failed == []

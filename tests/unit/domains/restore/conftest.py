"""The world in which Restores are reconciled."""

from collections.abc import AsyncIterator

import pytest

from tests.support.restore_world import RestoreWorld, restore_world


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[RestoreWorld]:
    async with restore_world(monkeypatch) as made:
        yield made

"""Options of a pool that would have no effect are refused, and hold up no deletion."""

import pytest

from stackroles.errors import SpecInvalid
from tests.support.pool_world import pool_world, serving


async def test_an_option_without_effect_is_reported_and_keeps_no_pool_from_going() -> None:
    async with pool_world() as world:
        await serving(world, "n1")
        world.declare(config={"nova-compute": {"libvirt": {"virt_type": "qemu"}}})
        with pytest.raises(SpecInvalid):
            await world.reconcile()
        status, reason, message = world.condition("Reconciled")
        assert (status, reason) == ("False", "SpecInvalid")
        assert "set spec.virtType of the ComputePool" in message
        world.delete()
        await world.reconcile()
        assert world.condition("Reconciled")[1] != "SpecInvalid"

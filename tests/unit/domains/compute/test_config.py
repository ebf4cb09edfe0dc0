"""Options of a pool that have no effect are reported, and hold up nothing."""

from tests.support.pool_world import pool_world, serving


async def test_an_option_without_effect_is_reported_and_keeps_no_pool_from_going() -> None:
    async with pool_world() as world:
        await serving(world, "n1")
        world.declare(config={"nova-compute": {"libvirt": {"virt_type": "qemu"}}})
        world.node("n2")
        await world.settle()
        status, reason, message = world.condition("Reconciled")
        assert (status, reason) == ("False", "OptionWithoutEffect")
        assert "set spec.virtType of the ComputePool" in message
        assert world.labelled() == ["n1", "n2"]
        world.delete()
        await world.reconcile()
        assert world.condition("Reconciled")[1] != "OptionWithoutEffect"


async def test_an_option_that_no_role_of_a_node_takes_is_reported_and_stops_nothing() -> None:
    async with pool_world() as world:
        await serving(world, "n1")
        world.declare(config={"cinder": {"DEFAULT": {"debug": "true"}}})
        world.node("n2")
        await world.settle()
        status, reason, message = world.condition("Reconciled")
        assert (status, reason) == ("False", "SpecInvalid")
        assert "spec.config names cinder" in message
        assert world.labelled() == ["n1", "n2"]

import asyncio

from stackroles.errors import LeadershipLost
from stackroles.kube.kinds import Key, ObjectRef
from stackroles.runtime.tasks import Tasks

KEY = ObjectRef("CloudController", "ns", "demo")


class World:
    """A task, and what it may depend on."""

    def __init__(self) -> None:
        self.active = True
        self.left = 10.0
        self.runs = 0
        self.asked = asyncio.Event()
        clock = asyncio.get_running_loop().time
        self.tasks = Tasks(list[Key]().append, clock, is_active=self.is_active, fence=self.fence)
        self.tasks.ensure("a", self.act, interval=0.001, deadline=1, notify=KEY)

    def is_active(self, _: Key) -> bool:
        self.asked.set()
        return self.active

    def fence(self) -> float:
        if self.left < 0:
            raise LeadershipLost("lost")
        return self.left

    async def act(self) -> str:
        self.runs += 1
        return "done"

    async def turn(self, times: int = 5) -> None:
        """Let so many turns of the task pass."""
        for _ in range(times):
            self.asked.clear()
            await asyncio.wait_for(self.asked.wait(), 5)


async def test_an_action_is_repeated() -> None:
    world = World()
    await world.turn()
    assert world.runs >= 4
    await world.tasks.stop()


async def test_an_action_rests_while_its_resource_is_suspended() -> None:
    world = World()
    await world.turn()
    world.active = False
    await world.turn(1)
    before = world.runs
    await world.turn()
    assert world.runs == before
    world.active = True
    await world.turn()
    assert world.runs > before
    await world.tasks.stop()


async def test_no_action_begins_behind_the_fence() -> None:
    world = World()
    world.left = 0.5
    await world.turn(1)
    before = world.runs
    await world.turn()
    world.left = -1.0
    await world.turn()
    assert world.runs == before
    await world.tasks.stop()

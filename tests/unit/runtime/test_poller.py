import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from stackroles.kube.kinds import Key, ObjectRef
from stackroles.runtime.poller import AsyncPoller, Breaker
from stackroles.runtime.router import CURRENT_KEY

KEY = ObjectRef("CloudController", "ns", "demo")


class Service:
    """Something polled, with an answer that tests set."""

    def __init__(self, answer: Any = "up") -> None:
        self.answer = answer
        self.calls = 0
        self.called = asyncio.Event()

    async def __call__(self) -> Any:
        self.calls += 1
        self.called.set()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    async def next(self) -> None:
        """Wait until it was called again and the result was taken in."""
        self.called.clear()
        await asyncio.wait_for(self.called.wait(), 5)
        await asyncio.sleep(0)
        await asyncio.sleep(0)


def poller() -> tuple[AsyncPoller, list[Key]]:
    enqueued: list[Key] = []
    return AsyncPoller(enqueued.append, asyncio.get_running_loop().time), enqueued


async def test_differences_are_recorded_and_repeats_are_not() -> None:
    polls, enqueued = poller()
    service = Service()
    polls.ensure("a", service, interval=0.01, deadline=1, notify=KEY)
    await service.next()
    await service.next()
    assert enqueued == [KEY]
    seen = polls.latest("a")
    assert seen is not None
    assert (seen.value, seen.error) == ("up", "")

    service.answer = "down"
    await service.next()

    assert enqueued == [KEY, KEY]
    await polls.stop()


async def test_failure_keeps_the_last_value_and_says_why() -> None:
    polls, enqueued = poller()
    service = Service()
    polls.ensure("a", service, interval=0.01, deadline=1, notify=KEY)
    await service.next()
    service.answer = RuntimeError("refused")
    await service.next()
    await service.next()

    seen = polls.latest("a")
    assert seen is not None
    assert (seen.value, seen.error) == ("up", "refused")
    assert enqueued == [KEY, KEY]
    service.answer = RuntimeError("reset")
    await service.next()
    assert enqueued == [KEY, KEY, KEY], "another error is news"
    await polls.stop()


async def test_call_without_an_answer_ends_at_its_deadline() -> None:
    polls, enqueued = poller()

    async def hangs() -> None:
        await asyncio.Event().wait()

    polls.ensure("a", hangs, interval=10, deadline=0.02, notify=KEY)
    async with asyncio.timeout(5):
        while not enqueued:  # noqa: ASYNC110 - a list notifies nobody
            await asyncio.sleep(0.005)

    seen = polls.latest("a")
    assert seen is not None
    assert seen.error == "no answer within 0.02 s"
    await polls.stop()


async def test_shorter_interval_takes_effect_at_once() -> None:
    polls, _ = poller()
    service = Service()
    polls.ensure("a", service, interval=1000, deadline=1, notify=KEY)
    await service.next()

    polls.ensure("a", service, interval=0.01, deadline=1, notify=KEY)

    await service.next()
    await polls.stop()


async def test_what_is_asked_for_during_a_call_is_called_for_again() -> None:
    polls, _ = poller()
    calls: list[asyncio.Event] = []

    async def slow() -> None:
        calls.append(asyncio.Event())
        await calls[-1].wait()

    polls.ensure("a/1", slow, interval=1000, deadline=5, notify=KEY)
    async with asyncio.timeout(5):
        while not calls:  # noqa: ASYNC110 - a list notifies nobody
            await asyncio.sleep(0)
        polls.refresh("a/")
        calls[0].set()
        while len(calls) < 2:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
    await polls.stop()


async def test_failure_and_recovery_are_logged_once_each() -> None:
    polls, _ = poller()
    service = Service(RuntimeError("refused"))
    with capture_logs() as logs:
        polls.ensure("a", service, interval=0.001, deadline=1, notify=KEY)
        await service.next()
        await service.next()
        service.answer = "up"
        await service.next()
        await service.next()

    logged = [(entry["event"], entry.get("error"), entry["log_level"]) for entry in logs]
    assert logged == [
        ("A poll fails", "refused", "warning"),
        ("A poll succeeds again", None, "info"),
    ]
    await polls.stop()


async def test_target_that_fails_again_and_again_is_left_alone_until_refreshed() -> None:
    polls, _ = poller()
    service = Service(RuntimeError("down"))
    polls.ensure("a/1", service, interval=0.001, deadline=1, notify=KEY)
    for _ in range(5):
        await service.next()
    polls.ensure("a/1", service, interval=1000, deadline=1, notify=KEY)
    for _ in range(3):  # trials while the breaker still counts in milliseconds
        await asyncio.sleep(0.02)
    calls = service.calls
    await asyncio.sleep(0.05)
    assert service.calls == calls
    service.answer = "up"

    polls.refresh("a/")
    await service.next()

    seen = polls.latest("a/1")
    assert seen is not None
    assert (seen.value, seen.error) == ("up", "")
    await polls.stop()


async def test_forgotten_polls_end() -> None:
    polls, _ = poller()
    service = Service()
    polls.ensure("a/1", service, interval=0.001, deadline=1, notify=KEY)
    await service.next()
    polls.forget("a/")
    await asyncio.sleep(0)
    calls = service.calls
    await asyncio.sleep(0.02)

    assert service.calls == calls
    assert polls.latest("a/1") is None


@given(st.lists(st.booleans(), max_size=30), st.floats(0.1, 100))
def test_breaker_opens_only_after_five_failures_in_a_row(
    results: list[bool], interval: float
) -> None:
    breaker, now, row = Breaker(), 0.0, 0
    for good in results:
        now += 1000.0  # long enough to be half open again
        assert breaker.wait(now) == 0
        if good:
            breaker.succeeded()
            row = 0
        else:
            breaker.failed(now, interval)
            row += 1
        assert (breaker.wait(now) > 0) == (row >= 5)
        assert breaker.wait(now) <= 60.0


async def test_a_poll_is_no_part_of_the_pass_that_began_it() -> None:
    seen: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    async def call() -> None:
        if not seen.done():
            seen.set_result(CURRENT_KEY.get())

    polls, _ = poller()
    token = CURRENT_KEY.set(KEY)
    polls.ensure("a", call, interval=0.01, deadline=1, notify=KEY)
    CURRENT_KEY.reset(token)
    assert await asyncio.wait_for(seen, 5) is None
    await polls.stop()

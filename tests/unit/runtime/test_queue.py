import asyncio
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from stackroles.kube.kinds import Key, ObjectRef
from stackroles.runtime.queue import CAP_SECONDS, WorkQueue, backoff

A, B, C = (ObjectRef("CloudController", "ns", name) for name in "abc")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def make() -> tuple[WorkQueue, Clock]:
    clock = Clock()
    return WorkQueue(clock, Random(1)), clock


def test_key_added_twice_waits_once() -> None:
    queue, _ = make()
    queue.add(A)
    queue.add(A)

    assert queue.take() == A
    assert queue.take() is None


def test_key_added_while_active_runs_again_afterwards_only() -> None:
    queue, _ = make()
    queue.add(A)
    assert queue.take() == A
    queue.add(A)

    assert queue.take() is None
    queue.done(A)
    assert queue.take() == A


def test_low_priority_waits_behind_and_is_raised() -> None:
    queue, _ = make()
    queue.add(A, low=True)
    queue.add(B, low=True)
    queue.add(C)
    queue.add(B)

    assert [queue.take() for _ in range(3)] == [C, B, A]


def test_delayed_key_comes_when_it_is_due() -> None:
    queue, clock = make()
    queue.add_after(A, 5.0)

    assert queue.take() is None
    clock.now = 5.0
    assert queue.take() == A


def test_earliest_delay_counts_and_the_key_comes_once() -> None:
    queue, clock = make()
    queue.add_after(A, 9.0)
    queue.add_after(A, 3.0)
    queue.add_after(A, 6.0)

    clock.now = 3.0
    assert queue.take() == A
    queue.done(A)
    clock.now = 20.0
    assert queue.take() is None


def test_failures_back_off_and_success_starts_again() -> None:
    queue, _ = make()
    first, second, third = (queue.retry(A) for _ in range(3))
    assert first < second < third

    queue.forget(A)

    assert queue.retry(A) <= 0.5


@given(st.integers(1, 10_000), st.integers(0, 2**32))
def test_backoff_stays_in_bounds(failures: int, seed: int) -> None:
    assert 0.25 <= backoff(failures, Random(seed)) <= CAP_SECONDS


def test_retry_waits_at_least_as_long_as_the_server_asked() -> None:
    queue, _ = make()

    assert queue.retry(A, at_least=30.0) == 30.0


def test_waits_and_runs_are_measured() -> None:
    queue, clock = make()
    queue.add(A)
    clock.now = 4.0
    assert queue.longest_wait() == 4.0
    queue.take()
    clock.now = 10.0
    assert (queue.longest_wait(), queue.longest_run()) == (0.0, 6.0)


steps = st.lists(
    st.tuples(
        st.sampled_from(["add", "low", "after", "take", "done", "tick"]), st.sampled_from([A, B, C])
    ),
    max_size=60,
)


@given(steps)
def test_no_key_is_lost_or_active_twice(  # noqa: C901 - one branch a step
    script: list[tuple[str, ObjectRef]],
) -> None:
    queue, clock = make()
    active: set[Key] = set()
    owed: set[Key] = set()
    for step, key in script:
        if step in ("add", "low"):
            queue.add(key, low=step == "low")
            owed.add(key)
        elif step == "after":
            queue.add_after(key, 1.0)
            owed.add(key)
        elif step == "tick":
            clock.now += 1.0
        elif step == "done" and key in active:
            queue.done(key)
            active.remove(key)
        elif step == "take":
            taken = queue.take()
            if taken is not None:
                assert taken not in active
                active.add(taken)
                owed.discard(taken)
    clock.now += 10.0
    for held in list(active):
        queue.done(held)
    rest = set[Key]()
    while (waiting := queue.take()) is not None:
        rest.add(waiting)
    assert owed <= rest


async def test_worker_that_waits_is_woken() -> None:
    queue = WorkQueue(asyncio.get_running_loop().time, Random(1))
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add_after(A, 0.01)

    assert await asyncio.wait_for(waiting, 2) == A


async def test_all_waiting_workers_are_woken() -> None:
    queue = WorkQueue(asyncio.get_running_loop().time, Random(1))
    waiting = [asyncio.create_task(queue.get()) for _ in range(3)]
    await asyncio.sleep(0)
    for key in (A, B, C):
        queue.add(key)

    assert set(await asyncio.wait_for(asyncio.gather(*waiting), 2)) == {A, B, C}

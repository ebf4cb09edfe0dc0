import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stackroles.errors import ClusterError, LeadershipLost
from stackroles.runtime.leader import (
    LEASE_SECONDS,
    RENEW_SECONDS,
    RETRY_SECONDS,
    Elector,
    Leadership,
    Move,
    Sighting,
    decide,
)
from tests.support.fake_api import FakeApi, Fault, client_of, fake_api


def seen(holder: str = "other", renewed: str = "r1", at: float = 0.0) -> Sighting:
    return Sighting(holder, renewed, 3, at)


def test_missing_lease_is_made() -> None:
    assert decide(None, "me", leading=False, now=0.0) is Move.CREATE


def test_lease_given_back_is_taken_at_once() -> None:
    assert decide(seen(holder=""), "me", leading=False, now=0.0) is Move.TAKE


def test_live_lease_of_another_is_waited_for() -> None:
    assert decide(seen(), "me", leading=False, now=LEASE_SECONDS - 0.1) is Move.WAIT


def test_lease_that_ran_out_is_taken() -> None:
    assert decide(seen(), "me", leading=False, now=LEASE_SECONDS) is Move.TAKE


def test_lease_of_an_earlier_process_of_ours_is_taken_not_renewed() -> None:
    assert decide(seen(holder="me"), "me", leading=False, now=0.0) is Move.TAKE
    assert decide(seen(holder="me"), "me", leading=True, now=0.0) is Move.RENEW


def test_clock_starts_again_with_each_renewal_seen() -> None:
    first = seen(at=0.0)
    same = seen(at=10.0).after(first)
    renewed = seen(renewed="r2", at=10.0).after(first)

    assert same.at == 0.0
    assert renewed.at == 10.0


@given(
    pause=st.floats(0, 60),
    intervals=st.lists(st.floats(0.1, 3.0), min_size=1, max_size=40),
    in_flight=st.floats(0, RENEW_SECONDS),
)
def test_old_leader_may_not_write_once_another_may_take(
    pause: float, intervals: list[float], in_flight: float
) -> None:
    """Whatever the pause: a write passed by the fence ends before another replica may take over."""
    leader_clock = [100.0]
    leadership = Leadership(lambda: leader_clock[0])
    leadership.renewed(100.0)
    # The other replica first sees this renewal when it was sent, at the earliest.
    sighting = seen(at=100.0)
    leader_clock[0] = 100.0 + pause
    try:
        left = leadership.fence()
    except LeadershipLost:
        return
    ends = leader_clock[0] + min(left, in_flight)
    now = 100.0
    for step in intervals:
        now += step
        if decide(sighting, "me", leading=False, now=now) is Move.TAKE:
            assert ends < now
            return


def test_fence_closes_for_good() -> None:
    now = [0.0]
    leadership = Leadership(lambda: now[0])
    with pytest.raises(LeadershipLost):
        leadership.fence()
    leadership.renewed(0.0)
    now[0] = 4.0
    assert leadership.fence() == RENEW_SECONDS - 4.0
    leadership.end()
    leadership.renewed(4.0)

    with pytest.raises(LeadershipLost):
        leadership.fence()


@dataclass
class Replica:
    api: FakeApi
    name: str
    clock: list[float] = field(default_factory=lambda: [0.0])

    def __post_init__(self) -> None:
        self.leadership = Leadership(lambda: self.clock[0])

    def elector(self, client: object) -> Elector:
        return Elector(
            client,  # type: ignore[arg-type]
            self.leadership,
            namespace="ns",
            name="lease",
            identity=self.name,
            boottime=lambda: self.clock[0],
            now=lambda: datetime.fromtimestamp(self.clock[0], UTC),
        )


def transitions(api: FakeApi) -> int:
    lease = api.get("leases", "ns", "lease")
    assert lease is not None
    return int(lease["spec"]["leaseTransitions"])


async def test_one_replica_leads_and_the_other_takes_over() -> None:
    async with fake_api() as api, client_of(api) as client:
        clock = [0.0]
        one, two = Replica(api, "one", clock), Replica(api, "two", clock)
        first, second = one.elector(client), two.elector(client)
        assert await first.step() is Move.CREATE
        assert await second.step() is Move.WAIT
        for _ in range(10):
            clock[0] += RETRY_SECONDS
            assert await first.step() is Move.RENEW
            assert await second.step() is Move.WAIT
        # "one" dies.
        clock[0] += RETRY_SECONDS
        took = 0.0
        while await second.step() is Move.WAIT:
            clock[0] += RETRY_SECONDS
            took += RETRY_SECONDS

        assert took <= LEASE_SECONDS + RETRY_SECONDS
        assert two.leadership.leading
        assert transitions(api) == 2
        assert not one.leadership.leading
        with pytest.raises((LeadershipLost, ClusterError)):
            await first.step()


async def test_leader_that_lost_the_lease_ends() -> None:
    async with fake_api() as api, client_of(api) as client:
        one = Replica(api, "one")
        elector = one.elector(client)
        await elector.step()
        lease = api.get("leases", "ns", "lease")
        assert lease is not None
        api.put({**lease, "spec": {**lease["spec"], "holderIdentity": "two"}})
        with pytest.raises(ClusterError):
            await elector.step()

        with pytest.raises(LeadershipLost):
            await elector.step()
        with pytest.raises(LeadershipLost):
            one.leadership.fence()


async def test_released_lease_is_taken_at_once_with_another_transition() -> None:
    async with fake_api() as api, client_of(api) as client:
        one, two = Replica(api, "one"), Replica(api, "two")
        first = one.elector(client)
        await first.step()

        await first.release()

        assert await two.elector(client).step() is Move.TAKE
        assert transitions(api) == 2
        assert not one.leadership.leading


async def test_renewing_costs_one_request() -> None:
    async with fake_api() as api, client_of(api) as client:
        elector = Replica(api, "one").elector(client)
        await elector.step()
        before = len(api.requests)

        await elector.step()

        assert [method for method, _ in api.requests[before:]] == ["PUT"]


async def test_failed_renewals_end_the_leader_at_its_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with fake_api() as api, client_of(api) as client:
        one = Replica(api, "one")
        elector = one.elector(client)
        await elector.step()

        async def pass_time(seconds: float) -> None:
            one.clock[0] += seconds

        api.faults.extend(Fault(method, "leases", 500) for method in ("PUT", "GET") * 20)
        monkeypatch.setattr(asyncio, "sleep", pass_time)
        with pytest.raises(LeadershipLost):
            await elector.run()

        assert RENEW_SECONDS <= one.clock[0] <= RENEW_SECONDS + RETRY_SECONDS

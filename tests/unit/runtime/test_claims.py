"""Two installations and one namespace: one acts, and the other waits until it is gone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from stackroles.errors import LeadershipLost
from stackroles.kube.client import KubeClient
from stackroles.runtime.claims import LEASE, NamespaceClaims
from stackroles.runtime.leader import Times
from tests.support.fake_api import FakeApi, client_of, fake_api

TIMES = Times(lease=60.0, renew=40.0, retry=0.02)


class Installation:
    """An operator that runs, with its own view of the time."""

    def __init__(self, client: KubeClient, name: str, clock: list[float]) -> None:
        self.claims = NamespaceClaims(
            client,
            name,
            boottime=lambda: clock[0],
            now=lambda: datetime(2026, 1, 1, tzinfo=UTC),
            times=TIMES,
        )
        self.running = asyncio.create_task(self.claims.run())

    async def comes_to(self, *, hold: bool, namespace: str = "ns") -> None:
        """Wait until it may act in a namespace, or knows who else does."""
        async with asyncio.timeout(5):
            while True:
                if self.claims.holds(namespace) is hold and (hold or self.claims.holder(namespace)):
                    return
                await asyncio.sleep(0.01)

    async def end(self) -> None:
        """End without giving anything back, as a process that was killed."""
        self.running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self.running


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as found:
        yield found


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[KubeClient]:
    async with client_of(api) as found:
        yield found


async def test_the_second_installation_is_refused_until_the_first_is_gone(
    client: KubeClient,
) -> None:
    clock = [0.0]
    first = Installation(client, "one/lease", clock)
    await first.comes_to(hold=True)
    second = Installation(client, "two/lease", clock)
    await second.comes_to(hold=False)
    assert second.claims.refused() == {"ns": "one/lease"}
    await second.comes_to(hold=True, namespace="other")
    await first.end()
    clock[0] += TIMES.lease - 1
    assert not second.claims.holds("ns")
    clock[0] += 2
    await second.comes_to(hold=True)
    await second.end()


async def test_replicas_of_one_installation_share_the_claim(client: KubeClient) -> None:
    clock = [0.0]
    former = Installation(client, "one/lease", clock)
    await former.comes_to(hold=True)
    await former.end()
    successor = Installation(client, "one/lease", clock)
    await successor.comes_to(hold=True)
    await successor.end()


async def test_a_claim_that_another_took_by_force_ends_the_process(
    api: FakeApi, client: KubeClient
) -> None:
    robbed = Installation(client, "one/lease", [0.0])
    await robbed.comes_to(hold=True)
    lease = api.get("leases", "ns", LEASE)
    assert lease is not None
    api.put({**lease, "spec": {**lease["spec"], "holderIdentity": "two/lease"}})
    with pytest.raises(ExceptionGroup) as ended:
        await asyncio.wait_for(robbed.running, 5)
    assert ended.group_contains(LeadershipLost)


async def test_what_has_no_namespace_is_nobodys_to_claim(api: FakeApi, client: KubeClient) -> None:
    one = Installation(client, "one/lease", [0.0])
    assert one.claims.holds("")
    await one.end()
    assert api.requests == []


async def test_a_namespace_that_nobody_asks_for_any_more_is_not_competed_for(
    client: KubeClient,
) -> None:
    clock = [0.0]
    first = Installation(client, "one/lease", clock)
    await first.comes_to(hold=True)
    second = Installation(client, "two/lease", clock)
    await second.comes_to(hold=False)
    clock[0] += TIMES.renew - 1
    await asyncio.sleep(0.1)
    assert second.claims.refused() == {"ns": "one/lease"}
    clock[0] += TIMES.lease
    async with asyncio.timeout(5):
        while True:
            if not second.claims.refused():
                break
            await asyncio.sleep(0.01)
    await second.end()
    await first.end()

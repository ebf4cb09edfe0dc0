"""A deaf RPC server is named in the condition, and its pod is replaced."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from stackroles.agents.rpc.protocol import RpcStatus
from stackroles.constants import LABEL_INSTANCE, LABEL_NAME, LABEL_OWNER_KIND
from stackroles.domains.messaging import reconcile_rpc
from stackroles.domains.messaging.rpc import DEAF_CALLS, RESTART_SECONDS
from tests.unit.domains.cloud import test_reconcile as clouds
from tests.unit.domains.cloud.test_brokers import Brokers
from tests.unit.domains.cloud.test_reconcile import World

DEAF = "demo-nova-conductor-0"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with clouds._world() as found:
        yield found


def add(world: World, role: str, name: str) -> None:
    """Let a member's pod be there and ready."""
    labels = {LABEL_NAME: role, LABEL_INSTANCE: "demo", LABEL_OWNER_KIND: "CloudController"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "ns",
            "labels": labels,
        },
        "spec": {},
        "status": {"podIP": "10.0.0.9", "conditions": [{"type": "Ready", "status": "True"}]},
    }
    world.cluster.cache.upsert(world.api.put(pod))


async def test_the_pod_of_a_deaf_server_is_replaced_and_named(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.declare()
    await Brokers(world).settle(4)
    for role, name in (
        ("nova-conductor", DEAF),
        ("nova-conductor", "demo-nova-conductor-1"),
        ("nova-rpc-monitor", "demo-nova-rpc-monitor-x"),
    ):
        add(world, role, name)
    world.clock.at += timedelta(seconds=RESTART_SECONDS)
    asked: list[str] = []

    async def answer(_: type[RpcStatus], urls: dict[str, str]) -> dict[str, Any]:
        asked.extend(urls.values())
        return dict.fromkeys(
            urls,
            RpcStatus(
                connected=True, unanswered={f"conductor/{DEAF}": DEAF_CALLS}, called=2, answered=1
            ),
        )

    monkeypatch.setattr(reconcile_rpc, "get_messages", answer)
    await Brokers(world).settle(3)
    assert "target=conductor%2Fdemo-nova-conductor-1" in asked[0]
    assert world.api.get("pods", "ns", DEAF) is None
    assert world.api.get("pods", "ns", "demo-nova-conductor-1") is not None
    notes = [
        event["note"]
        for (plural, *_), event in world.api._objects.items()
        if plural == "events" and event["reason"] == "RpcServerReplaced"
    ]
    assert len(notes) == 1
    assert notes[0].startswith(DEAF)

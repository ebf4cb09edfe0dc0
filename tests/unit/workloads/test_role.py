"""A role is complete when all its members are new and ready, and no old one stands in for them."""

from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.roles import registry
from stackroles.workloads.role import observe_role

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def deployment(*, replicas: int, updated: int, ready: int) -> dict[str, Any]:
    """Return a Deployment of two whose controller has seen its newest template."""
    return {
        "metadata": {"name": "demo-placement", "generation": 3},
        "status": {
            "observedGeneration": 3, "replicas": replicas,
            "updatedReplicas": updated, "readyReplicas": ready,
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("replicas", "updated", "ready", "complete"),
    [
        (2, 2, 2, True),
        (2, 2, 1, False),
        # an old pod is ready in place of a new one
        (3, 2, 2, False),
        # all new ones are ready and an old one is not gone yet
        (3, 2, 3, False),
        (3, 1, 2, False),
    ],
)
def test_a_roll_ends_when_the_last_old_pod_is_gone(
    replicas: int, updated: int, ready: int, complete: bool
) -> None:
    role = registry.role("placement")
    workload = deployment(replicas=replicas, updated=updated, ready=ready)
    state = observe_role(role, 2, workload, [], NOW)
    assert state.complete is complete
    if replicas > 2:
        assert state.rolling

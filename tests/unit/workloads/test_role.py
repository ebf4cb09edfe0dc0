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


def member(number: int, revision: str = "new", *, ready: bool = True) -> dict[str, Any]:
    """Return a pod of the database."""
    return {
        "metadata": {
            "name": f"demo-mariadb-{number}",
            "labels": {"controller-revision-hash": revision},
        },
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "False"}]},
    }


def stateful_set(*, replicas: int, updated: int, ready: int, role: str = "mariadb") -> Any:
    """Return a StatefulSet whose controller has seen its newest template."""
    counts = {"replicas": replicas, "updatedReplicas": updated, "readyReplicas": ready}
    return {
        "metadata": {"name": f"demo-{role}", "generation": 3},
        "status": {"observedGeneration": 3, "updateRevision": "new", **counts},
    }


@pytest.mark.parametrize(
    ("counts", "pods", "outdated", "lacking"),
    [
        ((3, 3, 3), [member(0), member(1), member(2)], 0, ()),
        # one terminates: it is among the replicas, and not among those of the present template
        (
            (3, 2, 2),
            [member(0), member(1), member(2, ready=False)],
            0,
            ("demo-mariadb-2",),
        ),
        ((2, 2, 2), [member(0), member(1)], 0, ("demo-mariadb-2",)),
        ((3, 2, 3), [member(0), member(1), member(2, "old")], 1, ()),
    ],
)
def test_a_member_that_terminates_is_no_outdated_one(
    counts: tuple[int, int, int],
    pods: list[dict[str, Any]],
    outdated: int,
    lacking: tuple[str, ...],
) -> None:
    replicas, updated, ready = counts
    workload = stateful_set(replicas=replicas, updated=updated, ready=ready)
    state = observe_role(registry.role("mariadb"), 3, workload, pods, NOW)
    assert (state.outdated, state.lacking) == (outdated, lacking)


def test_a_roll_is_under_way_though_its_last_old_pod_is_gone() -> None:
    workload = stateful_set(replicas=0, updated=0, ready=0, role="memcached")
    workload["status"]["currentRevision"] = "old"
    assert observe_role(registry.role("memcached"), 1, workload, [], NOW).outdated == 1

"""What an Event says of a child that somebody else changed or deleted."""

from typing import Any

import pytest

from stackroles.kube.drift import describe_drift

WANTED = {
    "kind": "Deployment",
    "apiVersion": "apps/v1",
    "metadata": {"name": "demo-keystone", "namespace": "ns"},
    "spec": {"replicas": 2},
}


def live(replicas: int, *writers: tuple[str, str, str]) -> dict[str, Any]:
    """Return the child as it is, with who wrote when to which subresource."""
    managed = [
        {"manager": manager, "time": time, **({"subresource": part} if part else {})}
        for manager, time, part in writers
    ]
    metadata = {"name": "demo-keystone", "namespace": "ns", "managedFields": managed}
    return {**WANTED, "metadata": metadata, "spec": {"replicas": replicas, "paused": False}}


def test_a_deleted_child_is_named() -> None:
    found = describe_drift(WANTED, None)
    assert found == "Deployment demo-keystone was deleted by somebody else and is made again."


@pytest.mark.parametrize(
    ("writers", "named"),
    [
        ([("stackroles", "2", ""), ("kubectl-scale", "3", "")], "kubectl-scale"),
        ([("kubectl-edit", "2", ""), ("kubectl-scale", "1", "")], "kubectl-edit"),
        ([("kubectl-edit", "1", ""), ("kube-controller-manager", "2", "")], "kubectl-edit"),
        ([("kubectl-edit", "1", ""), ("someone", "2", "status")], "kubectl-edit"),
        ([], "somebody else"),
    ],
)
def test_who_changed_it_is_named(writers: list[tuple[str, str, str]], named: str) -> None:
    found = describe_drift(WANTED, live(1, *writers))
    assert f"was changed by {named} and" in found


def test_what_is_as_declared_is_no_drift() -> None:
    assert describe_drift(WANTED, live(2, ("kubectl-rollout", "3", ""))) == ""

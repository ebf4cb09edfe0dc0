from typing import Any

import pytest

from stackroles.workloads.rolling import next_to_replace, outdated

Object = dict[str, Any]
WORKLOAD = {
    "metadata": {"generation": 2},
    "status": {"observedGeneration": 2, "updateRevision": "new"},
}


def pod(name: str, revision: str = "old", **fields: Any) -> Object:
    labels = {"controller-revision-hash": revision}
    return {"metadata": {"name": name, "labels": labels, **fields.pop("metadata", {})}, **fields}


def choose(*pods: Object, checked: bool = True) -> str | None:
    chosen = next_to_replace(
        pods,
        outdated(WORKLOAD, pods),
        checked=checked,
        serves=lambda found: found.get("ready", True),
        is_stuck=lambda found: found.get("stuck", False),
    )
    return chosen["metadata"]["name"] if chosen else None


def test_nobody_is_outdated_before_the_controller_has_seen_the_template() -> None:
    pods = [pod("a")]
    assert outdated(WORKLOAD, pods) == pods
    assert outdated({**WORKLOAD, "metadata": {"generation": 3}}, pods) == []
    assert outdated({"metadata": {"generation": 1}}, pods) == []
    assert outdated(None, pods) == []
    assert outdated(WORKLOAD, [pod("a", "new")]) == []


def test_members_are_replaced_one_at_a_time_from_the_last() -> None:
    assert choose(pod("a"), pod("b")) == "b"
    assert choose(pod("a"), pod("b", "new", ready=False)) is None
    assert choose(pod("a"), pod("b", "new")) == "a"
    assert choose(pod("a", "new"), pod("b", "new")) is None


def test_nobody_is_replaced_before_the_check_has_passed() -> None:
    assert choose(pod("a"), pod("b"), checked=False) is None
    assert choose(pod("a", ready=False), pod("b"), checked=False) is None


def test_nobody_is_replaced_while_one_is_leaving() -> None:
    leaving = pod("b", metadata={"deletionTimestamp": "2026-01-01T00:00:00Z"})
    assert choose(pod("a"), leaving) is None


@pytest.mark.parametrize("checked", [True, False])
def test_a_member_that_cannot_start_has_nothing_to_lose(checked: bool) -> None:
    assert choose(pod("a", ready=False, stuck=True), pod("b"), checked=checked) == "a"


def test_a_member_that_does_not_serve_goes_first() -> None:
    assert choose(pod("a", ready=False), pod("b")) == "a"

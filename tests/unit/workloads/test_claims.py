"""Members' volumes grow where that is possible, and a reason is given where it is not."""

from typing import Any

import pytest

from stackroles.workloads.claims import lacks_room, plan_growth, refused


def claim(number: int, size: str, phase: str = "Bound", kind: str | None = "grows") -> Any:
    spec: dict[str, Any] = {"resources": {"requests": {"storage": size}}}
    if kind is not None:
        spec["storageClassName"] = kind
    return {
        "metadata": {"name": f"data-demo-mariadb-{number}"},
        "spec": spec,
        "status": {"phase": phase},
    }


CLASSES = {"grows": True, "fixed": False}


def plan(size: str | None, *claims: Any) -> tuple[list[str], str]:
    found = plan_growth("mariadb", "demo-mariadb", size, claims, CLASSES)
    names = [c["metadata"]["name"].rpartition("-")[2] for c in found.claims]
    return names, found.problem.message if found.problem else ""


@pytest.mark.parametrize("size", [None, "2Gi", "2048Mi"])
def test_claims_of_the_declared_size_stay(size: str | None) -> None:
    assert plan(size, claim(0, "2Gi"), claim(1, "2Gi")) == ([], "")


def test_claims_that_were_enlarged_by_hand_stay_where_nothing_is_declared() -> None:
    assert plan(None, claim(0, "9Gi")) == ([], "")


def test_only_what_is_smaller_grows() -> None:
    assert plan("10Gi", claim(0, "2Gi"), claim(1, "10Gi"), claim(2, "9.5Gi")) == (["0", "2"], "")


def test_a_claim_without_a_volume_grows_once_it_has_one() -> None:
    assert plan("10Gi", claim(0, "2Gi", phase="Pending")) == ([], "")
    assert lacks_room([claim(0, "2Gi", phase="Pending")], "10Gi") == []


@pytest.mark.parametrize("kind", ["fixed", "unknown", None])
def test_a_class_that_expands_nothing_is_named_and_others_grow(kind: str | None) -> None:
    names, problem = plan("10Gi", claim(0, "2Gi", kind=kind), claim(1, "2Gi"))

    assert names == ["1"]
    assert "Volume claim data-demo-mariadb-0 of mariadb cannot grow to 10Gi" in problem
    assert f"({kind or 'none'})" in problem


def test_what_is_larger_than_declared_is_named_with_the_size_to_declare() -> None:
    names, problem = plan("10Gi", claim(0, "20Gi"), claim(1, "30Gi"), claim(2, "2Gi"))

    assert names == ["2"]
    assert "claims data-demo-mariadb-0, data-demo-mariadb-1 of mariadb" in problem
    assert "spec.roles.mariadb.storage.size to 30Gi" in problem


def test_of_many_claims_five_are_named() -> None:
    _, problem = plan("10Gi", *(claim(n, "2Gi", kind="fixed") for n in range(9)))
    assert "data-demo-mariadb-4 and 4 more of mariadb" in problem


def test_a_refusal_is_quoted() -> None:
    found = refused("mariadb", claim(0, "2Gi"), "10Gi", "exceeded quota: small")
    assert "exceeded quota: small" in found.message
    assert "10Gi is refused" in found.message

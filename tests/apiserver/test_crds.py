"""The CRDs as the API server sees them."""

from typing import Any

import pytest

from tests.apiserver.conftest import GROUP, installed, is_established
from tests.support.apiclient import ApiClient
from tests.support.controlplane import ControlPlane, wait_for

CRDS = [d for d in installed() if d["kind"] == "CustomResourceDefinition"]


@pytest.mark.parametrize("crd", CRDS, ids=lambda crd: crd["spec"]["names"]["kind"])
def test_each_crd_is_served_and_structural(
    plane: ControlPlane, admin: ApiClient, crd: dict[str, Any]
) -> None:
    name = crd["metadata"]["name"]
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    conditions = {c["type"]: c for c in admin.get(path).must()["status"]["conditions"]}

    assert is_established(plane, name)
    assert conditions["NamesAccepted"]["status"] == "True"
    assert "NonStructuralSchema" not in conditions
    assert set(conditions) <= {"Established", "NamesAccepted"}


def test_the_category_finds_every_kind(plane: ControlPlane, admin: ApiClient) -> None:
    found = {
        resource["kind"]: resource
        for resource in admin.get(GROUP).must()["resources"]
        if "/" not in resource["name"]
    }

    assert set(found) == {crd["spec"]["names"]["kind"] for crd in CRDS}
    assert all(resource["categories"] == ["openstack"] for resource in found.values())
    assert all(resource["namespaced"] for resource in found.values())


def test_explain_finds_a_description_for_every_field(plane: ControlPlane, admin: ApiClient) -> None:
    path = "/openapi/v3/apis/stackroles.io/v1alpha1"
    wait_for(plane, lambda: admin.get(path).ok, "the OpenAPI document was not published")
    document = admin.get(path).must()
    for name, schema in document["components"]["schemas"].items():
        if not name.startswith("io.stackroles.") or name.endswith("List"):
            continue
        for part in ("spec", "status"):
            bare = list(_without_description(schema["properties"][part], f"{name}.{part}"))
            assert bare == []


def _without_description(schema: dict[str, Any], path: str) -> list[str]:
    found = []
    for name, field in schema.get("properties", {}).items():
        if not field.get("description"):
            found.append(f"{path}.{name}")
        found += _without_description(field, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            found += _without_description(schema[key], f"{path}[]")
    return found

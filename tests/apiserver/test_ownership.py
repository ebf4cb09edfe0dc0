"""What Kubernetes' own controllers do with children of our kinds."""

from typing import Any

import pytest

from tests.apiserver.conftest import WATCHED_NAMESPACE
from tests.apiserver.specs import build, objects_path
from tests.support.apiclient import ApiClient
from tests.support.controlplane import ControlPlane, wait_for


@pytest.fixture(scope="module")
def _collector(plane: ControlPlane) -> None:
    plane.start_controllers("garbage-collector-controller")


def child(name: str, owner: dict[str, Any]) -> dict[str, Any]:
    reference = {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "ownerReferences": [reference]},
    }


@pytest.mark.usefixtures("_collector")
def test_children_that_the_operator_made_go_with_their_owner(
    plane: ControlPlane, admin: ApiClient, operator: ApiClient
) -> None:
    clouds = objects_path("CloudController", WATCHED_NAMESPACE)
    maps = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/configmaps"
    owner = admin.create(clouds, build("CloudController", name="owner")).must()
    operator.create(maps, child("owned", owner)).must()
    operator.create(maps, {**child("free", owner), "metadata": {"name": "free"}}).must()

    admin.delete(f"{clouds}/owner").must()

    wait_for(plane, lambda: admin.get(f"{maps}/owned").status == 404, "the child stayed")
    assert admin.get(f"{maps}/free").ok

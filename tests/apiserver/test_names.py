"""The longest names that the CRDs allow: the API server takes all that follows from them."""

import pytest

from tests.apiserver.conftest import collection
from tests.apiserver.specs import build, objects_path
from tests.support.apiclient import ApiClient
from tests.support.longest import LIMITS, NAMESPACE, longest, longest_pool, manifests


@pytest.fixture(scope="module")
def longest_namespace(admin: ApiClient) -> str:
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    admin.create("/api/v1/namespaces", body).must()
    return NAMESPACE


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_a_longer_name_is_refused(admin: ApiClient, longest_namespace: str, kind: str) -> None:
    path = objects_path(kind, longest_namespace)
    admin.create(path, build(kind, name=longest(kind)), dryRun="All").must()
    answer = admin.create(path, build(kind, name=f"{longest(kind)}z"), dryRun="All")
    assert answer.status == 422


def test_every_child_is_accepted(admin: ApiClient, longest_namespace: str) -> None:
    refused = []
    for manifest in manifests():
        assert manifest["metadata"]["namespace"] == longest_namespace
        path = f"{collection(manifest)}/{manifest['metadata']['name']}"
        answer = admin.apply(path, manifest, dryRun="All")
        if not answer.ok:
            refused.append((manifest["kind"], manifest["metadata"]["name"], answer.message))
    assert refused == []


def test_a_node_takes_the_label_of_a_pool(admin: ApiClient) -> None:
    labels = {"compute.stackroles.io/pool": longest_pool().label}
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "longest-label", "labels": labels},
    }
    admin.create("/api/v1/nodes", node, dryRun="All").must()

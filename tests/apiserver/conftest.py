"""A real API server with the project's CRDs, its chart's rights and its admission policy.

Programs come from `tests.support.binaries`; the objects come from the generated files, so that what
is tested is what a user applies.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.apiclient import ApiClient
from tests.support.binaries import ROOT
from tests.support.controlplane import ControlPlane, control_plane, wait_for

GROUP = "/apis/stackroles.io/v1alpha1"
SYSTEM_NAMESPACE = "stackroles-system"
WATCHED_NAMESPACE = "openstack"
ACCOUNT = "stackroles"
_COUNTER = itertools.count(1)


def collection(document: dict[str, Any]) -> str:
    """Return the URL path of the collection that an object of install.yaml belongs to."""
    version, kind = document["apiVersion"], document["kind"]
    plural = f"{kind[:-1].lower()}ies" if kind.endswith("y") else f"{kind.lower()}s"
    prefix = f"/apis/{version}" if "/" in version else f"/api/{version}"
    namespace = document["metadata"].get("namespace")
    return f"{prefix}/namespaces/{namespace}/{plural}" if namespace else f"{prefix}/{plural}"


def installed(path: Path = ROOT / "manifests" / "install.yaml") -> list[dict[str, Any]]:
    """Return the objects of install.yaml."""
    return list(yaml.safe_load_all(path.read_text()))


@pytest.fixture(scope="session")
def bare_plane() -> Iterator[ControlPlane]:
    """An API server with nothing in it."""
    with control_plane() as plane:
        yield plane


@pytest.fixture(scope="session")
def plane(bare_plane: ControlPlane) -> ControlPlane:
    """The API server with install.yaml in it."""
    documents = installed()
    for document in documents:
        path = f"{collection(document)}/{document['metadata']['name']}"
        answer = bare_plane.admin.apply(path, document)
        assert answer.ok, f"{document['kind']} {document['metadata']['name']}: {answer.body}"
    crds = [document for document in documents if document["kind"] == "CustomResourceDefinition"]
    wait_for(bare_plane, lambda: all(is_served(bare_plane, crd) for crd in crds), "CRDs")
    return bare_plane


def is_served(plane: ControlPlane, crd: dict[str, Any]) -> bool:
    """Return whether the API server answers lists of a CRD's objects.

    An established CRD answers 429 until its watch cache is filled.
    """
    listed = plane.admin.get(f"{GROUP}/{crd['spec']['names']['plural']}")
    return is_established(plane, crd["metadata"]["name"]) and listed.ok


def is_established(plane: ControlPlane, name: str) -> bool:
    """Return whether the API server serves a CRD."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}"
    status = plane.admin.get(path).must().get("status", {})
    conditions = {c["type"]: c["status"] for c in status.get("conditions", [])}
    return conditions.get("Established") == "True"


@pytest.fixture(scope="session")
def admin(plane: ControlPlane) -> ApiClient:
    """A user who may do everything."""
    return plane.admin


@pytest.fixture(scope="session")
def operator(plane: ControlPlane) -> ApiClient:
    """The operator's ServiceAccount, with the rights that the chart gives it."""
    return plane.client(plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT))


@pytest.fixture(scope="session")
def storage_classes(admin: ApiClient) -> None:
    """Two classes without a provisioner: `grows` expands volumes, `fixed` does not."""
    for name, grows in (("grows", True), ("fixed", False)):
        admin.apply(
            f"/apis/storage.k8s.io/v1/storageclasses/{name}",
            {
                "apiVersion": "storage.k8s.io/v1",
                "kind": "StorageClass",
                "metadata": {"name": name},
                "provisioner": "example.com/none",
                "allowVolumeExpansion": grows,
            },
        ).must()


@pytest.fixture
def namespace(admin: ApiClient) -> str:
    """A namespace of the test's own."""
    name = f"test-{next(_COUNTER)}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    admin.create("/api/v1/namespaces", body).must()
    return name


@pytest.fixture(scope="session")
def operator_kubeconfig(plane: ControlPlane, operator: ApiClient) -> Path:
    """A kubeconfig of the operator's ServiceAccount."""
    return plane.kubeconfig("operator", operator.token)

"""Members' claims grow with the operator's own rights, and a StatefulSet is not in the way."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.api.v1alpha1.conditions import Reason
from stackroles.config.cloud import Cloud
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient, load_credentials
from stackroles.kube.cluster import Cluster
from stackroles.reconcile.claims import grow_claims
from stackroles.roles import registry
from stackroles.workloads.manifests.metadata import labels, ownerless
from tests.apiserver.conftest import ACCOUNT, SYSTEM_NAMESPACE, WATCHED_NAMESPACE
from tests.support.apiclient import ApiClient
from tests.support.clouds import cloud, controller
from tests.support.controlplane import ControlPlane

CLAIMS = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/persistentvolumeclaims"
MARIADB = registry.role("mariadb")
_NAMES = (f"grown-{number}" for number in itertools.count(1))


class Members:
    """Claims of a cloud's database members, as a StatefulSet's controller and a provisioner do."""

    def __init__(self, admin: ApiClient, client: KubeClient) -> None:
        self.admin = admin
        self.cluster = Cluster(client, Cache(), lambda: 10.0, now=lambda: datetime.now(UTC))
        self.name = next(_NAMES)

    def cloud(self, size: str | None) -> Cloud:
        storage = {"storage": {"size": size}} if size else {}
        resource = controller(roles={"mariadb": storage})
        resource["metadata"] |= {"name": self.name, "namespace": WATCHED_NAMESPACE}
        return cloud(resource)

    def bound(self, number: int, size: str, storage_class: str) -> None:
        owner = self.cloud(None)
        name = f"data-{self.name}-mariadb-{number}"
        claim: Any = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {
                "name": name,
                "labels": ownerless(labels(owner, "mariadb", MARIADB.service)),
            },
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": storage_class,
                "resources": {"requests": {"storage": size}},
            },
        }
        self.admin.create(CLAIMS, claim).must()
        self.admin.merge(f"{CLAIMS}/{name}", {"spec": {"volumeName": "some"}}).must()
        status = {"phase": "Bound", "capacity": {"storage": size}}
        made = self.admin.merge(f"{CLAIMS}/{name}/status", {"status": status}).must()
        self.cluster.cache.upsert(made)

    def size(self, number: int) -> str:
        found = self.admin.get(f"{CLAIMS}/data-{self.name}-mariadb-{number}").must()
        return str(found["spec"]["resources"]["requests"]["storage"])


pytestmark = pytest.mark.usefixtures("storage_classes")


@pytest.fixture
async def members(plane: ControlPlane, admin: ApiClient) -> AsyncIterator[Members]:
    token = plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)
    client = KubeClient(await load_credentials(str(plane.kubeconfig("growth-test", token))))
    yield Members(admin, client)
    await client.close()


async def test_claims_grow_and_stay_grown(members: Members) -> None:
    for number in (0, 1):
        members.bound(number, "1Gi", "grows")

    assert await grow_claims(members.cluster, members.cloud("2Gi"), MARIADB) is None

    assert [members.size(0), members.size(1)] == ["2Gi", "2Gi"]
    assert await grow_claims(members.cluster, members.cloud(None), MARIADB) is None
    assert members.size(0) == "2Gi"


async def test_the_api_server_is_not_asked_for_what_a_class_cannot(members: Members) -> None:
    members.bound(0, "1Gi", "fixed")
    members.bound(1, "1Gi", "grows")

    finding = await grow_claims(members.cluster, members.cloud("2Gi"), MARIADB)

    assert finding is not None
    assert finding.reason is Reason.VOLUME_NOT_RESIZED
    assert f"data-{members.name}-mariadb-0" in finding.message
    assert [members.size(0), members.size(1)] == ["1Gi", "2Gi"]


async def test_a_quota_is_quoted(members: Members) -> None:
    members.bound(0, "1Gi", "grows")
    quotas = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/resourcequotas"
    members.admin.create(
        quotas,
        {
            "apiVersion": "v1",
            "kind": "ResourceQuota",
            "metadata": {"name": members.name},
            "spec": {"hard": {"grows.storageclass.storage.k8s.io/requests.storage": "1Gi"}},
        },
    ).must()
    path = f"{quotas}/{members.name}"
    hard = {"grows.storageclass.storage.k8s.io/requests.storage": "1Gi"}
    members.admin.merge(f"{path}/status", {"status": {"hard": hard, "used": hard}}).must()
    try:
        finding = await grow_claims(members.cluster, members.cloud("2Gi"), MARIADB)
    finally:
        members.admin.delete(path).must()

    assert finding is not None
    assert "exceeded quota" in finding.message
    assert members.size(0) == "1Gi"

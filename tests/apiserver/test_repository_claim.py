"""The claim of a backup's repository grows where the API server lets it, and else says why not."""

import itertools
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.conditions import Reason
from stackroles.domains.backup.build import COMPONENT
from stackroles.domains.backup.reconcile_repository import ensure_claim
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient, load_credentials
from stackroles.kube.cluster import Cluster
from stackroles.reconcile.context import Context
from stackroles.workloads.conditions import Finding
from stackroles.workloads.recovery_set.pod import RunParent
from tests.apiserver.conftest import ACCOUNT, SYSTEM_NAMESPACE, WATCHED_NAMESPACE
from tests.apiserver.specs import build, objects_path
from tests.support.apiclient import ApiClient
from tests.support.controlplane import ControlPlane

CLAIMS = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/persistentvolumeclaims"
pytestmark = pytest.mark.usefixtures("storage_classes")

_NAMES = (f"claim-{number}" for number in itertools.count(1))


class Operator:
    """The part of a context that a claim needs, with the operator's own rights."""

    def __init__(self, client: KubeClient, policy: dict[str, Any]) -> None:
        self.cluster = Cluster(client, Cache(), lambda: 10.0, now=lambda: datetime.now(UTC))
        self.policy = policy

    async def ask_for(self, size: str, storage_class: str) -> Finding | None:
        """Bring the claim to a size."""
        metadata = self.policy["metadata"]
        parent = RunParent(
            owner_kind="BackupPolicy",
            name=metadata["name"],
            uid=metadata["uid"],
            namespace=WATCHED_NAMESPACE,
            cloud_name="cloud",
            component=COMPONENT,
        )
        volume = {"size": size, "storageClassName": storage_class}
        spec = {**self.policy["spec"], "repository": {"volume": volume}}
        policy = BackupPolicySpec.model_validate(spec)
        return await ensure_claim(cast("Context", self), self.policy, parent, policy)


@pytest.fixture
async def operator(plane: ControlPlane, admin: ApiClient) -> AsyncIterator[Operator]:
    token = plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)
    made = KubeClient(await load_credentials(str(plane.kubeconfig("claim-test", token))))
    name = next(_NAMES)
    path = objects_path("BackupPolicy", WATCHED_NAMESPACE)
    policy = admin.create(path, build("BackupPolicy", name=name)).must()
    yield Operator(made, policy)
    await made.close()


def bind(admin: ApiClient, operator: Operator) -> str:
    """Let the operator's claim have a volume; return the claim's path."""
    path = f"{CLAIMS}/{operator.policy['metadata']['name']}-repository"
    admin.merge(path, {"spec": {"volumeName": "some"}}).must()
    status = {"phase": "Bound", "capacity": {"storage": "1Gi"}}
    operator.cluster.cache.upsert(admin.merge(f"{path}/status", {"status": status}).must())
    return path


def size(admin: ApiClient, path: str) -> str:
    return str(admin.get(path).must()["spec"]["resources"]["requests"]["storage"])


async def test_a_claim_grows_where_its_class_can(admin: ApiClient, operator: Operator) -> None:
    assert await operator.ask_for("1Gi", "grows") is None
    path = bind(admin, operator)

    assert await operator.ask_for("2Gi", "grows") is None

    assert size(admin, path) == "2Gi"
    assert await operator.ask_for("1Gi", "grows") is None
    assert size(admin, path) == "2Gi"


async def test_a_class_that_cannot_is_reported(admin: ApiClient, operator: Operator) -> None:
    await operator.ask_for("1Gi", "fixed")
    path = bind(admin, operator)

    finding = await operator.ask_for("2Gi", "fixed")

    assert finding is not None
    assert finding.reason is Reason.REPOSITORY_NOT_RESIZED
    assert "copy the repository to a claim that is large enough" in finding.message
    assert size(admin, path) == "1Gi"


async def test_a_claim_without_a_volume_is_to_be_made_again(operator: Operator) -> None:
    await operator.ask_for("1Gi", "grows")

    finding = await operator.ask_for("2Gi", "grows")

    assert finding is not None
    assert "delete the claim, which has no volume yet" in finding.message

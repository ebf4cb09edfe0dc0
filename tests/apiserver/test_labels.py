"""An existing cloud gets the labels of this version without a roll and without a refusal."""

import copy
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.constants import GROUP_VERSION, LABEL_INSTANCE, LABEL_OWNER_NAME
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient, load_credentials
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import KINDS
from stackroles.roles import registry
from stackroles.workloads.manifests.children import build_roles
from stackroles.workloads.manifests.metadata import labels, metadata
from stackroles.workloads.manifests.secret import build_secret
from tests.apiserver.conftest import ACCOUNT, GROUP, SYSTEM_NAMESPACE, WATCHED_NAMESPACE
from tests.support.apiclient import ApiClient
from tests.support.clouds import cloud
from tests.support.controlplane import ControlPlane

Object = dict[str, Any]
NAME = "labels"
WORKLOADS = ("StatefulSet", "Deployment", "DaemonSet")


@pytest.fixture
async def client(plane: ControlPlane) -> AsyncIterator[KubeClient]:
    """A client with the operator's own rights."""
    token = plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)
    made = KubeClient(await load_credentials(str(plane.kubeconfig("labels-test", token))))
    yield made
    await made.close()


@pytest.fixture
def owner(admin: ApiClient) -> Object:
    """A CloudController of the test's own."""
    body = {"apiVersion": GROUP_VERSION, "kind": "CloudController", "metadata": {"name": NAME}}
    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers"
    return admin.create(path, {**body, "spec": {}}).must()


async def replica(client: KubeClient) -> Cluster:
    """Return the facade of a new process, its cache filled."""
    made = Cluster(client, Cache(), lambda: 10.0, now=lambda: datetime.now(UTC))
    for kind in KINDS.values():
        if kind.watched and kind.namespaced:
            for item in (await client.list(kind, WATCHED_NAMESPACE)).items:
                made.cache.upsert(item)
    return made


def former_labels(metadata: Object) -> None:
    """Give an object the label that all had before: the recommended one."""
    found = metadata["labels"]
    if LABEL_OWNER_NAME in found:
        found[LABEL_INSTANCE] = found.pop(LABEL_OWNER_NAME)


def former(manifests: Iterable[Object]) -> list[Object]:
    """Return manifests as the version before made them."""
    made = copy.deepcopy(list(manifests))
    for manifest in made:
        former_labels(manifest["metadata"])
        for claim in manifest.get("spec", {}).get("volumeClaimTemplates", []):
            former_labels(claim["metadata"])
    return made


def claims_of(manifests: Iterable[Object]) -> list[Object]:
    """Return the claims that a StatefulSet's controller makes of its templates."""
    return [
        {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "spec": template["spec"],
            "metadata": {
                **copy.deepcopy(template["metadata"]),
                "name": f"{template['metadata']['name']}-{manifest['metadata']['name']}-0",
                "namespace": WATCHED_NAMESPACE,
            },
        }
        for manifest in manifests
        for template in manifest.get("spec", {}).get("volumeClaimTemplates", [])
    ]


def generations(cluster: Cluster) -> dict[str, int]:
    """Return the generation of each workload: it grows with every change of its spec."""
    return {
        f"{kind}/{found['metadata']['name']}": found["metadata"]["generation"]
        for kind in WORKLOADS
        for found in cluster.list(kind, WATCHED_NAMESPACE)
        if found["metadata"]["name"].startswith(f"{NAME}-")
    }


def pruned_by_label(cluster: Cluster) -> list[str]:
    """Return what an Argo CD Application of the cloud's name would take for its own."""
    return [
        f"{kind.name}/{found['metadata']['name']}"
        for kind in KINDS.values()
        if kind.watched and kind.namespaced
        for found in cluster.list(kind.name, WATCHED_NAMESPACE)
        if found["metadata"].get("labels", {}).get(LABEL_INSTANCE) == NAME
        and not found["metadata"].get("ownerReferences")
    ]


async def test_an_existing_cloud_moves_without_a_roll(
    client: KubeClient, admin: ApiClient, owner: Object
) -> None:
    declared = cloud(owner)
    state = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(declared, f"{NAME}-state", labels(declared, "state", "s"), keep=True),
        "data": {"galera": "{}"},
    }
    secret = build_secret(declared, f"{NAME}-admin", "admin", {"password": "geheim"})
    manifests = [secret, *build_roles(declared, registry.CONTROLLER_ROLES)]
    before = await replica(client)
    await before.create_once(former([state])[0], owner)
    records = await before.apply_children(owner, former(manifests))
    for claim in claims_of(former(manifests)):
        path = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/persistentvolumeclaims"
        admin.create(path, claim).must()
    assert await before.patch_status(owner, {"children": [r.to_dict() for r in records]})

    after = await replica(client)
    present = after.get("CloudController", WATCHED_NAMESPACE, NAME)
    assert present is not None
    had = pruned_by_label(after)
    assert f"Secret/{NAME}-admin" in had
    assert f"ConfigMap/{NAME}-state" in had
    assert sum(name.startswith("PersistentVolumeClaim/") for name in had) >= 4
    grown = generations(after)
    assert len(grown) > 10
    await after.relabel_ownerless(present)
    await after.apply_children(present, manifests)

    again = await replica(client)
    assert pruned_by_label(again) == []
    assert generations(again) == grown
    mine = {LABEL_OWNER_NAME: NAME, "stackroles.io/owner-kind": "CloudController"}
    assert len(again.list("PersistentVolumeClaim", WATCHED_NAMESPACE, mine)) >= 4
    for kind, name in (("Secret", f"{NAME}-admin"), ("ConfigMap", f"{NAME}-state")):
        assert again.get(kind, WATCHED_NAMESPACE, name) in again.list(kind, "", mine)


@pytest.mark.usefixtures("plane")
async def test_a_new_cloud_has_the_new_labels_from_the_start(
    client: KubeClient, admin: ApiClient
) -> None:
    name = "labels-new"
    body = {"apiVersion": GROUP_VERSION, "kind": "CloudController", "metadata": {"name": name}}
    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers"
    owner = admin.create(path, {**body, "spec": {}}).must()
    made = build_roles(cloud(owner), registry.CONTROLLER_ROLES)

    await (await replica(client)).apply_children(owner, made)

    found = admin.get(f"/apis/apps/v1/namespaces/{WATCHED_NAMESPACE}/statefulsets/{name}-mariadb")
    [claim] = found.must()["spec"]["volumeClaimTemplates"]
    assert LABEL_INSTANCE not in claim["metadata"]["labels"]
    assert claim["metadata"]["labels"][LABEL_OWNER_NAME] == name

"""What bad input gets: a condition with a stable reason and what to change; nothing is disturbed.

What the API server itself refuses is in tests/apiserver. Two CloudControllers of one member a role,
most of which may run nowhere, stand for all cases that need one of their own.
"""

import secrets
import time
from collections.abc import Iterator

import pytest

from lab import install
from lab.install import NAMESPACE, Site
from lab.kubectl import Kubectl, Object
from tests.support.cloud import INSTANCE, OWNER_NAME, Cloud, wait_gone, wait_reason
from tests.support.full_volume import FullVolume
from tests.support.resources import NOWHERE, resource, small_cloud

GROUP = "stackroles.io"
BROUGHT, PLACED = "e2e-brought", "e2e-placed"
POOL, SECOND_POOL = "e2e-pool", "e2e-second"
POLICY, KEY = "e2e-policy", "e2e-key"
FULL = "e2e-full"
TOLD_SECONDS = 150
BACKUP_SECONDS = 240
GONE_SECONDS = 150


def policy(claim: str) -> Object:
    """Return a BackupPolicy of the demo cloud that never runs by itself."""
    spec = {
        "controller": "demo", "schedule": "0 3 * * *", "suspend": True, "encryptionSecret": KEY,
        "repository": {"volume": {"claimName": claim}},
    }  # fmt: skip
    return resource("BackupPolicy", POLICY, spec)


def secret(name: str, **data: str) -> Object:
    """Return a Secret as a user makes it."""
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data}


def children(kubectl: Kubectl, cloud: str, *kinds: str) -> list[str]:
    """Return what there is of a cloud's children of some kinds."""
    return [
        f"{kind}/{item['metadata']['name']}"
        for kind in kinds
        for label in (INSTANCE, OWNER_NAME)
        for item in kubectl.items(kind, f"{label}={cloud}")
    ]


@pytest.fixture(scope="module")
def full_volume(site: Site, kubectl: Kubectl) -> FullVolume:
    """A volume too small for a backup; made by the test that uses it."""
    return FullVolume(site.cluster, kubectl, FULL)


def tidy(kubectl: Kubectl, full_volume: FullVolume) -> None:
    """Remove everything these tests make."""
    for kind in ("backups", "backuppolicies", "computepools", "cloudcontrollers"):
        plural = f"{kind}.{GROUP}"
        for item in kubectl.items(plural):
            name = item["metadata"]["name"]
            ours = name in {POLICY, POOL, SECOND_POOL, BROUGHT, PLACED} or (
                kind == "backups" and item["spec"]["policy"] == POLICY
            )
            if ours:
                kubectl.run("delete", plural, name, "--ignore-not-found", "--wait=false")
                wait_gone(kubectl, plural, name, GONE_SECONDS)
    for cloud in (BROUGHT, PLACED):
        for label in (INSTANCE, OWNER_NAME):
            selector = f"{label}={cloud}"
            kubectl.run("delete", "secrets,pvc,configmaps", "-l", selector, "--wait=false")
        kubectl.run("delete", "configmap", f"{cloud}-state", "--ignore-not-found")
    for name in (KEY, BROUGHT):
        kubectl.run("delete", "secret", name, "--ignore-not-found")
    full_volume.remove()


@pytest.fixture(scope="module", autouse=True)
def undisturbed(
    kubectl: Kubectl, cloud: Cloud, full_volume: FullVolume
) -> Iterator[dict[str, dict[str, str]]]:
    """The demo cloud's pods before all of it; the end of the file compares."""
    tidy(kubectl, full_volume)
    cloud.wait_ready()
    yield cloud.identities()
    tidy(kubectl, full_volume)


class TestCredentials:
    """spec.credentials names a Secret of the user's."""

    def test_a_secret_that_does_not_exist(self, kubectl: Kubectl) -> None:
        kubectl.apply(
            small_cloud(
                BROUGHT,
                {"placement": NOWHERE},
                credentials={"glance": BROUGHT},
                storageClassName="no-such-class",
            )
        )
        condition = self.wait(kubectl, "CredentialsMissing", "does not exist")
        assert f"spec.credentials.glance: Secret {BROUGHT}" in condition["message"]
        found = children(kubectl, BROUGHT, "statefulsets", "deployments", "pods")
        # What reads that Secret waits; the database, whose accounts step reads it, may start.
        assert not [name for name in found if "glance" in name]

    def test_a_secret_without_a_key(self, kubectl: Kubectl) -> None:
        kubectl.apply(secret(BROUGHT, **{"service-password": "a-good-password"}))
        condition = self.wait(kubectl, "CredentialsMissing", "has no")
        assert "database-password" in condition["message"]

    def test_a_value_that_cannot_be_used(self, kubectl: Kubectl) -> None:
        bad = "unusable password\n"
        kubectl.apply(
            secret(BROUGHT, **{"service-password": "a-good-password", "database-password": bad})
        )
        condition = self.wait(kubectl, "CredentialsInvalid", "database-password")
        assert "unusable" not in condition["message"], "the message holds the password"

    def test_a_secret_put_right_is_taken(self, kubectl: Kubectl) -> None:
        good = {"service-password": "a-good-password", "database-password": "another-password"}
        kubectl.apply(secret(BROUGHT, **good))
        wait_reason(
            kubectl, "cloudcontroller", BROUGHT, "Reconciled", "Applied",
            status="True", seconds=TOLD_SECONDS,
        )  # fmt: skip

    def test_a_storage_class_that_does_not_exist(self, kubectl: Kubectl) -> None:
        condition = wait_reason(
            kubectl, "cloudcontroller", BROUGHT, "Progressing", "StorageClassMissing",
            seconds=TOLD_SECONDS, contains="no-such-class",
        )  # fmt: skip
        assert "name another one in spec.storageClassName" in condition["message"]

    def test_with_a_deletion_policy_of_delete_only_what_the_user_supplied_stays(
        self, kubectl: Kubectl
    ) -> None:
        kept = ("secrets", "pvc", "configmaps")
        made = children(kubectl, BROUGHT, *kept)
        assert f"secrets/{BROUGHT}-admin" in made
        assert any(name.startswith("pvc/") for name in made)
        patch = '--patch={"spec": {"deletionPolicy": "Delete"}}'
        kubectl.run("patch", "cloudcontroller", BROUGHT, "--type=merge", patch)
        wait_reason(
            kubectl, "cloudcontroller", BROUGHT, "Reconciled", "Applied",
            status="True", seconds=TOLD_SECONDS,
        )  # fmt: skip
        kubectl.run("delete", "cloudcontroller", BROUGHT, "--wait=false")
        wait_gone(kubectl, "cloudcontroller", BROUGHT, GONE_SECONDS)
        kubectl.wait(
            "the end of all that it made",
            lambda: (
                not (left := children(kubectl, BROUGHT, *kept, "statefulsets", "deployments")),
                ", ".join(left),
            ),
            seconds=GONE_SECONDS,
        )
        assert kubectl.get("configmap", f"{BROUGHT}-state") is None
        assert kubectl.get("secret", BROUGHT) is not None, "the user's own Secret is gone"

    @staticmethod
    def wait(kubectl: Kubectl, reason: str, contains: str) -> Object:
        return wait_reason(
            kubectl, "cloudcontroller", BROUGHT, "Reconciled", reason,
            seconds=TOLD_SECONDS, contains=contains,
        )  # fmt: skip


class TestPlacementAndPool:
    """A pool before its controller; roles that fit nowhere; an image that is nowhere; the end."""

    def test_a_pool_waits_for_a_controller_that_does_not_exist(self, kubectl: Kubectl) -> None:
        spec = {"controller": PLACED, "nodeSelector": NOWHERE["nodeSelector"]}
        kubectl.apply(resource("ComputePool", POOL, spec))
        condition = wait_reason(
            kubectl, "computepool", POOL, "Reconciled", "ControllerMissing",
            seconds=TOLD_SECONDS, contains=PLACED,
        )  # fmt: skip
        assert "apply it" in condition["message"]

    def test_the_pool_proceeds_when_its_controller_exists(self, kubectl: Kubectl) -> None:
        kubectl.apply(small_cloud(PLACED, {"placement": NOWHERE}))
        wait_reason(
            kubectl, "computepool", POOL, "Reconciled", "Applied",
            status="True", seconds=TOLD_SECONDS,
        )  # fmt: skip
        wait_reason(
            kubectl, "computepool", POOL, "Progressing", "WaitingForController",
            status="True", seconds=TOLD_SECONDS, contains=PLACED,
        )  # fmt: skip

    def test_a_pools_node_selector_that_matches_nothing(self, kubectl: Kubectl) -> None:
        condition = wait_reason(
            kubectl, "computepool", POOL, "Available", "NoNodes", seconds=TOLD_SECONDS
        )
        assert "No node has the labels of spec.nodeSelector" in condition["message"]

    def test_a_node_selector_that_matches_nothing(self, kubectl: Kubectl) -> None:
        condition = wait_reason(
            kubectl, "cloudcontroller", PLACED, "Progressing", "Unschedulable",
            seconds=TOLD_SECONDS, contains="Role mariadb",
        )  # fmt: skip
        assert "fits no node" in condition["message"]
        assert "Change the role's placement" in condition["message"]

    def test_an_image_that_cannot_be_pulled(self, kubectl: Kubectl) -> None:
        image = "localhost/absent/mariadb:none"
        kubectl.apply(small_cloud(PLACED, {"image": image}))
        condition = wait_reason(
            kubectl, "cloudcontroller", PLACED, "Progressing", "ImagePullFailed",
            seconds=TOLD_SECONDS, contains=image,
        )  # fmt: skip
        assert "Correct spec.images or the role's image" in condition["message"]

    def test_a_controller_that_a_pool_uses_is_not_deleted(self, kubectl: Kubectl) -> None:
        before = children(kubectl, PLACED, "statefulsets", "deployments", "services")
        kubectl.run("delete", "cloudcontroller", PLACED, "--wait=false")
        condition = wait_reason(
            kubectl, "cloudcontroller", PLACED, "Reconciled", "DeletionBlocked",
            seconds=TOLD_SECONDS, contains=POOL,
        )  # fmt: skip
        assert "The cloud is kept up until they are deleted" in condition["message"]
        assert children(kubectl, PLACED, "statefulsets", "deployments", "services") == before

    def test_it_goes_when_its_pool_has_gone_and_secrets_and_volumes_stay(
        self, kubectl: Kubectl
    ) -> None:
        kubectl.run("delete", "computepool", POOL, "--wait=false")
        wait_gone(kubectl, "computepool", POOL, GONE_SECONDS)
        wait_gone(kubectl, "cloudcontroller", PLACED, GONE_SECONDS)
        kept = children(kubectl, PLACED, "secrets", "pvc")
        assert f"secrets/{PLACED}-admin" in kept
        assert any(name.startswith("pvc/") for name in kept)
        kubectl.wait(
            "the end of its workloads",
            lambda: (
                not (left := children(kubectl, PLACED, "statefulsets", "deployments")),
                ", ".join(left),
            ),
            seconds=GONE_SECONDS,
        )


def test_two_pools_on_one_node(kubectl: Kubectl, cloud: Cloud) -> None:
    first = kubectl.get("computepool", "compute")
    assert first is not None
    before = {item["metadata"]["uid"] for item in kubectl.items("computenodes")}
    selector = first["spec"]["nodeSelector"]
    kubectl.apply(
        resource("ComputePool", SECOND_POOL, {"controller": "demo", "nodeSelector": selector})
    )
    condition = wait_reason(
        kubectl, "computepool", SECOND_POOL, "Reconciled", "NodeClaimed", seconds=TOLD_SECONDS
    )
    assert f"belongs to ComputePool {NAMESPACE}/compute" in condition["message"]
    kubectl.run("delete", "computepool", SECOND_POOL, "--wait=false")
    wait_gone(kubectl, "computepool", SECOND_POOL, GONE_SECONDS)
    assert {item["metadata"]["uid"] for item in kubectl.items("computenodes")} == before


class TestEncryptionSecret:
    """A policy's key is missing, unusable, or not that of the repository."""

    def test_it_does_not_exist(self, kubectl: Kubectl) -> None:
        kubectl.apply(policy("nightly-repository"))
        condition = self.wait(kubectl, "EncryptionSecretMissing")
        assert f"Secret {KEY} does not exist" in condition["message"]

    def test_it_has_no_password(self, kubectl: Kubectl) -> None:
        kubectl.apply(secret(KEY, passphrase="a-good-password"))
        condition = self.wait(kubectl, "EncryptionSecretInvalid")
        assert "no key password" in condition["message"]

    def test_the_repository_was_made_with_another_one(self, site: Site, kubectl: Kubectl) -> None:
        # One that nobody has used yet would be made with the wrong key.
        install.backup(site, f"e2e-before-wrong-key-{int(time.time())}", lambda _: None)
        kubectl.apply(secret(KEY, password=secrets.token_hex(16)))
        wait_reason(
            kubectl, "backuppolicy", POLICY, "Reconciled", "Applied",
            status="True", seconds=TOLD_SECONDS,
        )  # fmt: skip
        failed = self.run(kubectl, "WrongEncryptionKey")
        assert failed["status"].get("verified") is not True

    def test_the_repository_is_as_good_as_before(self, site: Site) -> None:
        name = f"e2e-after-wrong-key-{int(time.time())}"
        found = install.backup(site, name, lambda _: None)
        site.cloud.run("delete", "backup", name, "--wait=false")
        assert found["status"]["verified"] is True

    def test_a_full_volume(self, kubectl: Kubectl, full_volume: FullVolume) -> None:
        full_volume.make()
        kubectl.run("delete", "backuppolicy", POLICY)
        kubectl.apply(policy(FULL))
        failed = self.run(kubectl, "RepositoryFull")
        assert failed["status"].get("verified") is not True

    @staticmethod
    def wait(kubectl: Kubectl, reason: str) -> Object:
        return wait_reason(
            kubectl, "backuppolicy", POLICY, "Reconciled", reason, seconds=TOLD_SECONDS
        )

    @staticmethod
    def run(kubectl: Kubectl, reason: str) -> Object:
        """Run a Backup of the policy and wait until it failed for a reason; return it."""
        name = f"e2e-{reason.lower()}-{int(time.time())}"
        kubectl.apply(resource("Backup", name, {"policy": POLICY}))
        condition = wait_reason(kubectl, "backup", name, "Complete", reason, seconds=BACKUP_SECONDS)
        assert condition["message"]
        found = kubectl.get("backup", name)
        assert found is not None
        return found


def test_nothing_that_ran_was_disturbed(
    cloud: Cloud, undisturbed: dict[str, dict[str, str]]
) -> None:
    cloud.wait_ready()
    assert cloud.identities() == undisturbed

"""A backup is verified and not of the writer, and nothing secret is where others may read it."""

import base64
import json
import secrets as random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab import install
from lab.install import RELEASE, Site
from lab.kubectl import Kubectl, Object, condition_of
from tests.support.cloud import Cloud, wait_gone
from tests.support.measurements import Measurements

PARTS = {"database", "ovn-nb", "ovn-sb", "secrets", "state", "resources", "manifest"}
SHORTEST = 8
LOG_LINES = 3000
READERS = 4
BACKUP_SECONDS = 240
# A schedule of every minute leaves its mark within one, and the controller looks every ten seconds.
MARK_SECONDS = 90
REPORTED_SECONDS = 60
GONE_SECONDS = 60
MINUTELY = "e2e-minutely"
# What is not secret though it is in a Secret: names under which one logs in.
OPEN_KEYS = frozenset({"username"})


@pytest.fixture(scope="module")
def backup(site: Site, cloud: Cloud, measurements: Measurements) -> Iterator[Object]:
    """A backup made for this test, verified."""
    cloud.wait_ready()
    writer = cloud.resource()["status"]["writer"]
    name = f"e2e-{int(time.time())}"
    found = install.backup(site, name, lambda _: None)
    if cloud.resource()["status"]["writer"] == writer:
        assert found["status"]["source"] != writer
    status = found["status"]
    measurements.record(
        "backup, verified",
        seconds=status["durationSeconds"],
        bytes_read=status["sizeBytes"],
        bytes_stored=status["storedBytes"],
    )
    yield found
    site.cloud.run("delete", "backup", name, "--ignore-not-found", "--wait=false")


def test_a_backup_holds_every_part_with_checksum_and_snapshot(backup: Object) -> None:
    status = backup["status"]
    assert status["verified"] is True
    assert {step["name"] for step in status["steps"]} >= PARTS
    for step in status["steps"]:
        if step["name"] in PARTS:
            assert len(step["sha256"]) == 64, step
            assert step["snapshot"], step
            assert step["bytes"] > 0, step
    assert status["snapshot"] == next(
        step["snapshot"] for step in status["steps"] if step["name"] == "manifest"
    )
    uuid, _, number = status["position"].partition(":")
    assert len(uuid) == 36
    assert int(number) > 0


def test_a_backup_is_of_a_member_that_is_not_the_writer(backup: Object, cloud: Cloud) -> None:
    assert backup["status"]["source"] in cloud.members("mariadb")
    assert backup["status"]["source"] != cloud.resource()["status"]["writer"]


def secret_values(kubectl: Kubectl, cloud: Cloud) -> dict[str, str]:
    """Return the secret values of the cloud and its backup: where one is kept -> the value."""
    found = {}
    for secret in kubectl.items("secrets"):
        name, labels = secret["metadata"]["name"], secret["metadata"].get("labels", {})
        if labels.get("app.kubernetes.io/part-of") != cloud.name and name != "backup-key":
            continue
        for key, encoded in secret.get("data", {}).items():
            text = base64.b64decode(encoded).decode(errors="replace").strip()
            if key not in OPEN_KEYS and len(text) >= SHORTEST:
                found[f"{name}/{key}"] = text
    return found


def check_absent(secrets: dict[str, str], where: dict[str, str]) -> None:
    """Assert that no secret value, plain or in base64, is in any of the texts."""
    leaks = [
        f"{place} holds the value of {name}"
        for name, value in secrets.items()
        for place, text in where.items()
        if value in text or base64.b64encode(value.encode()).decode() in text
    ]
    assert not leaks, leaks


def test_no_secret_is_in_objects_that_others_may_read(
    kubectl: Kubectl, cloud: Cloud, backup: Object
) -> None:
    secrets = secret_values(kubectl, cloud)
    assert len(secrets) > 15
    kinds = (
        "configmaps", "events", "pods", "jobs", "cronjobs", "deployments", "statefulsets",
        "daemonsets", "services", "cloudcontrollers", "computepools", "computenodes",
        "backuppolicies", "backups", "restores",
    )  # fmt: skip
    where = {
        f"{kind}/{item['metadata']['name']}": json.dumps(item)
        for kind in kinds
        for item in kubectl.items(kind)
    }
    # what a client of the tests was given is its own
    where = {place: text for place, text in where.items() if "e2e-client" not in place}
    assert len(where) > 100
    check_absent(secrets, where)


def test_no_secret_is_in_a_log(
    kubectl: Kubectl, system: Kubectl, cloud: Cloud, backup: Object
) -> None:
    def log_of(pod: str) -> str:
        return kubectl.run(
            "logs", pod, "--all-containers", "--ignore-errors", f"--tail={LOG_LINES}"
        )

    pods = [
        pod["metadata"]["name"]
        for pod in kubectl.items("pods", f"app.kubernetes.io/part-of={cloud.name}")
        if pod["status"]["phase"] in {"Running", "Succeeded", "Failed"}
    ]
    with ThreadPoolExecutor(max_workers=READERS) as pool:
        where = dict(zip(pods, pool.map(log_of, pods), strict=True))
    assert any(name.startswith(backup["metadata"]["name"]) for name in where)
    where["operator"] = system.run("logs", f"deployment/{RELEASE}", "--all-pods", "--tail=-1")
    assert where["operator"]
    check_absent(secret_values(kubectl, cloud), where)


def test_no_secret_is_in_the_arguments_of_a_process(kubectl: Kubectl, cloud: Cloud) -> None:
    command = "for p in /proc/[0-9]*; do tr '\\0' ' ' < $p/cmdline; echo; done 2>/dev/null; true"
    one_of_each = {role: min(pods) for role, pods in cloud.identities().items()}

    def arguments_of(role: str) -> str:
        return kubectl.run("exec", one_of_each[role], "--", "sh", "-c", command)

    with ThreadPoolExecutor(max_workers=READERS) as pool:
        where = dict(zip(one_of_each, pool.map(arguments_of, one_of_each), strict=True))
    assert all(text.strip() for text in where.values())
    check_absent(secret_values(kubectl, cloud), where)


@pytest.fixture
def minutely(kubectl: Kubectl, cloud: Cloud) -> Iterator[str]:
    """A policy of its own, with its own claim and key, that runs every minute."""
    cloud.wait_ready()
    key = {"password": random.token_urlsafe(32)}
    metadata = {"name": MINUTELY}
    spec = {
        "controller": cloud.name,
        "schedule": "* * * * *",
        "encryptionSecret": MINUTELY,
        "repository": {"volume": {"size": "2Gi"}},
    }
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": key},
        {
            "apiVersion": "stackroles.io/v1alpha1",
            "kind": "BackupPolicy",
            "metadata": metadata,
            "spec": spec,
        },
    )
    yield MINUTELY
    kubectl.run("delete", "backuppolicy", MINUTELY, "--ignore-not-found", "--wait=false")
    wait_gone(kubectl, "backuppolicy", MINUTELY, GONE_SECONDS)
    made = [backup["metadata"]["name"] for backup in made_by(kubectl, MINUTELY)]
    if made:
        kubectl.run("delete", "backups", *made, "--ignore-not-found", "--wait=false")
    # kept by design: a policy never takes its repository along
    kubectl.run("delete", "pvc", f"{MINUTELY}-repository", "--wait=false")
    kubectl.run("delete", "secret", MINUTELY)


def made_by(kubectl: Kubectl, policy: str) -> list[Object]:
    """Return the Backups of a policy."""
    return [found for found in kubectl.items("backups") if found["spec"]["policy"] == policy]


def test_a_schedule_makes_a_backup_that_is_verified(kubectl: Kubectl, minutely: str) -> None:
    def check() -> tuple[bool, str]:
        condition = condition_of(kubectl.get("backuppolicy", minutely) or {}, "Ready")
        return bool(made_by(kubectl, minutely)), json.dumps(condition)

    kubectl.wait("the schedule's first Backup", check, seconds=MARK_SECONDS)
    kubectl.run(
        "patch", "backuppolicy", minutely, "--type=merge", "--patch", '{"spec":{"suspend":true}}'
    )
    name = made_by(kubectl, minutely)[0]["metadata"]["name"]

    found = kubectl.wait_condition("backup", name, "Complete", seconds=BACKUP_SECONDS)

    assert found["status"]["verified"] is True
    policy = kubectl.wait_condition(
        "backuppolicy", minutely, "LastBackupSucceeded", seconds=REPORTED_SECONDS
    )
    assert policy["status"]["lastScheduledTime"]
    assert condition_of(policy, "Ready")["status"] == "True"


def test_a_stored_set_passes_a_verification_of_its_database(
    kubectl: Kubectl, minutely: str
) -> None:
    def made() -> tuple[bool, str]:
        return bool(made_by(kubectl, minutely)), "no Backup yet"

    kubectl.wait("the schedule's first Backup", made, seconds=MARK_SECONDS)
    # From now on only verifications are due.
    spec = {
        "schedule": "0 0 1 1 *",
        "verification": [{"level": "Database", "schedule": "* * * * *"}],
    }
    patch = json.dumps({"spec": spec})
    kubectl.run("patch", "backuppolicy", minutely, "--type=merge", "--patch", patch)
    name = made_by(kubectl, minutely)[0]["metadata"]["name"]
    kubectl.wait_condition("backup", name, "Complete", seconds=BACKUP_SECONDS)

    def verified() -> tuple[bool, str]:
        policy = kubectl.get("backuppolicy", minutely) or {}
        found = policy.get("status", {}).get("verifications") or [{}]
        return bool(found[0].get("result")), json.dumps(found)

    kubectl.wait("the first verification", verified, seconds=MARK_SECONDS + BACKUP_SECONDS)

    policy = kubectl.get("backuppolicy", minutely) or {}
    [found] = policy["status"]["verifications"]
    assert found["result"] == "Passed", found["message"]
    assert found["tables"]["different"] == 0
    # Most tables of a cloud at rest are not written while they are copied.
    assert found["tables"]["compared"] > found["tables"]["skipped"]
    assert condition_of(policy, "Verified")["reason"] == "SetVerified"

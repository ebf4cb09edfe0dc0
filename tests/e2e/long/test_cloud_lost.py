"""The namespace of a cloud is lost, with all its volumes and Secrets; one Restore brings it back.

Its guests run on all the while, and are its own again afterwards.
"""

import contextlib
import json
import time

import pytest
from openstack.connection import Connection

from lab import apis, guest, images, install
from lab.errors import LabError
from lab.guest import Guest
from lab.install import Site
from lab.kubectl import Kubectl, Object, discard
from lab.outside import ping
from tests.support.backups import NAME, Policies
from tests.support.cloud import Cloud, wait_reason
from tests.support.measurements import Measurements
from tests.support.resources import resource
from tests.support.restores import phase_seconds
from tests.support.s3 import S3

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

FINALIZED = ("backups", "restores", "computepools", "cloudcontrollers")
RELEASED_SECONDS = 20
GONE_SECONDS = 480
RUN_SECONDS = 400
PREFLIGHT_SECONDS = 180
RESTORE_SECONDS = 900
READY_SECONDS = 300
KEPT = "e2e-lost-kept"
RESTORE = "e2e-from-nothing"


def test_a_cloud_whose_namespace_is_lost_comes_back_by_one_restore(  # noqa: PLR0917 - fixtures
    site: Site,
    kubectl: Kubectl,
    cloud: Cloud,
    connection: Connection,
    booted: Guest,
    policies: Policies,
    s3: S3,
    measurements: Measurements,
) -> None:
    if not any(connection.network.networks(name=KEPT)):
        connection.network.create_network(name=KEPT)
    before = guest.wait_console(connection, booted)
    policy = policies.bucket("lost", s3, s3.address)
    taken = kubectl.wait_condition("backup", policies.run(policy), seconds=RUN_SECONDS)
    declared = kubectl.get("backuppolicy", policy) or {}
    password = (kubectl.get("secret", policy) or {})["data"]["password"]

    lose_namespace(site)
    install.chart(site, images.plan(), discard)
    spec = {
        "policy": policy,
        "repository": declared["spec"]["repository"],
        "encryptionSecret": policy,
    }
    keys = {"accessKeyId": s3.access_key, "secretAccessKey": s3.secret_key}
    kubectl.apply(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": policy},
         "data": {"password": password}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{NAME}-lost-s3"},
         "stringData": keys},
    )  # fmt: skip
    kubectl.apply(resource("Restore", RESTORE, {"recoverySet": spec, "dryRun": True}))
    wait_reason(
        kubectl, "restore", RESTORE, "Complete", "DryRunCompleted", seconds=PREFLIGHT_SECONDS
    )
    assert kubectl.get("cloudcontroller", cloud.name) is None
    kubectl.apply(resource("Restore", RESTORE, {"recoverySet": spec}))
    found = kubectl.wait_condition("restore", RESTORE, "Complete", seconds=RESTORE_SECONDS)

    cloud.wait_ready(READY_SECONDS)
    install.wait_pool(site, discard)
    check(site, booted, before, taken, found)
    measurements.record(
        "restore, from nothing",
        seconds=found["status"]["recoverySeconds"],
        **phase_seconds(found),
    )
    kubectl.run("delete", "restore", RESTORE)
    install.encryption_key(site)


def lose_namespace(site: Site) -> None:
    """Delete the namespace of clouds as docs/install.md says.

    Kubernetes lets pods end first, then deletes all else in any order: with the operator's Role
    gone, finalizers are left to a person.
    """
    namespace, patch = site.cloud.namespace, json.dumps({"metadata": {"finalizers": None}})
    site.cloud.run("delete", "namespace", namespace, "--wait=false")
    held: dict[str, float] = {}

    def gone() -> tuple[bool, str]:
        for name in leaving(site):
            since = held.setdefault(name, time.monotonic())
            if time.monotonic() - since > RELEASED_SECONDS:
                # One that was let go meanwhile is not there to be patched.
                with contextlib.suppress(LabError):
                    site.cloud.run("patch", name, "--type=merge", "-p", patch)
        left = site.cloud.run("get", "namespace", namespace, "--ignore-not-found", "-o", "yaml")
        return not left, left

    site.cloud.wait("the namespace to be gone", gone, seconds=GONE_SECONDS)


def leaving(site: Site) -> list[str]:
    """Return the resources that are deleted and held by a finalizer, as kubectl names them."""
    return [
        f"{kind}/{found['metadata']['name']}"
        for kind in FINALIZED
        for found in site.cloud.items(kind)
        if found["metadata"].get("deletionTimestamp") and found["metadata"].get("finalizers")
    ]


def check(site: Site, booted: Guest, before: dict[str, str], taken: Object, found: Object) -> None:
    """Assert that the cloud is what it was, and its guest too."""
    assert found["status"]["recoverySet"] == taken["metadata"]["name"]
    with apis.connect(site.cloud, "demo") as opened:
        assert any(opened.network.networks(name=KEPT))
        assert [server.status for server in opened.compute.servers()] == ["ACTIVE"]
        after = guest.wait_console(opened, booted)
    assert after["boots"] == before["boots"], "the guest was started anew"
    assert int(after["uptime"]) > int(before["uptime"])
    guest.wait_ping(booted)
    assert any(answer.milliseconds for answer in ping(booted.floating, 5))

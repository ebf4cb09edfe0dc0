"""An edited password reaches nobody and is named; so is an administrator's changed in keystone."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from lab import apis
from lab.kubectl import Kubectl
from tests.support.cloud import Cloud, wait_reason

pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

Object = dict[str, Any]
NAMED_SECONDS = 60
READY_SECONDS = 120
FAILING_SECONDS = 120
OTHER = "0123456789abcdef0123456789abcdef"


def read(kubectl: Kubectl, name: str, key: str) -> str:
    found = kubectl.get("secret", name)
    assert found is not None
    return base64.b64decode(found["data"][key]).decode()


def write(kubectl: Kubectl, name: str, key: str, value: str) -> None:
    patch = json.dumps({"stringData": {key: value}})
    kubectl.run("patch", "secret", name, "--type=merge", f"--patch={patch}")


def account(connection: Connection, name: str, password: str) -> None:
    user = connection.identity.find_user(name, ignore_missing=False)
    connection.identity.update_user(str(user.id), password=password)


def is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions", ())
    return any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


@pytest.fixture(autouse=True)
def restored(cloud: Cloud) -> Iterator[None]:
    """Leave every Secret as it was, and the cloud Ready."""
    cloud.wait_ready()
    yield
    for service in ("placement", "nova"):
        in_use = cloud.kubectl.get("secret", f"demo-{service}-credentials-in-use")
        assert in_use is not None
        patch = json.dumps({"data": in_use["data"]})
        cloud.kubectl.run(
            "patch", "secret", f"demo-{service}-credentials", "--type=merge", f"--patch={patch}"
        )
    cloud.wait_ready(READY_SECONDS)


@pytest.mark.parametrize(
    ("service", "key", "role"),
    [
        ("placement", "database-password", "placement"),
        ("nova", "broker-password", "nova-conductor"),
        ("nova", "service-password", "nova-api"),
    ],
)
def test_an_edited_password_is_named_and_reaches_no_pod(
    cloud: Cloud, service: str, key: str, role: str
) -> None:
    secret = f"demo-{service}-credentials"
    before = read(cloud.kubectl, secret, key)
    write(cloud.kubectl, secret, key, OTHER)
    condition = cloud.wait_reason(
        "Ready", "CredentialsChanged", seconds=NAMED_SECONDS, contains=f"Secret {secret}, key {key}"
    )
    assert f"{secret}-in-use" in condition["message"]
    old, *others = cloud.members(role)
    cloud.kubectl.run("delete", "pod", old, "--wait=false")

    def started() -> tuple[bool, str]:
        pods = [p for p in cloud.pods(role) if p["metadata"]["name"] not in (old, *others)]
        ready = {pod["metadata"]["name"]: is_ready(pod) for pod in pods}
        return bool(ready) and all(ready.values()), str(ready)

    if role != "nova-conductor":  # a StatefulSet's pod keeps its name
        cloud.kubectl.wait(f"a new pod of {role}", started, seconds=READY_SECONDS)
    assert read(cloud.kubectl, f"{secret}-in-use", key) == before
    write(cloud.kubectl, secret, key, before)
    cloud.wait_ready(READY_SECONDS)


def test_an_account_that_was_changed_in_keystone_gets_the_password_in_use_back(
    cloud: Cloud, connection: Connection
) -> None:
    account(connection, "nova", "changed-in-keystone")

    def repaired() -> tuple[bool, str]:
        try:
            count = len(list(connection.compute.services()))
        except Exception as error:
            return False, str(error)
        return count > 0, f"{count} services"

    cloud.kubectl.wait("nova to answer", repaired, seconds=FAILING_SECONDS)
    cloud.wait_ready(READY_SECONDS)


def test_an_administrator_changed_in_keystone_is_named_and_taken_from_the_secret(
    cloud: Cloud,
) -> None:
    before = read(cloud.kubectl, "demo-admin", "password")
    with apis.connect(cloud.kubectl, cloud.name) as connection:
        account(connection, "admin", OTHER)
    contains = "Secret demo-admin, key password"
    try:
        cloud.wait_reason("Ready", "CredentialsRefused", seconds=FAILING_SECONDS, contains=contains)
        wait_reason(
            cloud.kubectl,
            "computepool",
            "compute",
            "Available",
            "NodesUnknown",
            status="Unknown",
            seconds=FAILING_SECONDS,
            contains=contains,
        )
    finally:
        write(cloud.kubectl, "demo-admin", "password", OTHER)
        cloud.wait_ready(READY_SECONDS)
    assert read(cloud.kubectl, "demo-admin-credentials-in-use", "password") == OTHER
    # The former one comes back the same way.
    with apis.connect(cloud.kubectl, cloud.name) as connection:
        account(connection, "admin", before)
    write(cloud.kubectl, "demo-admin", "password", before)
    cloud.wait_ready(FAILING_SECONDS)

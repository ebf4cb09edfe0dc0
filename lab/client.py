"""OpenStack's own command line client, inside the cluster, where the cloud's addresses hold."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from lab.errors import LabError
from lab.kubectl import Kubectl, Object

SECONDS = 180
MOUNT = "/etc/openstack"


def run(kubectl: Kubectl, cloud: str, arguments: Sequence[str]) -> tuple[int, str]:
    """Run ``openstack`` as the cloud's administrator and return its status and output.

    It runs in a pod of its own: an API's pod has memory for the API alone.

    Args:
        kubectl: Bound to the cloud's namespace.
        cloud: Name of the CloudController.
        arguments: What follows ``openstack``.

    Raises:
        LabError: There is no such cloud, or the command did not end in time.
    """
    keystone = kubectl.get("deployment", f"{cloud}-keystone")
    if keystone is None:
        raise LabError(f"the cloud {cloud} has no keystone yet", remedy="wait for the controllers")
    image = keystone["spec"]["template"]["spec"]["containers"][0]["image"]
    name = f"openstack-{secrets.token_hex(4)}"
    kubectl.apply(pod(name, cloud, image, arguments))
    try:
        kubectl.wait(f"`openstack {arguments[0]}`", lambda: _ended(kubectl, name), seconds=SECONDS)
        status = (kubectl.get("pod", name) or {})["status"]["containerStatuses"][0]
        return int(status["state"]["terminated"]["exitCode"]), kubectl.run("logs", name)
    finally:
        kubectl.run("delete", "pod", name, "--now", "--ignore-not-found")


def pod(name: str, cloud: str, image: str, arguments: Sequence[str]) -> Object:
    """Return a pod that runs one command with the administrator's clouds.yaml."""
    environment = {"OS_CLOUD": cloud, "OS_CLIENT_CONFIG_FILE": f"{MOUNT}/clouds.yaml"}
    container = {
        "name": "openstack",
        "image": image,
        "command": ["openstack", *arguments],
        "env": [{"name": key, "value": value} for key, value in environment.items()],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "runAsNonRoot": True,
        },
        "volumeMounts": [{"name": "account", "mountPath": MOUNT, "readOnly": True}],
    }
    account = {
        "secretName": f"{cloud}-admin",
        "items": [{"key": "clouds.yaml", "path": "clouds.yaml"}],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app.kubernetes.io/name": "openstack-client"}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            "volumes": [{"name": "account", "secret": account}],
        },
    }


def _ended(kubectl: Kubectl, name: str) -> tuple[bool, str]:
    status = (kubectl.get("pod", name) or {}).get("status", {})
    waiting = [
        one["state"]["waiting"].get("reason", "")
        for one in status.get("containerStatuses", [])
        if "waiting" in one.get("state", {})
    ]
    return status.get("phase") in {"Succeeded", "Failed"}, " ".join(
        [status.get("phase", ""), *waiting]
    )

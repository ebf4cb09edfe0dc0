"""The operator from its chart, and the samples: what a person would type, in order."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from lab import binaries, shell
from lab.cluster import Cluster
from lab.errors import LAB, LabError
from lab.images import OPERATOR, PREFIX, Image, tags
from lab.kubectl import Kubectl, Notify, Object
from lab.paths import REPOSITORY

RELEASE = "stackroles"
SYSTEM = "stackroles-system"
NAMESPACE = "openstack"
CHART = REPOSITORY / "charts" / "stackroles"
SAMPLES = REPOSITORY / "manifests" / "samples"
COMPUTE_LABEL = "openstack-compute=enabled"
CHART_SECONDS = 180
CLOUD_SECONDS = 900
POOL_SECONDS = 300
BACKUP_SECONDS = 300


@dataclass(frozen=True, slots=True)
class Site:
    """A lab cluster with the operator on it."""

    cluster: Cluster
    helm: Path

    def run_helm(self, *arguments: str, stdin: str | None = None, namespace: str = SYSTEM) -> str:
        """Run helm, in the operator's namespace by default, and return what it printed.

        Raises:
            LabError: it failed; the detail is what it printed.
        """
        place = ("--kubeconfig", str(self.cluster.kubeconfig), "--namespace", namespace)
        command = [str(self.helm), *arguments, *place]
        return shell.output(command, stdin=stdin, timeout=CHART_SECONDS)

    @property
    def system(self) -> Kubectl:
        """Return kubectl in the operator's namespace."""
        return kubectl(self.cluster, SYSTEM)

    @property
    def cloud(self) -> Kubectl:
        """Return kubectl in the namespace of clouds."""
        return kubectl(self.cluster, NAMESPACE)


def site(cluster: Cluster) -> Site:
    """Return the site on a cluster, installed or not."""
    return Site(cluster, binaries.tool(cluster.paths, "helm") / "helm")


def kubectl(cluster: Cluster, namespace: str) -> Kubectl:
    """Return kubectl for a namespace of a lab cluster."""
    return Kubectl(cluster.programs["kubectl"], cluster.kubeconfig, namespace)


def chart_values(planned: Mapping[str, Image]) -> Object:
    """Return the chart's values for images built here."""
    return {
        "image": {"registry": PREFIX, "tag": planned[OPERATOR].tag},
        "roleImages": {"registry": PREFIX, "tags": tags(planned)},
    }


def chart(target: Site, planned: Mapping[str, Image], notify: Notify) -> None:
    """Install or upgrade the operator and wait until both replicas are ready."""
    notify("helm upgrade --install")
    values = json.dumps(chart_values(planned))
    flags = ("--create-namespace", "--values", "-")
    target.run_helm("upgrade", "--install", RELEASE, str(CHART), *flags, stdin=values)
    wait_operator(target, notify)


def wait_operator(target: Site, notify: Notify) -> None:
    """Wait until every replica of the operator is ready and of its newest specification."""

    def check() -> tuple[bool, str]:
        found = target.system.get("deployment", RELEASE) or {}
        status, wanted = found.get("status", {}), found.get("spec", {}).get("replicas")
        fresh = status.get("observedGeneration") == found.get("metadata", {}).get("generation")
        ready = status.get("readyReplicas", 0)
        done = fresh and status.get("updatedReplicas") == ready == wanted == status.get("replicas")
        if done:
            return True, ""
        pods = target.system.items("pods", f"app.kubernetes.io/instance={RELEASE}")
        counts = f"{ready} of {wanted} replicas of the operator are ready"
        return False, "\n".join((counts, *why_waiting(pods)))

    try:
        target.system.wait("the operator", check, seconds=CHART_SECONDS, notify=notify)
    except LabError as error:
        remedy = f'eval "$({LAB} env)"; kubectl -n {SYSTEM} describe pods'
        raise LabError(error.what, detail=error.detail, remedy=remedy) from error


def why_waiting(pods: Iterable[Object]) -> list[str]:
    """Return for each container that cannot start what Kubernetes says of it."""
    found = [
        (pod["metadata"]["name"], container.get("state", {}).get("waiting", {}))
        for pod in pods
        for container in pod.get("status", {}).get("containerStatuses", [])
    ]
    return [
        f"{pod}: {waiting['reason']}: {waiting['message']}"
        for pod, waiting in found
        if waiting.get("reason") and waiting.get("message")
    ]


def encryption_key(target: Site) -> None:
    """Make the backup's key unless there is one: a user's own would be kept elsewhere too."""
    if target.cloud.get("secret", "backup-key") is None:
        key = base64.b64encode(secrets.token_bytes(32)).decode()
        manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "backup-key"}}
        target.cloud.apply(manifest | {"stringData": {"password": key}})


def samples(target: Site, notify: Notify) -> None:
    """Label the workers and apply the three resources."""
    for node in target.cluster.nodes[1:]:
        target.cloud.run("label", "node", node, COMPUTE_LABEL, "--overwrite")
    encryption_key(target)
    for name in ("cloud", "pool", "backup-policy"):
        notify(f"kubectl apply -f manifests/samples/{name}.yaml")
        target.cloud.apply(SAMPLES / f"{name}.yaml")


def wait_cloud(target: Site, notify: Notify) -> Object:
    """Wait until the CloudController is Ready and return it."""
    return target.cloud.wait_condition(
        "cloudcontroller", "demo", seconds=CLOUD_SECONDS, notify=notify
    )


def wait_pool(target: Site, notify: Notify) -> Object:
    """Wait until the ComputePool is Ready and return it."""
    return target.cloud.wait_condition(
        "computepool", "compute", seconds=POOL_SECONDS, notify=notify
    )


def named_backup(name: str) -> Object:
    """Return the sample of a Backup under another name: each is made once."""
    sample: Object = yaml.safe_load((SAMPLES / "backup.yaml").read_text())
    return {**sample, "metadata": {**sample["metadata"], "name": name}}


def backup(target: Site, name: str, notify: Notify) -> Object:
    """Apply the sample of a Backup under a name and wait until its recovery set is verified."""
    target.cloud.apply(named_backup(name))
    return target.cloud.wait_condition("backup", name, seconds=BACKUP_SECONDS, notify=notify)

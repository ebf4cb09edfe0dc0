"""The operator's installation: the chart's own check, and the manifest in the chart's place."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import images, install
from lab.errors import LabError
from lab.install import RELEASE, SYSTEM, Site
from lab.kubectl import Kubectl, Object, discard
from lab.paths import REPOSITORY
from tests.support.cloud import Cloud, wait_gone, wait_reason

MANIFEST = REPOSITORY / "manifests" / "install.yaml"
KEPT = ("CustomResourceDefinition", "Namespace")
PROBE = "e2e-manifest"
RIVAL = "e2e-rival"
TOLD_SECONDS = 90
GONE_SECONDS = 120


def with_images_of_this_checkout(documents: list[Any]) -> list[Any]:
    """Return the manifest as a user of another registry writes it: only images are others."""
    values = install.chart_values(images.plan())
    (deployment,) = (found for found in documents if found["kind"] == "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    container["image"] = f"{values['image']['registry']}/operator:{values['image']['tag']}"
    given = {
        "STACKROLES_IMAGE_REGISTRY": values["roleImages"]["registry"],
        "STACKROLES_IMAGE_TAGS": json.dumps(values["roleImages"]["tags"]),
    }
    for variable in container["env"]:
        if variable["name"] in given:
            variable["value"] = given.pop(variable["name"])
    assert not given, f"the manifest has no {', '.join(given)}"
    return documents


def remove(site: Site, documents: list[Object]) -> None:
    """Remove what the manifest made, but for what holds clouds."""
    for found in documents:
        if found["kind"] not in KEPT:
            namespace = found["metadata"].get("namespace", SYSTEM)
            kubectl = install.kubectl(site.cluster, namespace)
            kubectl.run("delete", found["kind"], found["metadata"]["name"], "--ignore-not-found")


@pytest.fixture
def manifest(site: Site) -> Iterator[list[Object]]:
    """The manifest's objects; the chart is there again afterwards."""
    documents = [found for found in yaml.safe_load_all(MANIFEST.read_text()) if found]
    yield with_images_of_this_checkout(documents)
    remove(site, documents)
    install.chart(site, images.plan(), discard)


def test_the_charts_own_check_passes(site: Site) -> None:
    output = site.run_helm("test", RELEASE)
    assert "Phase:          Succeeded" in output, output


@pytest.fixture
def rival(site: Site) -> Iterator[Kubectl]:
    """A second installation that watches the same namespace."""
    values = install.chart_values(images.plan()) | {
        "crds": {"install": False},
        "createWatchNamespaces": False,
        "nodeRights": False,
        "replicas": 1,
    }
    site.run_helm(
        "install", RIVAL, str(install.CHART), "--create-namespace", "--values", "-",
        stdin=json.dumps(values), namespace=RIVAL,
    )  # fmt: skip
    yield install.kubectl(site.cluster, RIVAL)
    site.run_helm("uninstall", RIVAL, "--wait", namespace=RIVAL)
    site.cluster.kubectl("delete", "namespace", RIVAL, "--wait=false")


def test_a_second_operator_leaves_a_claimed_namespace_alone(
    cloud: Cloud, kubectl: Kubectl, rival: Kubectl
) -> None:
    cloud.wait_ready()
    before = cloud.identities()

    def reported() -> tuple[bool, str]:
        found = [e for e in kubectl.items("events") if e["reason"] == "NamespaceClaimed"]
        return bool(found), f"{len(found)} Events"

    rival.wait("the Event of the second operator", reported, seconds=TOLD_SECONDS)
    claim = kubectl.get("lease", "stackroles-operator") or {}
    assert claim["spec"]["holderIdentity"] == f"{SYSTEM}/stackroles-leader"
    log = ""

    def logged() -> tuple[bool, str]:
        nonlocal log
        try:
            log = rival.run("logs", f"deployment/{RIVAL}-stackroles", "--all-pods", "--tail=-1")
        except LabError as error:
            # An Event of an earlier run is there before this one's container has started.
            return False, error.render()
        return "Namespace is served by another operator" in log, log

    # kubelet may show a line a moment after the API server shows the Event.
    rival.wait("the log of the second operator", logged, seconds=TOLD_SECONDS)
    assert '"message": "Applied"' not in log
    assert cloud.identities() == before


def test_without_the_chart_clouds_stay_and_the_manifest_takes_over(
    site: Site, cloud: Cloud, kubectl: Kubectl, manifest: list[Object], tmp_path: Path
) -> None:
    before = cloud.identities()
    uid = cloud.resource()["metadata"]["uid"]
    site.run_helm("uninstall", RELEASE, "--wait")
    assert site.system.items("deployments") == []
    assert cloud.resource()["metadata"]["uid"] == uid

    file = tmp_path / "install.yaml"
    file.write_text(yaml.safe_dump_all(manifest))
    site.cluster.kubectl("apply", "-f", str(file))
    install.wait_operator(site, discard)
    # A resource of its own shows that it reads and writes with the rights of the manifest.
    spec = {"controller": "nowhere", "nodeSelector": {"e2e.example.com/node": "nowhere"}}
    pool = {"apiVersion": "stackroles.io/v1alpha1", "kind": "ComputePool",
            "metadata": {"name": PROBE}, "spec": spec}  # fmt: skip
    kubectl.apply(pool)
    wait_reason(
        kubectl, "computepool", PROBE, "Reconciled", "ControllerMissing", seconds=TOLD_SECONDS
    )
    kubectl.run("delete", "computepool", PROBE, "--wait=false")
    wait_gone(kubectl, "computepool", PROBE, GONE_SECONDS)
    cloud.wait_ready()
    assert cloud.identities() == before

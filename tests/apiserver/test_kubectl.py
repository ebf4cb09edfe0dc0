"""What a person sees through kubectl, and the samples that the documentation shows."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.apiserver.specs import CRDS, build, objects_path
from tests.support.apiclient import ApiClient
from tests.support.binaries import ROOT, binary
from tests.support.controlplane import ControlPlane, wait_for

Kubectl = Callable[..., str]
SAMPLES = sorted((ROOT / "manifests/samples").glob("*.yaml"))


@pytest.fixture(scope="session")
def kubectl(plane: ControlPlane) -> Kubectl:
    """Return a function that runs kubectl as administrator and returns what it printed."""
    kubeconfig = plane.kubeconfig("kubectl", plane.admin.token)

    def run(*arguments: str) -> str:
        command = [str(binary("kubectl")), f"--kubeconfig={kubeconfig}", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    return run


def test_get_openstack_shows_all_kinds_with_their_columns(
    admin: ApiClient, namespace: str, kubectl: Kubectl
) -> None:
    for crd in CRDS:
        kind = crd["spec"]["names"]["kind"]
        admin.create(objects_path(kind, namespace), build(kind)).must()

    shown = kubectl("get", "openstack", "-n", namespace, "-o", "wide")

    for crd in CRDS:
        names, version = crd["spec"]["names"], crd["spec"]["versions"][0]
        assert f"{names['singular']}.stackroles.io/sample" in shown
        for column in version["additionalPrinterColumns"]:
            assert column["name"].upper() in shown


@pytest.mark.parametrize("crd", CRDS, ids=lambda crd: crd["spec"]["names"]["kind"])
def test_the_short_name_works(namespace: str, kubectl: Kubectl, crd: dict[str, object]) -> None:
    names = crd["spec"]["names"]  # type: ignore[index]

    assert kubectl("get", names["shortNames"][0], "-n", namespace, "-o", "name") == ""


def test_explain_shows_what_a_field_is(
    plane: ControlPlane, admin: ApiClient, kubectl: Kubectl
) -> None:
    path = "/openapi/v3/apis/stackroles.io/v1alpha1"
    wait_for(plane, lambda: admin.get(path).ok, "the OpenAPI document was not published")

    assert "Members of the role" in kubectl(
        "explain", "cloudcontroller.spec.roles.clustering.replicas"
    )


def test_there_is_a_sample_of_each_kind_a_user_writes() -> None:
    kinds = {d["kind"] for sample in SAMPLES for d in yaml.safe_load_all(sample.read_text())}

    assert {crd["spec"]["names"]["kind"] for crd in CRDS} - kinds == {"ComputeNode"}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: path.name)
def test_each_sample_is_accepted(kubectl: Kubectl, sample: Path) -> None:
    kubectl("apply", "--dry-run=server", "--validate=strict", "-f", str(sample))


def test_the_operators_kubeconfig_is_the_operators_account(operator_kubeconfig: Path) -> None:
    command = [str(binary("kubectl")), f"--kubeconfig={operator_kubeconfig}", "auth", "whoami"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "system:serviceaccount:stackroles-system:stackroles" in shown

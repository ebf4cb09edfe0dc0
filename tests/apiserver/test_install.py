"""install.yaml and the chart's own check, against a real API server."""

import http.server
import importlib.util
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from typing_extensions import override

from stackroles.codegen.bundle import NAMESPACE, render_chart
from tests.apiserver.conftest import WATCHED_NAMESPACE, collection, installed
from tests.support.apiclient import ApiClient
from tests.support.binaries import ROOT, binary
from tests.support.controlplane import ControlPlane

CHECK = ROOT / "charts/stackroles/files/test/check.py"


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """The chart's objects, `helm test` included."""
    folder = str(binary("helm").parent)
    monkeypatch.setenv("PATH", os.pathsep.join((folder, os.environ["PATH"])))
    return render_chart(ROOT / "charts/stackroles")


@pytest.fixture
def load_check() -> Callable[[], ModuleType]:
    """Return a function that loads the program of `helm test`."""

    def load() -> ModuleType:
        spec = importlib.util.spec_from_file_location("chart_check", CHECK)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture
def readyz() -> Iterator[str]:
    """Address of a server that says it is ready, in the operator's place."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()

        @override
        def log_message(self, *_arguments: object) -> None:
            return

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/readyz"
    server.shutdown()
    server.server_close()


def test_every_object_of_the_manifest_is_accepted_again_without_a_change(
    admin: ApiClient, plane: ControlPlane
) -> None:
    for document in installed():
        path = f"{collection(document)}/{document['metadata']['name']}"
        before = admin.get(path).must()["metadata"]["resourceVersion"]

        assert admin.apply(path, document).must()["metadata"]["resourceVersion"] == before


def test_the_operators_pod_is_admitted_under_the_restricted_standard(admin: ApiClient) -> None:
    (deployment,) = [d for d in installed() if d["kind"] == "Deployment"]
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**template["metadata"], "generateName": "operator-"},
        "spec": template["spec"],
    }
    pods = f"/api/v1/namespaces/{NAMESPACE}/pods"

    admin.create(pods, pod, dryRun="All").must()

    loose = {**pod, "spec": {**template["spec"], "hostNetwork": True}}
    assert admin.create(pods, loose, dryRun="All").status == 403


def test_every_object_of_helm_test_is_accepted(
    admin: ApiClient, rendered: list[dict[str, Any]]
) -> None:
    hooks = [d for d in rendered if "helm.sh/hook" in d["metadata"].get("annotations", {})]

    assert {d["kind"] for d in hooks} == {
        "ServiceAccount",
        "ConfigMap",
        "Role",
        "RoleBinding",
        "Pod",
    }
    for document in hooks:
        admin.create(collection(document), document, dryRun="All").must()


@pytest.fixture
def as_test_account(
    plane: ControlPlane,
    rendered: list[dict[str, Any]],
    readyz: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Path:
    """The environment of the test pod, with the rights the chart gives it; returns its account."""
    for document in rendered:
        if document["metadata"]["name"] == "stackroles-test" and document["kind"] != "Pod":
            path = f"{collection(document)}/stackroles-test"
            plane.admin.apply(path, document).must()
    (tmp_path / "token").write_text(plane.service_account_token(NAMESPACE, "stackroles-test"))
    (tmp_path / "ca.crt").write_bytes(plane.ca_file.read_bytes())
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", plane.url.rpartition(":")[2])
    monkeypatch.setenv("TEST_NAMESPACE", WATCHED_NAMESPACE)
    monkeypatch.setenv("OPERATOR_URL", readyz)
    return tmp_path


def test_the_charts_check_passes_here_and_stores_nothing(
    admin: ApiClient,
    as_test_account: Path,
    load_check: Callable[[], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check = load_check()
    monkeypatch.setattr(check, "ACCOUNT", as_test_account)
    path = f"/apis/stackroles.io/v1alpha1/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers"
    before = admin.get(path).must()["items"]

    assert check.main() == 0
    assert capsys.readouterr().out.count("ok: ") == 3
    assert admin.get(path).must()["items"] == before


def test_the_charts_check_fails_where_the_operator_does_not_answer(
    as_test_account: Path,
    load_check: Callable[[], ModuleType],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    check = load_check()
    monkeypatch.setattr(check, "ACCOUNT", as_test_account)
    monkeypatch.setattr(check, "DEADLINE_SECONDS", 0)

    assert check.main() == 1
    assert "did not become ready" in capsys.readouterr().err

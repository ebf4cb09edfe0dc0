"""`kubectl stackroles` shows a cloud to a person, to a script, and to somebody without rights."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.install import Site
from lab.kubectl import Kubectl
from stackroles.roles import registry
from tests.support.cloud import Cloud

NOBODY = "e2e-nobody"
PLUGIN = Path(sys.executable).with_name("kubectl-stackroles")


def plugin(
    site: Site, *arguments: str, kubeconfig: Path | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the plugin as kubectl runs it."""
    path = f"{PLUGIN.parent}{os.pathsep}{os.environ['PATH']}"
    command = [str(site.cloud.program), "stackroles", *arguments]
    command += ["--kubeconfig", str(kubeconfig or site.cluster.kubeconfig)]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False,
        env={**os.environ, "PATH": path},
    )  # fmt: skip


@pytest.fixture
def nobody(site: Site, kubectl: Kubectl, tmp_path: Path) -> Path:
    """A kubeconfig of an account without any right."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NOBODY}}
    kubectl.apply(account)
    token = kubectl.run("create", "token", NOBODY, "--duration=10m").strip()
    view = ("config", "view", "--minify", "--flatten", "--raw", "-o", "json")
    config = json.loads(site.cluster.kubectl(*view))
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    file = tmp_path / "kubeconfig"
    file.write_text(json.dumps(config))
    return file


def test_the_tree_names_every_role_and_member(site: Site, cloud: Cloud) -> None:
    cloud.wait_ready()
    found = plugin(site, "status", cloud.name)
    assert found.returncode == 0, found.stderr
    for role in registry.CONTROLLER_ROLES:
        assert role.name in found.stdout
        for member in cloud.members(role.name):
            assert member in found.stdout
    assert "writer" in found.stdout
    assert "ComputePool compute" in found.stdout


def test_a_script_gets_json(site: Site, cloud: Cloud) -> None:
    found = plugin(site, "status", cloud.name, "-o", "json")
    assert found.returncode == 0, found.stderr
    view = json.loads(found.stdout)
    assert (view["ready"], view["troubles"], view["unreadable"]) == ("True", [], [])
    [writer] = [m["pod"] for r in view["roles"] for m in r["members"] if m["part"] == "writer"]
    assert writer == cloud.resource()["status"]["writer"]


def test_a_missing_right_is_named(site: Site, cloud: Cloud, nobody: Path) -> None:
    found = plugin(site, "status", cloud.name, kubeconfig=nobody)
    assert found.returncode == 1
    assert found.stderr.startswith(f"error: You may not read CloudController {cloud.name}")
    assert len(found.stderr.splitlines()) == 1

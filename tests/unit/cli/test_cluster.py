"""What the command reads and writes, and what it answers when it cannot."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from stackroles.agents import wire
from stackroles.agents.gate.protocol import LAST_SWITCHOVER, SWITCHOVER, Switchover
from stackroles.cli import cluster
from stackroles.cli.ask import Api, CommandError, connect
from stackroles.cli.cluster import Clouds
from stackroles.cli.main import app
from stackroles.kube.client import KubeClient
from tests.support.fake_api import FakeApi, Fault, client_of, fake_api
from tests.support.objects import custom


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with fake_api() as found:
        roles = [
            {"name": "glance", "model": "ActivePassive"},
            {"name": "keystone", "model": "ActiveActive"},
        ]
        found.put({**custom(), "status": {"roles": roles}})
        yield found


@pytest.fixture
async def client(api: FakeApi) -> AsyncIterator[KubeClient]:
    async with client_of(api) as found:
        yield found


def clouds_of(client: KubeClient, namespace: str = "ns") -> Clouds:
    """Return the clouds of a namespace."""
    return Clouds(Api(client, namespace))


async def failure(clouds: Clouds, name: str = "demo") -> str:
    """Return why a cloud cannot be shown."""
    with pytest.raises(CommandError) as raised:
        await clouds.find(name)
    return str(raised.value)


async def test_a_cloud_is_found_with_its_pools_alone(api: FakeApi, client: KubeClient) -> None:
    found = await clouds_of(client).find("demo")
    assert found.cloud["metadata"]["name"] == "demo"
    assert (found.pods, found.unreadable) == ([], [])


async def test_an_unknown_name_lists_what_there_is(client: KubeClient) -> None:
    text = await failure(clouds_of(client), "prod")
    assert text == (
        "CloudController prod does not exist in namespace ns. There are: demo. Name another "
        "namespace by -n."
    )
    assert "There are: none." in await failure(clouds_of(client, "elsewhere"))


async def test_a_missing_right_is_named(api: FakeApi, client: KubeClient) -> None:
    api.faults.append(Fault("GET", "/pods", 403))
    found = await clouds_of(client).find("demo")
    assert len(found.unreadable) == 1
    assert found.unreadable[0].startswith("You may not read Pods in namespace ns")
    api.faults.append(Fault("GET", "/cloudcontrollers", 403))
    assert "You may not read CloudController demo" in await failure(clouds_of(client))


async def test_a_role_whose_members_all_serve_is_not_switched(client: KubeClient) -> None:
    with pytest.raises(CommandError, match="its model is ActiveActive"):
        await clouds_of(client).switch_over("demo", "keystone", "a test")
    with pytest.raises(CommandError, match=r"has no role nova\. It has: glance, keystone"):
        await clouds_of(client).switch_over("demo", "nova", "a test")


async def test_a_switchover_is_asked_for_and_followed(
    api: FakeApi, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_PERIOD", 0.01)
    metadata = {"name": "demo-glance", "namespace": "ns", "annotations": {}}
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": {}}
    api.put({**lease, "metadata": metadata})
    done = Switchover(source="glance-0", target="glance-1", at="now", reason="why", duration=1.5)

    async def gate() -> None:
        while True:
            known = api.get("leases", "ns", "demo-glance") or {}
            if known["metadata"]["annotations"].get(SWITCHOVER) == "why":
                break
            await asyncio.sleep(0.01)
        for seen in (replace(done, target=""), replace(done, duration=None), done):
            annotations = {LAST_SWITCHOVER: wire.dumps(seen)}
            api.put({**known, "metadata": {**known["metadata"], "annotations": annotations}})
            await asyncio.sleep(0.05)

    member = asyncio.create_task(gate())
    assert await clouds_of(client).switch_over("demo", "glance", "why") == done
    await member


async def test_a_switchover_that_does_not_come_ends_at_its_deadline(
    api: FakeApi, client: KubeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster, "_PERIOD", 0.01)
    monkeypatch.setattr(cluster, "SWITCHOVER_SECONDS", 0.05)
    metadata = {"name": "demo-glance", "namespace": "ns"}
    api.put({"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata})
    with pytest.raises(CommandError, match="No other member of glance became active"):
        await clouds_of(client).switch_over("demo", "glance", "why")
    lease = api.get("leases", "ns", "demo-glance") or {}
    assert SWITCHOVER not in lease["metadata"].get("annotations", {})


async def test_a_login_that_has_expired_is_no_missing_right(
    api: FakeApi, client: KubeClient
) -> None:
    api.faults.append(Fault("GET", "/cloudcontrollers", 401))
    assert "does not know you" in await failure(clouds_of(client))


@pytest.mark.parametrize("text", ["", "- a list", "{", "a: [", "kind: Config\nclusters: 3\n"])
def test_a_file_that_is_no_kubeconfig_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    found = CliRunner().invoke(app, ["status", "demo", "--kubeconfig", str(file)])
    assert found.exit_code == 1
    assert found.output.startswith("error: ")
    assert len(found.output.splitlines()) == 1


def test_without_a_cluster_one_line_says_what_to_do(tmp_path: Path) -> None:
    missing = tmp_path / "nowhere"
    found = CliRunner().invoke(app, ["status", "demo", "--kubeconfig", str(missing)])
    assert found.exit_code == 1
    assert found.output.startswith("error: ")
    assert "--kubeconfig" in found.output
    assert len(found.output.splitlines()) == 1


CONFIG = (
    "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
    "clusters: [{name: k, cluster: {server: 'http://127.0.0.1:9'}}]\n"
    "contexts: [{name: c, context: {cluster: k, user: u}},"
    " {name: other, context: {cluster: k, user: u, namespace: clouds}}]\n"
    "users: [{name: u, user: {}}]\n"
)


@pytest.mark.parametrize(
    ("context", "namespace", "used"),
    [(None, None, "openstack"), ("other", None, "clouds"), ("other", "mine", "mine")],
)
async def test_the_namespace_is_the_options_or_else_the_contexts(
    tmp_path: Path, context: str | None, namespace: str | None, used: str
) -> None:
    config = tmp_path / "config"
    config.write_text(CONFIG)
    async with connect(str(config), context, namespace) as api:
        assert api.namespace == used


def test_a_server_that_does_not_answer_is_one_line(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text(CONFIG)
    found = CliRunner().invoke(app, ["status", "demo", "--kubeconfig", str(config)])
    assert found.exit_code == 1
    assert found.output.startswith("error: The API server did not answer")
    assert len(found.output.splitlines()) == 1

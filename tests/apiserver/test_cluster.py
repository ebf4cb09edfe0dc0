"""The cluster facade against a real API server: what a fake one cannot prove."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from stackroles.constants import GROUP_VERSION, LABEL_INSTANCE
from stackroles.errors import Conflict, Forbidden, Rejected
from stackroles.kube.cache import Cache
from stackroles.kube.client import KubeClient, load_credentials
from stackroles.kube.cluster import Cluster
from stackroles.kube.kinds import KINDS
from tests.apiserver.conftest import ACCOUNT, GROUP, SYSTEM_NAMESPACE, WATCHED_NAMESPACE
from tests.support.apiclient import ApiClient
from tests.support.controlplane import ControlPlane

Object = dict[str, Any]
_NAMES = iter(range(1, 1000))


@pytest.fixture
async def client(plane: ControlPlane) -> AsyncIterator[KubeClient]:
    """A client with the operator's own rights."""
    token = plane.service_account_token(SYSTEM_NAMESPACE, ACCOUNT)
    kubeconfig = plane.kubeconfig("cluster-test", token)
    made = KubeClient(await load_credentials(str(kubeconfig)))
    yield made
    await made.close()


def facade(client: KubeClient) -> Cluster:
    return Cluster(client, Cache(), lambda: 10.0, now=lambda: datetime.now(UTC))


async def fill(cluster: Cluster, client: KubeClient) -> None:
    """Fill a new process's cache, as the operator does at its start."""
    for kind in KINDS.values():
        if kind.watched and kind.namespaced:
            for item in (await client.list(kind, WATCHED_NAMESPACE)).items:
                cluster.cache.upsert(item)


@pytest.fixture
def owner(admin: ApiClient) -> Object:
    """A CloudController of the test's own."""
    name = f"cluster-{next(_NAMES)}"
    body = {"apiVersion": GROUP_VERSION, "kind": "CloudController", "metadata": {"name": name}}
    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers"
    return admin.create(path, {**body, "spec": {}}).must()


def reference(owner: Object) -> list[Object]:
    metadata = owner["metadata"]
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
        }
    ]


def manifest(owner: Object, kind: str, part: str, **content: Any) -> Object:
    name = f"{owner['metadata']['name']}-{part}"
    metadata = {"name": name, "ownerReferences": reference(owner)}
    return {
        "apiVersion": KINDS[kind].api_version, "kind": kind, "metadata": metadata, **content
    }  # fmt: skip


def children(owner: Object) -> list[Object]:
    """Return one child of each kind that the operator applies, short of many defaults."""
    labels = {"app.kubernetes.io/name": "x", LABEL_INSTANCE: owner["metadata"]["name"]}
    pod = {"containers": [{"name": "c", "image": "i", "resources": {"requests": {"cpu": "1000m"}}}]}
    template = {"metadata": {"labels": labels}, "spec": pod}
    selector = {"matchLabels": labels}
    job = {"template": {"spec": {**pod, "restartPolicy": "Never"}}}
    claim = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1024Mi"}},
        },
    }
    workload = {"selector": selector, "template": template}
    stateful = {**workload, "serviceName": "s", "volumeClaimTemplates": [claim]}
    port = {"port": 80, "targetPort": "http"}
    return [
        manifest(owner, "StatefulSet", "sts", spec=stateful),
        manifest(owner, "Deployment", "deploy", spec=workload),
        manifest(owner, "DaemonSet", "ds", spec=workload),
        manifest(owner, "Service", "svc", spec={"selector": labels, "ports": [port]}),
        manifest(owner, "ConfigMap", "cm", data={"a": "1"}),
        manifest(owner, "Secret", "secret", stringData={"a": "1"}),
        manifest(owner, "Job", "job", spec=job),
        manifest(
            owner, "CronJob", "cron", spec={"schedule": "0 3 * * *", "jobTemplate": {"spec": job}}
        ),
        manifest(
            owner, "PodDisruptionBudget", "pdb", spec={"selector": selector, "maxUnavailable": 1}
        ),
        manifest(owner, "PersistentVolumeClaim", "pvc", spec=claim["spec"]),
        manifest(
            owner,
            "NetworkPolicy",
            "policy",
            spec={"podSelector": selector, "policyTypes": ["Ingress"], "ingress": [{}]},
        ),
    ]


async def test_second_pass_and_new_process_make_no_call(
    plane: ControlPlane, client: KubeClient, owner: Object
) -> None:
    cluster = facade(client)
    await fill(cluster, client)
    records = await cluster.apply_children(owner, children(owner))
    status = {"children": [record.to_dict() for record in records]}
    assert await cluster.patch_status(owner, status)
    requests: list[str] = []
    client._observer = lambda method, _: requests.append(method)

    await cluster.apply_children(owner, children(owner))
    assert requests == []

    again = facade(client)
    await fill(again, client)
    requests.clear()
    seen = again.get("CloudController", WATCHED_NAMESPACE, owner["metadata"]["name"])
    assert seen is not None
    same = await again.apply_children(seen, children(owner))
    assert not await again.patch_status(seen, {"children": [r.to_dict() for r in same]})
    assert requests == []


async def test_field_that_is_no_longer_wanted_goes_and_foreign_ones_stay(
    client: KubeClient, owner: Object, admin: ApiClient
) -> None:
    cluster = facade(client)
    before = manifest(owner, "ConfigMap", "cm", data={"a": "1", "b": "2"})
    await cluster.apply_children(owner, [before])
    path = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/configmaps/{before['metadata']['name']}"
    admin.call(
        "PATCH", path, {"data": {"theirs": "x"}}, content_type="application/merge-patch+json"
    ).must()

    await cluster.apply_children(owner, [{**before, "data": {"a": "1"}}])

    assert admin.get(path).must()["data"] == {"a": "1", "theirs": "x"}


async def test_status_of_a_namesake_or_an_old_version_is_not_written(
    client: KubeClient, owner: Object, admin: ApiClient
) -> None:
    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers"
    name = owner["metadata"]["name"]
    admin.call("DELETE", f"{path}/{name}").must()
    body = {"apiVersion": GROUP_VERSION, "kind": "CloudController", "metadata": {"name": name}}
    admin.create(path, {**body, "spec": {}}).must()

    with pytest.raises(Conflict):
        await facade(client).patch_status(owner, {"observedGeneration": 1})

    assert "status" not in admin.get(f"{path}/{name}").must()


async def test_status_only_sends_what_differs_and_removes_what_is_gone(
    client: KubeClient, owner: Object, admin: ApiClient
) -> None:
    cluster = facade(client)
    ready = {
        "type": "Ready", "status": "False", "reason": "Progressing", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    await cluster.patch_status(owner, {"observedGeneration": 1, "conditions": [ready]})
    await cluster.patch_status(owner, {"conditions": [ready]})

    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers/{owner['metadata']['name']}"
    status = admin.get(path).must()["status"]
    assert "observedGeneration" not in status
    assert [c["type"] for c in status["conditions"]] == ["Ready"]
    events = admin.get(
        f"/apis/events.k8s.io/v1/namespaces/{WATCHED_NAMESPACE}/events",
        fieldSelector=f"regarding.name={owner['metadata']['name']}",
    ).must()["items"]
    assert [event["reason"] for event in events] == ["Progressing"]


async def test_metadata_of_a_namesake_is_not_written(
    client: KubeClient, owner: Object, admin: ApiClient
) -> None:
    path = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/pods"
    name = f"{owner['metadata']['name']}-pod"
    body = {
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "i"}]},
    }  # fmt: skip
    first = admin.create(path, body).must()
    admin.call("DELETE", f"{path}/{name}", {"gracePeriodSeconds": 0}).must()
    admin.create(path, body).must()

    with pytest.raises(Conflict):
        await facade(client).annotate_pod(first, {"stackroles.io/x": "1"})

    second = admin.get(f"{path}/{name}").must()
    await facade(client).annotate_pod(second, {"stackroles.io/x": "1"})
    assert admin.get(f"{path}/{name}").must()["metadata"]["annotations"] == {"stackroles.io/x": "1"}


async def test_delete_needs_the_object_that_was_seen(
    client: KubeClient, owner: Object, admin: ApiClient
) -> None:
    cluster = facade(client)
    wanted = manifest(owner, "ConfigMap", "cm", data={"a": "1"})
    await cluster.apply_children(owner, [wanted])
    name = wanted["metadata"]["name"]
    seen = cluster.get("ConfigMap", WATCHED_NAMESPACE, name)
    assert seen is not None
    path = f"/api/v1/namespaces/{WATCHED_NAMESPACE}/configmaps/{name}"
    admin.call("PATCH", path, {"data": {"x": "y"}}, content_type="application/merge-patch+json")

    with pytest.raises(Conflict):
        await cluster.delete(seen)
    live = await cluster.read("ConfigMap", WATCHED_NAMESPACE, name)
    assert live is not None
    await cluster.delete(live)

    assert await cluster.read("ConfigMap", WATCHED_NAMESPACE, name) is None


async def test_refused_content_names_its_field(client: KubeClient, owner: Object) -> None:
    bad = manifest(owner, "Service", "svc", spec={"ports": [{"port": 70000}]})

    with pytest.raises(Rejected) as caught:
        await facade(client).apply_children(owner, [bad])

    assert "spec.ports[0].port" in caught.value.fields


async def test_immutable_field_is_refused_and_nothing_else_is_lost(
    client: KubeClient, owner: Object
) -> None:
    cluster = facade(client)
    await cluster.apply_children(owner, children(owner))
    changed = children(owner)
    changed[0]["spec"] = {**changed[0]["spec"], "serviceName": "other"}
    changed[4]["data"] = {"a": "2"}

    with pytest.raises(Rejected):
        await cluster.apply_children(owner, changed)

    name = changed[4]["metadata"]["name"]
    assert await cluster.read_config_map(WATCHED_NAMESPACE, name) == {"a": "2"}


async def test_prune_takes_children_and_spares_records_of_work(
    client: KubeClient, owner: Object
) -> None:
    cluster = facade(client)
    records = await cluster.apply_children(owner, children(owner))
    await cluster.patch_status(owner, {"children": [r.to_dict() for r in records]})

    gone = await cluster.prune(cluster._latest(owner), [])

    assert {ref.kind for ref in gone} == {
        "StatefulSet", "Deployment", "DaemonSet", "Service", "ConfigMap", "Secret", "CronJob",
        "PodDisruptionBudget", "NetworkPolicy",
    }  # fmt: skip
    left = {obj["kind"] for obj in cluster.owned(owner)}
    assert {"Job", "PersistentVolumeClaim"} <= left


async def test_finalizer_holds_a_deletion(
    client: KubeClient, owner: Object, admin: ApiClient
) -> None:
    cluster = facade(client)
    await cluster.set_finalizer(owner, present=True)
    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers/{owner['metadata']['name']}"
    admin.call("DELETE", path).must()
    going = await cluster.read("CloudController", WATCHED_NAMESPACE, owner["metadata"]["name"])
    assert going is not None
    assert going["metadata"]["deletionTimestamp"]

    await cluster.set_finalizer(going, present=False)

    assert admin.get(path).status == 404


async def test_events_about_exactly_one_object_are_read(
    admin: ApiClient, client: KubeClient, owner: Object
) -> None:
    metadata = owner["metadata"]
    uids = (metadata["uid"], metadata["uid"], "another")
    for number, (uid, reason) in enumerate(zip(uids, ("FailedCreate", "Other", "FailedCreate"),
                                               strict=True)):  # fmt: skip
        # As the controllers of workloads write them: core Events of the old form.
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{metadata['name']}.{number}"},
            "involvedObject": {
                "kind": owner["kind"],
                "namespace": WATCHED_NAMESPACE,
                "name": metadata["name"],
                "uid": uid,
            },
            "reason": reason,
            "message": "exceeded quota",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        }
        admin.create(f"/api/v1/namespaces/{WATCHED_NAMESPACE}/events", event).must()
    [found] = await facade(client).read_events(owner, "FailedCreate")
    assert found["note"] == "exceeded quota"
    assert found["deprecatedLastTimestamp"] == "2026-01-01T00:00:00Z"


async def test_spec_of_a_cloud_may_be_written_by_nobody_but_its_user(client: KubeClient) -> None:
    path = f"{GROUP}/namespaces/{WATCHED_NAMESPACE}/cloudcontrollers/x"
    body = {"apiVersion": GROUP_VERSION, "kind": "CloudController", "metadata": {"name": "x"}}

    with pytest.raises(Forbidden):
        await client.request("PUT", path, body={**body, "spec": {}})

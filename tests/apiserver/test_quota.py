"""A namespace with a quota on limits of processor and memory takes every pod of a cloud."""

from typing import Any

import pytest

from stackroles.config.cloud import Cloud
from stackroles.roles import registry
from stackroles.workloads.manifests.children import build_role, build_step
from tests.support.apiclient import ApiClient
from tests.support.clouds import cloud

Object = dict[str, Any]
HARD = {"limits.cpu": "1000", "limits.memory": "1000Gi"}


@pytest.fixture
def rationed(admin: ApiClient, namespace: str) -> str:
    """A namespace with such a quota, as its controller would have counted it."""
    path = f"/api/v1/namespaces/{namespace}/resourcequotas"
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}}
    made = admin.create(path, {**quota, "spec": {"hard": HARD}}).must()
    status = {"hard": HARD, "used": dict.fromkeys(HARD, "0")}
    admin.merge(f"{path}/{made['metadata']['name']}/status", {"status": status}).must()
    return namespace


def pods(declared: Cloud) -> dict[str, Object]:
    """Return a pod of each role and of each set-up step, by name."""
    workloads = [
        *(build_role(declared, role)[-1] for role in registry.CONTROLLER_ROLES),
        *(
            build_step(declared, service, step)[-1]
            for service in registry.SERVICES
            for step in service.steps
            if step.tasks
        ),
    ]
    return {
        item["metadata"]["name"]: _without_claims(item["spec"]["template"]["spec"])
        for item in workloads
    }


def _without_claims(spec: Object) -> Object:
    """Return a pod's spec with scratch space for the claims that a StatefulSet would add."""
    containers = [*spec.get("initContainers", ()), *spec["containers"]]
    mounted = {mount["name"] for c in containers for mount in c.get("volumeMounts", ())}
    there = {volume["name"] for volume in spec.get("volumes", ())}
    claims = [{"name": name, "emptyDir": {}} for name in sorted(mounted - there)]
    return {**spec, "volumes": [*spec.get("volumes", ()), *claims]}


def refused(admin: ApiClient, namespace: str, declared: Cloud) -> dict[str, str]:
    """Return what the API server says of the pods that it does not take."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    answers = {}
    for name, spec in pods(declared).items():
        metadata = {"name": name, "namespace": namespace}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        answer = admin.create(path, pod, dryRun="All")
        if not answer.ok:
            answers[name] = answer.message
    return answers


def test_a_quota_on_limits_is_satisfied_by_one_field(admin: ApiClient, rationed: str) -> None:
    without = refused(admin, rationed, cloud())
    assert without.keys() == pods(cloud()).keys()
    assert all("limits.cpu" in message for message in without.values()), without

    assert refused(admin, rationed, cloud(defaultResources={"limits": {"cpu": "2"}})) == {}

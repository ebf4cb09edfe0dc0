"""What is applied of a role while its clustering changes."""

from typing import Any

import pytest

from stackroles.domains.cloud.reconcile_switch import adapt
from stackroles.roles import registry
from stackroles.workloads.manifests.children import build_role
from tests.support.clouds import cloud

Object = dict[str, Any]
GATED = {"stackroles.io/clustering": "ActiveActive"}
PASSIVE = {"roles": {"glance": {"clustering": {"model": "ActivePassive"}}}}


class Pods:
    """A cluster of which only pods are listed."""

    def __init__(self, *pods: Object) -> None:
        self._pods = pods

    def list(self, *_: Any) -> tuple[Object, ...]:
        return self._pods


def pod(controller: str, annotations: dict[str, str]) -> Object:
    owner = {"kind": controller, "controller": True}
    return {"metadata": {"annotations": annotations, "ownerReferences": [owner]}}


def adapted(role: str, pods: Pods, serving: set[str], **spec: Any) -> list[Object]:
    declared, definition = cloud(**spec), registry.role(role)
    return adapt(pods, declared, definition, build_role(declared, definition), serving)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("annotations", "serving", "leads_to"),
    [
        (GATED, {"endpoint"}, "endpoint"),
        (GATED, set(), "keystone"),
        ({}, {"endpoint"}, "keystone"),
    ],
    ids=["gated, and proxies serve", "no proxy has served", "a member without a gate"],
)
def test_requests_go_to_the_proxies_once_these_can_ask_every_member(
    annotations: dict[str, str], serving: set[str], leads_to: str
) -> None:
    pods = Pods(pod("ReplicaSet", GATED), pod("ReplicaSet", annotations))

    services = [child for child in adapted("keystone", pods, serving) if child["kind"] == "Service"]

    selected = {s["metadata"]["name"]: s["spec"]["selector"] for s in services}
    assert selected["demo-keystone"]["app.kubernetes.io/name"] == leads_to
    assert selected["demo-keystone-members"]["app.kubernetes.io/name"] == "keystone"


@pytest.mark.parametrize(
    ("spec", "controller", "applied"),
    [
        (PASSIVE, "StatefulSet", set()),
        (PASSIVE, "ReplicaSet", {"Deployment"}),
        ({}, "ReplicaSet", set()),
        ({}, "StatefulSet", {"StatefulSet"}),
    ],
)
def test_a_workload_waits_for_the_pods_of_the_other_kind_on_its_volume(
    spec: Object, controller: str, applied: set[str]
) -> None:
    children = adapted("glance", Pods(pod(controller, GATED)), {"endpoint"}, **spec)

    assert {child["kind"] for child in children} & {"StatefulSet", "Deployment"} == applied

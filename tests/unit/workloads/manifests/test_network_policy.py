"""Who reaches whom, by the policies that are rendered; recorded flows are in the e2e tests."""

from typing import Any

import pytest

from stackroles.constants import LABEL_NAME
from stackroles.roles import registry
from stackroles.workloads.manifests.children import build_roles, build_step
from tests.support import policies
from tests.support.clouds import cloud

Object = dict[str, Any]
Labels = dict[str, str]

CLOUD = cloud()
MADE = build_roles(CLOUD, registry.CONTROLLER_ROLES)
JOBS = [
    build_step(CLOUD, service, step)[-1]
    for service in registry.SERVICES
    for step in service.steps
    if step.tasks
]
POLICIES = [item for item in MADE if item["kind"] == "NetworkPolicy"]
PODS: dict[str, Labels] = {
    item["metadata"]["labels"][LABEL_NAME]: item["spec"]["template"]["metadata"]["labels"]
    for item in MADE
    if item["kind"] in ("StatefulSet", "Deployment")
}
OPERATOR = {LABEL_NAME: "stackroles"}
STRANGER = {LABEL_NAME: "web", "app.kubernetes.io/part-of": "shop"}
NODE = None


def may_reach(source: Labels | None, namespace: str, role: str, port: int) -> bool:
    """Return whether the policies let a source reach a port of a role's pods."""
    client = policies.NODE if source is None else policies.Pod(namespace, source)
    return policies.may_reach(POLICIES, client, policies.Pod(CLOUD.namespace, PODS[role]), port)


# Flows that the roles' own configuration asks for: who connects where.
FLOWS = [
    *(("haproxy", "mariadb", port) for port in (3306, 9300)),
    *(("mariadb", "mariadb", port) for port in (4567, 4568, 4444)),
    *((role, "haproxy", 3306) for role in ("keystone", "glance", "placement", "nova-conductor")),
    *((role, "rabbitmq", 5672) for role in ("nova-conductor", "nova-scheduler", "neutron-api")),
    ("rabbitmq", "rabbitmq", 25672),
    ("rabbitmq", "rabbitmq", 4369),
    *((role, "memcached", 11211) for role in ("keystone", "nova-api", "neutron-api")),
    *((role, "keystone", 5000) for role in ("glance", "placement", "nova-api", "neutron-api")),
    *((role, "ovn-nb", 6641) for role in ("neutron-api", "ovn-northd", "neutron-maintenance")),
    *((role, "ovn-sb", 6642) for role in ("neutron-api", "ovn-northd")),
    ("ovn-nb", "ovn-nb", 6643),
    ("ovn-sb", "ovn-sb", 6644),
]


@pytest.mark.parametrize(("source", "target", "port"), FLOWS)
def test_flow_the_roles_need_is_let_through(source: str, target: str, port: int) -> None:
    assert may_reach(PODS[source], "ns", target, port)


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job["metadata"]["name"])
def test_steps_reach_the_database(job: Object) -> None:
    labels = job["spec"]["template"]["metadata"]["labels"]
    assert may_reach(labels, "ns", "haproxy", 3306)


@pytest.mark.parametrize(("role", "port"), [("mariadb", 9300), ("haproxy", 8404)])
def test_operator_asks_members_from_its_own_namespace(role: str, port: int) -> None:
    assert may_reach(OPERATOR, "stackroles-system", role, port)


@pytest.mark.parametrize(("role", "port"), [("rabbitmq", 5672), ("ovn-sb", 6642)])
def test_agents_in_the_nodes_network_reach_what_they_need(role: str, port: int) -> None:
    assert may_reach(NODE, "", role, port)


@pytest.mark.parametrize(
    ("role", "port"),
    [("mariadb", 3306), ("mariadb", 4567), ("haproxy", 3306), ("memcached", 11211),
     ("ovn-nb", 6641), ("rabbitmq", 25672), ("ovn-sb", 6644)],
)  # fmt: skip
@pytest.mark.parametrize(("source", "namespace"), [(STRANGER, "ns"), (STRANGER, "x"), (NODE, "")])
def test_strangers_reach_no_database_and_no_members_port(
    source: Labels | None, namespace: str, role: str, port: int
) -> None:
    assert not may_reach(source, namespace, role, port)


def test_pods_of_another_namespace_with_the_clouds_label_are_strangers() -> None:
    assert not may_reach(PODS["keystone"], "other", "haproxy", 3306)


@pytest.mark.parametrize("role", [r.name for r in registry.CONTROLLER_ROLES])
def test_every_role_has_a_policy(role: str) -> None:
    assert any(policies.selects(p["spec"]["podSelector"], PODS[role]) for p in POLICIES)

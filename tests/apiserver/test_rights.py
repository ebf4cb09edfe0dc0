"""The operator's rights under RBAC and the node policy: all of the table, and nothing else."""

from typing import Any

import pytest

from stackroles.codegen.rbac import LEASE_NAME, RULES, Rule, Scope
from tests.apiserver.conftest import SYSTEM_NAMESPACE, WATCHED_NAMESPACE
from tests.support.apiclient import ApiClient

OTHER_NAMESPACE = "default"
PLACES = {
    Scope.WORKLOADS: WATCHED_NAMESPACE,
    Scope.SECRETS: WATCHED_NAMESPACE,
    Scope.LEADER: SYSTEM_NAMESPACE,
    Scope.NODES: "",
    Scope.CLUSTER: "",
}
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
OUTSIDE = (
    ("", "secrets", "get", OTHER_NAMESPACE),
    ("", "secrets", "list", ""),
    ("", "secrets", "list", SYSTEM_NAMESPACE),
    ("", "pods", "list", ""),
    ("", "pods/exec", "create", WATCHED_NAMESPACE),
    ("", "pods/attach", "create", WATCHED_NAMESPACE),
    ("", "pods", "create", WATCHED_NAMESPACE),
    ("", "nodes", "delete", ""),
    ("", "nodes", "create", ""),
    ("", "nodes/status", "patch", ""),
    ("", "nodes/proxy", "get", ""),
    ("", "serviceaccounts/token", "create", WATCHED_NAMESPACE),
    ("", "namespaces", "list", ""),
    ("", "persistentvolumes", "delete", ""),
    ("rbac.authorization.k8s.io", "roles", "create", SYSTEM_NAMESPACE),
    ("rbac.authorization.k8s.io", "roles", "escalate", WATCHED_NAMESPACE),
    ("rbac.authorization.k8s.io", "roles", "bind", WATCHED_NAMESPACE),
    ("rbac.authorization.k8s.io", "clusterrolebindings", "create", ""),
    ("apiextensions.k8s.io", "customresourcedefinitions", "list", ""),
    ("admissionregistration.k8s.io", "validatingadmissionpolicies", "delete", ""),
    ("stackroles.io", "cloudcontrollers", "create", OTHER_NAMESPACE),
    ("stackroles.io", "cloudcontrollers", "update", WATCHED_NAMESPACE),
    ("stackroles.io", "restores", "create", WATCHED_NAMESPACE),
    ("stackroles.io", "cloudcontrollers", "delete", WATCHED_NAMESPACE),
    ("stackroles.io", "cloudcontrollers", "list", ""),
    ("coordination.k8s.io", "leases", "list", WATCHED_NAMESPACE),
    ("coordination.k8s.io", "leases", "patch", SYSTEM_NAMESPACE),
)


def may(
    client: ApiClient, group: str, resource: str, verb: str, *, namespace: str, name: str = ""
) -> bool:
    """Ask the API server whether a client has a right."""
    plain, _, subresource = resource.partition("/")
    attributes = {
        "group": group,
        "resource": plain,
        "subresource": subresource,
        "verb": verb,
        "namespace": namespace,
        "name": name,
    }
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    return bool(client.create(path, review).must()["status"]["allowed"])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.scope}-{rule.resources[0]}")
def test_the_operator_has_each_right_of_the_table(operator: ApiClient, rule: Rule) -> None:
    name = rule.names[0] if rule.names else ""
    for resource in rule.resources:
        for verb in rule.verbs:
            place = {"namespace": PLACES[rule.scope], "name": name}
            assert may(operator, rule.group, resource, verb, **place), verb


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: f"{rule.scope}-{rule.resources[0]}")
def test_other_verbs_on_the_same_things_are_refused(operator: ApiClient, rule: Rule) -> None:
    for resource in rule.resources:
        given = {
            verb
            for other in RULES
            if (other.scope, other.group) == (rule.scope, rule.group)
            and resource in other.resources
            for verb in other.verbs
        }
        for verb in set(VERBS) - given:
            place = {"namespace": PLACES[rule.scope], "name": LEASE_NAME}
            assert not may(operator, rule.group, resource, verb, **place), verb


@pytest.mark.parametrize(("group", "resource", "verb", "namespace"), OUTSIDE)
def test_what_the_table_does_not_say_is_refused(
    operator: ApiClient, group: str, resource: str, verb: str, namespace: str
) -> None:
    assert not may(operator, group, resource, verb, namespace=namespace)


def test_another_lease_is_refused(operator: ApiClient) -> None:
    place = {"namespace": SYSTEM_NAMESPACE, "name": "another"}

    assert not may(operator, "coordination.k8s.io", "leases", "update", **place)


@pytest.fixture
def node(admin: ApiClient, request: pytest.FixtureRequest) -> str:
    """A node with a label, an annotation and a taint of others; returns its path."""
    name = f"node-{abs(hash(request.node.name)) % 10**8}"
    body = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "labels": {"kubernetes.io/hostname": name, "compute.stackroles.io/pool": "a"},
            "annotations": {"theirs": "1"},
        },
    }
    admin.create("/api/v1/nodes", body).must()
    return f"/api/v1/nodes/{name}"


@pytest.mark.parametrize(
    "labels",
    [
        {"compute.stackroles.io/pool": "b"},
        {"compute.stackroles.io/pool": None},
        {"compute.stackroles.io/new": "x"},
    ],
)
def test_the_operator_changes_its_own_node_labels(
    admin: ApiClient, operator: ApiClient, node: str, labels: dict[str, Any]
) -> None:
    before = admin.get(node).must()["metadata"]["labels"]

    operator.merge(node, {"metadata": {"labels": labels}}).must()

    wanted = {k: v for k, v in {**before, **labels}.items() if v is not None}
    assert admin.get(node).must()["metadata"]["labels"] == wanted


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({"metadata": {"labels": {"kubernetes.io/hostname": "x"}}}, "under compute.stackroles.io/"),
        (
            {"metadata": {"labels": {"kubernetes.io/hostname": None}}},
            "under compute.stackroles.io/",
        ),
        ({"metadata": {"labels": {"stackroles.io/x": "y"}}}, "under compute.stackroles.io/"),
        ({"metadata": {"labels": {"compute.stackroles.io.evil/x": "y"}}}, "under compute"),
        ({"metadata": {"labels": None}}, "under compute.stackroles.io/"),
        ({"metadata": {"annotations": {"theirs": "2"}}}, "nothing of a node but its labels"),
        ({"metadata": {"annotations": {"ours": "2"}}}, "nothing of a node but its labels"),
        ({"metadata": {"annotations": None}}, "nothing of a node but its labels"),
        ({"metadata": {"finalizers": ["a.example/b"]}}, "nothing of a node but its labels"),
        ({"spec": {"unschedulable": True}}, "nothing of a node but its labels"),
        (
            {"spec": {"taints": [{"key": "k", "effect": "NoExecute"}]}},
            "nothing of a node but its labels",
        ),
    ],
)
def test_the_operator_changes_nothing_else_of_a_node(
    operator: ApiClient, node: str, patch: dict[str, Any], expected: str
) -> None:
    answer = operator.merge(node, patch)

    assert answer.status == 403
    assert expected in answer.message


def test_others_change_nodes_as_before(admin: ApiClient, node: str) -> None:
    patch = {"metadata": {"labels": {"theirs": "x"}}, "spec": {"unschedulable": True}}

    assert admin.merge(node, patch).must()["spec"]["unschedulable"] is True

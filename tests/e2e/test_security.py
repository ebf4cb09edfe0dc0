"""The operator has the rights it needs and no more; pods are as unprivileged as their roles say."""

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from lab.errors import LabError
from lab.install import NAMESPACE, RELEASE, SYSTEM, Site
from lab.kubectl import Kubectl, Object
from stackroles.roles import endpoint, registry
from stackroles.roles.container import Container, Security
from tests.support.cloud import INSTANCE, OWNER_NAME, Cloud

ACCOUNT = f"system:serviceaccount:{SYSTEM}:{RELEASE}"
READERS = 4
ELSEWHERE = "kube-system"
ALLOWED = (
    ("patch", "apps", "statefulsets", NAMESPACE),
    ("create", "", "secrets", NAMESPACE),
    ("patch", "", "nodes", ""),
)
REFUSED = (
    ("get", "", "secrets", ELSEWHERE),
    ("list", "", "secrets", ""),
    ("create", "apps", "deployments", ELSEWHERE),
    ("create", "", "pods", NAMESPACE),
    ("create", "", "pods/exec", NAMESPACE),
    ("delete", "", "nodes", ""),
    ("update", "", "nodes/status", ""),
    ("delete", "", "namespaces", ""),
    ("escalate", "rbac.authorization.k8s.io", "roles", NAMESPACE),
    ("bind", "rbac.authorization.k8s.io", "roles", NAMESPACE),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", ""),
    ("create", "rbac.authorization.k8s.io", "rolebindings", SYSTEM),
    ("impersonate", "", "users", ""),
    ("*", "*", "*", ""),
    ("patch", "stackroles.io", "cloudcontrollers", ELSEWHERE),
)


def may(
    kubectl: Kubectl, verb: str, group: str, resource: str, namespace: str, *, account: str = ""
) -> bool:
    """Return whether an account may do something, by the API server's own answer.

    Args:
        kubectl: of the cluster.
        verb: what is done.
        group: API group.
        resource: plural name, with a subresource after a slash.
        namespace: where.
        account: one of the namespace of clouds; the operator's own by default.
    """
    kind, _, part = resource.partition("/")
    attributes = {"verb": verb, "group": group, "resource": kind, "namespace": namespace}
    home = NAMESPACE if account else SYSTEM
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": f"system:serviceaccount:{home}:{account}" if account else ACCOUNT,
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{home}"],
            "resourceAttributes": attributes | ({"subresource": part} if part else {}),
        },
    }
    answer = kubectl.run("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


@pytest.mark.parametrize("right", ALLOWED, ids=" ".join)
def test_the_operator_may(kubectl: Kubectl, right: tuple[str, str, str, str]) -> None:
    assert may(kubectl, *right)


@pytest.mark.parametrize("right", REFUSED, ids=" ".join)
def test_the_operator_may_not(kubectl: Kubectl, right: tuple[str, str, str, str]) -> None:
    assert not may(kubectl, *right)


def test_the_operator_cannot_give_more_than_it_has(kubectl: Kubectl) -> None:
    with pytest.raises(LabError) as refused:
        kubectl.run(
            "create", "role", "e2e-nodes", "--verb=get", "--resource=replicasets.apps",
            f"--as={ACCOUNT}",
        )  # fmt: skip
    assert "attempting to grant RBAC permissions not currently held" in refused.value.render()


def test_the_proxies_may_read_where_members_are_and_nothing_else(
    kubectl: Kubectl, cloud: Cloud
) -> None:
    account = f"{cloud.name}-endpoint"
    slices = ("discovery.k8s.io", "endpointslices")

    for verb in ("get", "list", "watch"):
        assert may(kubectl, verb, *slices, NAMESPACE, account=account)
    for verb, group, resource, namespace in (
        ("update", *slices, NAMESPACE),
        ("list", *slices, ELSEWHERE),
        ("get", "", "secrets", NAMESPACE),
        ("get", "coordination.k8s.io", "leases", NAMESPACE),
    ):
        assert not may(kubectl, verb, group, resource, namespace, account=account)


def test_the_operator_runs_under_the_charts_account_and_restricted(
    site: Site, system: Kubectl
) -> None:
    pods = system.items("pods", f"app.kubernetes.io/name={RELEASE}")
    assert len(pods) >= 2
    for pod in pods:
        spec = pod["spec"]
        assert spec["serviceAccountName"] == RELEASE
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        for container in spec["containers"]:
            check_unprivileged(container["securityContext"])
            assert container["securityContext"]["readOnlyRootFilesystem"] is True


def test_no_binding_gives_the_operator_more_than_its_own_roles(kubectl: Kubectl) -> None:
    bindings = [*kubectl.items("clusterrolebindings"), *every(kubectl, "rolebindings")]
    mine = [
        binding["roleRef"]["name"]
        for binding in bindings
        for subject in binding.get("subjects", [])
        if subject.get("namespace") == SYSTEM and subject["name"] == RELEASE
    ]
    assert mine
    assert all(name.startswith(RELEASE) for name in mine), mine


def every(kubectl: Kubectl, kind: str) -> list[Object]:
    """Return the objects of a kind in all namespaces."""
    found: list[Object] = json.loads(kubectl.run("get", kind, "-A", "-o", "json"))["items"]
    return found


def check_unprivileged(context: Object) -> None:
    """Assert what Kubernetes' restricted profile asks of a container."""
    assert context["allowPrivilegeEscalation"] is False
    assert context["capabilities"]["drop"] == ["ALL"]
    assert not context["capabilities"].get("add")
    assert not context.get("privileged")


def declared() -> dict[tuple[str, str], Container]:
    """Return role and container -> what the project says of it."""
    roles = registry.ROLES
    return {
        (role.name, container.name): container
        for role in roles
        for container in (*role.init, *role.containers)
    }


def test_every_pod_is_as_unprivileged_as_its_role_says(kubectl: Kubectl, cloud: Cloud) -> None:
    containers = declared()
    seen = set()
    for pod in role_pods(kubectl, cloud):
        role = pod["metadata"]["labels"]["app.kubernetes.io/name"]
        # The proxies alone; members that take turns too, of which there are none here.
        assert pod["spec"]["automountServiceAccountToken"] is (role == endpoint.NAME)
        for container in (*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]):
            security = containers[role, container["name"]].security
            check_container(container["securityContext"], security)
            seen.add(role)
    assert {role.name for role in registry.CONTROLLER_ROLES} <= seen


def check_container(context: Object, security: Security) -> None:
    """Assert that a container has what its role declares, and a reason for what is much."""
    assert context["runAsUser"] == security.user
    assert bool(context.get("privileged")) == security.privileged
    assert set(context.get("capabilities", {}).get("add", [])) == set(security.capabilities)
    if security.user == 0 or security.privileged or security.capabilities:
        assert security.because, "root or privileged without a reason"
    else:
        assert context["runAsNonRoot"] is True
        check_unprivileged(context)
    assert bool(context.get("readOnlyRootFilesystem")) != security.writable_root


def test_processes_run_as_the_users_their_roles_say(cloud: Cloud) -> None:
    pods = {pod["metadata"]["labels"]["app.kubernetes.io/name"]: pod for pod in cloud.pods()}

    def user_of(role: str) -> int:
        name = pods[role]["metadata"]["name"]
        status = cloud.exec(name, "cat", "/proc/1/status")
        line = next(line for line in status.splitlines() if line.startswith("Uid:"))
        return int(line.split()[2])

    with ThreadPoolExecutor(max_workers=READERS) as pool:
        users = dict(zip(pods, pool.map(user_of, pods), strict=True))
    expected = {role.name: role.containers[0].security.user for role in registry.CONTROLLER_ROLES}
    assert users == expected
    assert 0 not in users.values()


def role_pods(kubectl: Kubectl, cloud: Cloud) -> list[Object]:
    """Return the pods of all roles, controller and compute."""
    selector = f"app.kubernetes.io/part-of={cloud.name},app.kubernetes.io/managed-by=stackroles"
    found = kubectl.items("pods", f"{selector},app.kubernetes.io/name!=step")
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")]


def test_what_has_no_owner_carries_no_label_that_other_tools_act_on(
    kubectl: Kubectl, cloud: Cloud
) -> None:
    """An Argo CD Application of the cloud's name that tracks by label prunes what does."""
    kinds = ("secrets", "configmaps", "persistentvolumeclaims", "backups.stackroles.io")
    found = {
        item["metadata"]["name"]: item["metadata"]["labels"]
        for kind in kinds
        for item in kubectl.items(kind, "app.kubernetes.io/managed-by=stackroles")
        if not item["metadata"].get("ownerReferences")
    }
    assert len([labels for labels in found.values() if labels.get(OWNER_NAME) == cloud.name]) > 20
    assert {name for name, labels in found.items() if INSTANCE in labels} == set()

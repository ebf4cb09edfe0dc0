"""What holds for every manifest of a cloud, whatever its roles are."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from stackroles.constants import (
    LABEL_BUDGET,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
)
from stackroles.roles import registry
from stackroles.roles.container import Container
from stackroles.roles.definition import OpenStackService, RoleDefinition, Step
from stackroles.workloads.manifests.children import build_role, build_roles, build_step, unique
from stackroles.workloads.manifests.secret import build_secret
from tests.support.clouds import cloud

Object = dict[str, Any]
ROLES = registry.CONTROLLER_ROLES
STEPS = [(s, step) for s in registry.SERVICES for step in s.steps if step.tasks]
WORKLOADS = ("StatefulSet", "Deployment", "DaemonSet")


def manifests() -> list[Object]:
    declared = cloud()
    made = build_roles(declared, ROLES)
    for service, step in STEPS:
        made += build_step(declared, service, step)
    return unique(made)


ALL = manifests()


def named(items: list[Object]) -> list[Any]:
    return [pytest.param(item, id=f"{item['kind']}-{item['metadata']['name']}") for item in items]


def of_kind(*kinds: str) -> list[Any]:
    return named([item for item in ALL if item["kind"] in kinds])


SHARING = {
    item["metadata"]["name"]
    for item in ALL
    if item["kind"] in WORKLOADS and LABEL_BUDGET in item["spec"]["template"]["metadata"]["labels"]
}
BEHIND_ENDPOINT = {f"demo-{role.name}" for role in ROLES if role.endpoint}
ACCOUNTS = {item["metadata"]["name"] for item in ALL if item["kind"] == "ServiceAccount"}


def pod_spec(workload: Object) -> Object:
    spec: Object = workload["spec"]["template"]["spec"]
    return spec


def containers(workload: Object) -> Iterator[Object]:
    spec = pod_spec(workload)
    yield from spec.get("initContainers", [])
    yield from spec["containers"]


def declared_containers() -> list[Any]:
    return [
        pytest.param(role, container, id=f"{role.name}-{container.name}")
        for role in ROLES
        for container in role.containers
    ]


@pytest.mark.parametrize("manifest", named(ALL))
def test_child_has_labels_and_one_controlling_owner(manifest: Object) -> None:
    labels = manifest["metadata"]["labels"]
    assert {LABEL_NAME, LABEL_INSTANCE, LABEL_MANAGED_BY, LABEL_OWNER_KIND} <= labels.keys()
    [owner] = manifest["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["uid"], owner["controller"]) == (
        "CloudController",
        "uid-demo",
        True,
    )


@pytest.mark.parametrize("workload", of_kind("StatefulSet"))
def test_a_claim_carries_no_label_that_other_tools_act_on(workload: Object) -> None:
    for claim in workload["spec"].get("volumeClaimTemplates", []):
        labels = claim["metadata"]["labels"]
        assert LABEL_INSTANCE not in labels
        assert labels[LABEL_OWNER_NAME] == "demo"
        assert {LABEL_NAME, LABEL_MANAGED_BY, LABEL_OWNER_KIND} <= labels.keys()


def test_what_has_no_owner_carries_no_label_that_other_tools_act_on() -> None:
    secret = build_secret(cloud(), "demo-admin", "admin", {"password": "x"})

    assert secret["metadata"]["ownerReferences"] == []
    assert LABEL_INSTANCE not in secret["metadata"]["labels"]
    assert secret["metadata"]["labels"][LABEL_OWNER_NAME] == "demo"


@pytest.mark.parametrize("manifest", named(ALL))
def test_names_fit_what_their_kind_allows(manifest: Object) -> None:
    limit = 52 if manifest["kind"] in (*WORKLOADS, "Service") else 63
    assert len(manifest["metadata"]["name"]) <= limit


def test_names_are_unique_by_kind() -> None:
    names = [(item["kind"], item["metadata"]["name"]) for item in ALL]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS, "Job"))
def test_every_container_has_requests_and_a_memory_limit(workload: Object) -> None:
    for container in containers(workload):
        resources = container["resources"]
        assert {"cpu", "memory"} <= resources["requests"].keys()
        assert "memory" in resources["limits"]


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS, "Job"))
def test_pods_carry_no_api_token_and_no_service_environment(workload: Object) -> None:
    spec = pod_spec(workload)
    allowed = workload["metadata"]["name"] in ACCOUNTS
    assert spec["automountServiceAccountToken"] is allowed
    assert (spec.get("serviceAccountName", "default") != "default") is allowed
    assert spec["enableServiceLinks"] is False


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS, "Job"))
def test_control_plane_pods_are_restricted(workload: Object) -> None:
    assert pod_spec(workload)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(workload):
        context = container["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] > 0
        assert context["allowPrivilegeEscalation"] is False
        assert context["capabilities"]["drop"] == ["ALL"]


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS, "Job"))
def test_a_container_that_ends_leaves_a_termination_message(workload: Object) -> None:
    for container in containers(workload):
        assert container["terminationMessagePolicy"] == "FallbackToLogsOnError"


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS))
def test_kubelet_checks_every_container(workload: Object) -> None:
    for container in pod_spec(workload)["containers"]:
        assert {"startupProbe", "readinessProbe"} <= container.keys()


@pytest.mark.parametrize(("role", "container"), declared_containers())
def test_role_says_why_nobody_restarts_a_container(
    role: RoleDefinition, container: Container
) -> None:
    assert bool(container.liveness) != bool(container.no_liveness_because)


@pytest.mark.parametrize(("role", "container"), declared_containers())
def test_root_and_privilege_have_a_reason(role: RoleDefinition, container: Container) -> None:
    security = container.security
    if security.user == 0 or security.privileged or security.capabilities:
        assert security.because


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_one_member_by_default_needs_a_reason(role: RoleDefinition) -> None:
    assert role.replicas > 1 or role.single_because
    assert role.replicas % 2 == 1 or not role.quorum


@pytest.mark.parametrize("workload", of_kind("StatefulSet", "Deployment"))
def test_members_are_spread_over_nodes(workload: Object) -> None:
    [constraint] = pod_spec(workload)["topologySpreadConstraints"]
    role = registry.role(workload["metadata"]["labels"][LABEL_NAME])
    assert constraint["topologyKey"] == "kubernetes.io/hostname"
    assert constraint["maxSkew"] == 1
    assert (constraint["whenUnsatisfiable"] == "DoNotSchedule") is role.quorum


@pytest.mark.parametrize("budget", of_kind("PodDisruptionBudget"))
def test_budget_selects_its_role_and_no_job(budget: Object) -> None:
    wanted = budget["spec"]["selector"]["matchLabels"].items()
    selected = {
        item["metadata"]["name"]
        for item in ALL
        if item["kind"] in (*WORKLOADS, "Job")
        and wanted <= item["spec"]["template"]["metadata"]["labels"].items()
    }
    name = budget["metadata"]["name"]
    assert selected == (SHARING if name == "demo-services" else {name})
    assert name == "demo-services" or not selected & SHARING


def test_services_without_volumes_share_a_budget() -> None:
    assert {
        *("demo-keystone", "demo-placement", "demo-neutron-api", "demo-neutron-periodic"),
        *("demo-neutron-maintenance", "demo-nova-api", "demo-nova-metadata", "demo-nova-conductor"),
        *("demo-nova-scheduler", "demo-nova-novncproxy", "demo-nova-rpc-monitor"),
    } == SHARING


@pytest.mark.parametrize("budget", of_kind("PodDisruptionBudget"))
def test_a_member_that_is_not_ready_is_evicted_unless_its_role_says_why_not(budget: Object) -> None:
    kept = budget["spec"]["unhealthyPodEvictionPolicy"] == "IfHealthyBudget"
    name = budget["metadata"]["labels"][LABEL_NAME]
    assert kept is (name in {role.name for role in ROLES if role.keep_unready_because})
    assert kept is (name == "mariadb")


@pytest.mark.parametrize("service", of_kind("Service"))
def test_service_selects_its_role_and_no_job(service: Object) -> None:
    wanted = service["spec"]["selector"].items()
    selected = {
        item["metadata"]["name"]
        for item in ALL
        if item["kind"] in (*WORKLOADS, "Job")
        and wanted <= item["spec"]["template"]["metadata"]["labels"].items()
    }
    name = service["metadata"]["name"]
    if name in BEHIND_ENDPOINT:
        assert selected == {"demo-endpoint"}
    else:
        assert selected == {name.removesuffix("-members")}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_every_role_has_a_budget_and_a_workload(role: RoleDefinition) -> None:
    kinds = [child["kind"] for child in build_role(cloud(), role)]
    assert kinds.count("PodDisruptionBudget") == 1
    assert kinds[-1] == role.workload


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS, "Job"))
def test_what_a_pod_mounts_is_among_its_volumes_and_the_children(workload: Object) -> None:
    spec = pod_spec(workload)
    volumes = {volume["name"] for volume in spec.get("volumes", [])}
    claims = workload["spec"].get("volumeClaimTemplates", [])
    volumes |= {claim["metadata"]["name"] for claim in claims}
    maps = {item["metadata"]["name"]: item for item in ALL if item["kind"] == "ConfigMap"}
    for container in containers(workload):
        mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
        assert mounted <= volumes
    for volume in spec.get("volumes", []):
        if "configMap" in volume:
            assert volume["configMap"]["name"] in maps


@pytest.mark.parametrize("config", of_kind("ConfigMap"))
def test_configuration_is_immutable(config: Object) -> None:
    assert config["immutable"] is True


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
def test_building_twice_gives_the_same_and_changes_nothing(role: RoleDefinition) -> None:
    declared = cloud()
    before = copy.deepcopy(declared.spec)
    first = build_role(declared, role)
    kept = copy.deepcopy(first)
    second = build_role(declared, role)
    assert first == second == kept
    assert declared.spec == before


@pytest.mark.parametrize(("service", "step"), STEPS, ids=lambda item: item.name)
def test_building_a_step_twice_gives_the_same(service: OpenStackService, step: Step) -> None:
    assert build_step(cloud(), service, step) == build_step(cloud(), service, step)


@pytest.mark.parametrize("manifest", named(ALL))
def test_no_part_of_a_manifest_is_shared(manifest: Object) -> None:
    assert "&id" not in yaml.safe_dump(manifest)


@pytest.mark.parametrize("job", of_kind("Job"))
def test_step_ends_by_itself(job: Object) -> None:
    assert pod_spec(job)["restartPolicy"] == "Never"
    # The Job's own would take the pod away, and with it the log that says where it hung.
    assert "activeDeadlineSeconds" not in job["spec"]
    assert pod_spec(job)["activeDeadlineSeconds"] > 0
    assert job["spec"]["backoffLimit"] > 0
    assert "ttlSecondsAfterFinished" not in job["spec"]

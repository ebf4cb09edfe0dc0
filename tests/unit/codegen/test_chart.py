"""What the chart renders to, by its settings."""

import json
import re
import subprocess
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from stackroles import constants
from stackroles.api.v1alpha1.registry import RESOURCES
from stackroles.codegen.bundle import HelmError, install_manifest
from stackroles.kube.kinds import ObjectRef
from stackroles.runtime.metrics import Metrics
from stackroles.settings import from_environment
from tests.support.binaries import ROOT, binary
from tests.unit.codegen.conftest import Render

Objects = list[dict[str, Any]]


def of_kind(objects: Objects, kind: str) -> Objects:
    return [item for item in objects if item["kind"] == kind]


def names(objects: Objects, kind: str) -> list[str]:
    return sorted(item["metadata"]["name"] for item in of_kind(objects, kind))


def environment(objects: Objects) -> dict[str, str]:
    (deployment,) = of_kind(objects, "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return {item["name"]: item["value"] for item in container["env"] if "value" in item}


def operators_cluster_roles(objects: Objects) -> Objects:
    """Return the ClusterRoles that are the operator's own, without those for people."""
    roles = of_kind(objects, "ClusterRole")
    return [role for role in roles if not aggregated(role)]


def aggregated(role: dict[str, Any]) -> set[str]:
    """Return the roles of Kubernetes' that a ClusterRole adds to."""
    prefix = "rbac.authorization.k8s.io/aggregate-to-"
    labels = role["metadata"]["labels"]
    return {name.removeprefix(prefix) for name in labels if name.startswith(prefix)}


def resources_of(role: dict[str, Any]) -> set[str]:
    return {resource for rule in role["rules"] for resource in rule["resources"]}


def test_secrets_are_readable_in_watched_namespaces_only(render: Render) -> None:
    objects = render('watchNamespaces=["one","two"]')

    assert all("secrets" not in resources_of(role) for role in of_kind(objects, "ClusterRole"))
    with_secrets = [r for r in of_kind(objects, "Role") if "secrets" in resources_of(r)]
    assert [role["metadata"]["namespace"] for role in with_secrets] == ["one", "two"]
    assert all(resources_of(role) == {"secrets"} for role in with_secrets)


def test_rights_without_namespace_are_nodes_and_storage_classes(render: Render) -> None:
    roles = operators_cluster_roles(render())

    assert {r["metadata"]["name"]: resources_of(r) for r in roles} == {
        "stackroles-nodes": {"nodes"},
        "stackroles-cluster": {"storageclasses"},
    }


def test_cluster_wide_mode_binds_the_same_rules_everywhere(render: Render) -> None:
    narrow, wide = render(), render("watchNamespaces=[]")

    assert names(operators_cluster_roles(wide), "ClusterRole") == [
        "stackroles-cluster",
        "stackroles-nodes",
        "stackroles-secrets",
        "stackroles-workloads",
    ]
    rules = {
        role["metadata"]["name"]: role["rules"]
        for objects in (narrow, wide)
        for role in (*of_kind(objects, "Role"), *of_kind(objects, "ClusterRole"))
    }
    for role in (*of_kind(narrow, "Role"), *operators_cluster_roles(wide)):
        assert rules[role["metadata"]["name"]] == role["rules"]
    assert environment(wide)["STACKROLES_WATCH_NAMESPACES"] == ""
    assert of_kind(wide, "Namespace") == []


def test_every_binding_is_to_the_operator_and_a_role_that_exists(render: Render) -> None:
    objects = render()
    assert names(objects, "RoleBinding") == names(objects, "Role")
    own = names(operators_cluster_roles(objects), "ClusterRole")
    assert names(objects, "ClusterRoleBinding") == own
    for binding in (*of_kind(objects, "RoleBinding"), *of_kind(objects, "ClusterRoleBinding")):
        if "helm.sh/hook" in binding["metadata"].get("annotations", {}):
            continue
        assert binding["subjects"] == [
            {"kind": "ServiceAccount", "name": "stackroles", "namespace": "stackroles-system"}
        ]


def test_people_with_kubernetes_own_roles_may_read_or_change_all_kinds(render: Render) -> None:
    roles = [role for role in of_kind(render(), "ClusterRole") if aggregated(role)]
    assert {role["metadata"]["name"]: aggregated(role) for role in roles} == {
        "stackroles-view": {"view"},
        "stackroles-edit": {"edit", "admin"},
    }
    for role in roles:
        assert resources_of(role) == {definition.plural for definition in RESOURCES}
        assert {group for rule in role["rules"] for group in rule["apiGroups"]} == {
            constants.API_GROUP
        }
    (view,) = (role for role in roles if aggregated(role) == {"view"})
    assert [rule["verbs"] for rule in view["rules"]] == [["get", "list", "watch"]]


def test_without_node_rights_nothing_of_nodes_is_installed(render: Render) -> None:
    objects = render("nodeRights=false")

    assert names(operators_cluster_roles(objects), "ClusterRole") == ["stackroles-cluster"]
    assert of_kind(objects, "ValidatingAdmissionPolicy") == []
    assert environment(objects)["STACKROLES_NODE_RIGHTS"] == "false"


def test_the_node_policy_knows_the_operators_label_and_account(render: Render) -> None:
    (policy,) = of_kind(render(), "ValidatingAdmissionPolicy")
    prefix = constants.LABEL_POOL.rpartition("/")[0] + "/"
    text = json.dumps(policy["spec"])

    assert f"'{prefix}'" in text
    assert "system:serviceaccount:stackroles-system:stackroles" in text
    assert policy["spec"]["failurePolicy"] == "Fail"


def test_crds_are_kept_unless_declared_otherwise(render: Render) -> None:
    kept = of_kind(render(), "CustomResourceDefinition")
    loose = of_kind(render('crds={"keep":false}'), "CustomResourceDefinition")

    assert len(kept) == len(loose) == len(list((ROOT / "crds").glob("*.yaml")))
    assert all(
        crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"} for crd in kept
    )
    assert all("annotations" not in crd["metadata"] for crd in loose)
    assert of_kind(render('crds={"install":false}'), "CustomResourceDefinition") == []


def test_watched_namespaces_are_made_and_kept(render: Render) -> None:
    (namespace,) = of_kind(render(), "Namespace")

    assert namespace["metadata"]["name"] == "openstack"
    assert namespace["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert of_kind(render("createWatchNamespaces=false"), "Namespace") == []
    assert of_kind(render('watchNamespaces=["stackroles-system"]'), "Namespace") == []


def test_every_pod_fits_the_restricted_standard(render: Render) -> None:
    objects = render()
    pods = [d["spec"]["template"]["spec"] for d in of_kind(objects, "Deployment")]
    pods += [pod["spec"] for pod in of_kind(objects, "Pod")]

    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert container["resources"]["requests"]["cpu"]


def test_two_replicas_with_a_budget_that_selects_only_them(render: Render) -> None:
    objects = render()
    (deployment,) = of_kind(objects, "Deployment")
    (budget,) = of_kind(objects, "PodDisruptionBudget")
    (service,) = of_kind(objects, "Service")
    (test_pod,) = of_kind(objects, "Pod")
    selector = deployment["spec"]["selector"]["matchLabels"]

    assert deployment["spec"]["replicas"] == 2
    assert budget["spec"]["selector"]["matchLabels"] == selector
    assert service["spec"]["selector"] == selector
    assert selector.items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    assert not selector.items() <= test_pod["metadata"]["labels"].items()


def test_the_environment_is_what_the_operator_reads(render: Render) -> None:
    objects = render(
        'watchNamespaces=["one","two"]',
        'roleImages={"registry":"images.example/cloud","tag":"7","tags":{"nova":"8"}}',
        'logLevel="debug"',
    )
    settings = from_environment(environment(objects))

    assert settings.namespaces == ("one", "two")
    assert settings.image_registry == "images.example/cloud"
    assert settings.image_tags == {"default": "7", "nova": "8"}
    assert settings.log_level == "debug"
    assert settings.node_rights


def test_role_images_come_from_where_the_operator_comes_from(render: Render) -> None:
    objects = render('image={"registry":"images.example/","tag":"5"}')
    (deployment,) = of_kind(objects, "Deployment")
    settings = from_environment(environment(objects))

    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "images.example/operator:5"
    assert (settings.image_registry, settings.image_tags["default"]) == ("images.example", "5")


def test_probes_ask_for_health_on_the_named_port(render: Render) -> None:
    (deployment,) = of_kind(render(), "Deployment")
    (container,) = deployment["spec"]["template"]["spec"]["containers"]

    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert container["livenessProbe"]["httpGet"] == {"path": "/healthz", "port": "http"}
    assert container["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}


def test_the_network_policy_reaches_watched_namespaces_only(render: Render) -> None:
    (policy,) = of_kind(render('watchNamespaces=["one"]'), "NetworkPolicy")
    to = [rule["to"] for rule in policy["spec"]["egress"] if "to" in rule]

    assert to == [
        [
            {
                "namespaceSelector": {
                    "matchExpressions": [
                        {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["one"]}
                    ]
                }
            }
        ]
    ]
    assert of_kind(render('networkPolicy={"enabled":false}'), "NetworkPolicy") == []


def test_alerts_speak_of_metrics_that_the_operator_has(render: Render) -> None:
    objects = render(
        'metrics={"prometheusRule":{"enabled":true},"serviceMonitor":{"enabled":true}}'
    )
    (rule,) = of_kind(objects, "PrometheusRule")
    alerts = [alert for group in rule["spec"]["groups"] for alert in group["rules"]]
    asked = {name for alert in alerts for name in re.findall(r"([a-z_]{9,})\{", alert["expr"])}

    assert len(asked) >= 7
    assert asked <= served_metrics()
    assert all(alert["annotations"]["summary"] and alert["for"] for alert in alerts)
    assert len(of_kind(objects, "ServiceMonitor")) == 1


def served_metrics() -> set[str]:
    """Return the names of all samples that the operator's own registry renders."""
    metrics = Metrics()
    metrics.reconciled("CloudController", "success", 0.1)
    metrics.requested("GET", 200)
    metrics.leads("lease", leading=True)
    metrics.follow(_Nothing(), _Nothing(), dict, dict)  # type: ignore[arg-type]
    families = list(text_string_to_metric_families(metrics.render().decode()))
    return {sample.name for family in families for sample in family.samples} | {
        family.name for family in families
    }


class _Nothing:
    """A queue and a cache in which nothing is."""

    adds = 0
    retries = 0

    def depth(self) -> int:
        return 0

    def longest_wait(self) -> float:
        return 0.0

    def longest_run(self) -> float:
        return 0.0

    def active(self) -> list[tuple[ObjectRef, float]]:
        return []

    def count(self) -> dict[str, int]:
        return {}

    def list(self, kind: str) -> list[dict[str, Any]]:
        return []


@pytest.mark.parametrize(
    "setting",
    [
        'watchNamespace=["openstack"]',
        'watchNamespaces=["Not A Name"]',
        "replicas=-1",
        'image={"tag":"not a tag"}',
        'crds={"instal":true}',
        'logLevel="loud"',
    ],
)
def test_settings_of_the_wrong_shape_are_refused(render: Render, setting: str) -> None:
    with pytest.raises(HelmError, match="schema"):
        render(setting)


def test_the_chart_passes_helm_lint(render: Render) -> None:
    command = [str(binary("helm")), "lint", "--strict", "--kube-version", "1.34.0"]
    result = subprocess.run(
        [*command, str(ROOT / "charts/stackroles")], capture_output=True, text=True, check=False
    )

    assert result.returncode == 0, result.stdout + result.stderr


def test_the_plain_manifest_has_no_trace_of_helm(render: Render) -> None:
    text = install_manifest(render())

    assert "helm" not in text.lower()
    assert text.startswith(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: stackroles-system\n"
    )

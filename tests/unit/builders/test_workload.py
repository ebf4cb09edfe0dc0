from typing import Any

from stackroles.builders.cloud_controller import build_role, build_roles, build_step
from stackroles.constants import ANNOTATION_CONFIG_HASH
from stackroles.roles import registry
from tests.support.clouds import cloud

Object = dict[str, Any]


def child(role: str, kind: str, **spec: Any) -> Object:
    children = build_role(cloud(**spec), registry.role(role))
    return next(item for item in children if item["kind"] == kind)


def hashes(**spec: Any) -> dict[str, str]:
    """Return the configuration hash of each role's pods."""
    made = build_roles(cloud(**spec), registry.CONTROLLER_ROLES)
    return {
        item["metadata"]["name"]: item["spec"]["template"]["metadata"]["annotations"][
            ANNOTATION_CONFIG_HASH
        ]
        for item in made
        if "template" in item.get("spec", {})
    }


def test_changed_option_of_a_role_rolls_that_role_only() -> None:
    before, after = hashes(), hashes(config={"nova-scheduler": {"scheduler": {"workers": 3}}})
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"demo-nova-scheduler"}


def test_changed_option_of_a_service_rolls_its_roles_only() -> None:
    before, after = hashes(), hashes(config={"glance": {"DEFAULT": {"debug": "true"}}})
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"demo-glance"}


def test_deployment_takes_no_pod_away_before_its_successor_is_ready() -> None:
    rolling = child("keystone", "Deployment")["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxUnavailable": 0, "maxSurge": 1}


def test_volumes_outlive_their_stateful_set_whatever_the_policy_says() -> None:
    def when_deleted(**spec: Any) -> str:
        made = child("mariadb", "StatefulSet", **spec)
        return str(made["spec"]["persistentVolumeClaimRetentionPolicy"]["whenDeleted"])

    assert when_deleted() == "Retain"
    assert when_deleted(deletionPolicy="Delete") == "Retain"


def test_role_storage_class_wins_over_the_clouds() -> None:
    said = {
        "storageClassName": "slow",
        "roles": {"mariadb": {"storage": {"storageClassName": "fast", "size": "3Gi"}}},
    }
    [claim] = child("mariadb", "StatefulSet", **said)["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"] == {"requests": {"storage": "3Gi"}}
    [claim] = child("rabbitmq", "StatefulSet", **said)["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "slow"


def test_placement_resources_and_image_of_a_role_reach_its_pods() -> None:
    spec = {
        "roles": {
            "keystone": {
                "image": "example.org/keystone:9",
                "placement": {
                    "nodeSelector": {"disk": "fast"},
                    "tolerations": [{"key": "openstack", "operator": "Exists"}],
                },
                "resources": {"limits": {"memory": "2Gi"}},
            }
        }
    }
    pod = child("keystone", "Deployment", **spec)["spec"]["template"]["spec"]
    assert pod["nodeSelector"] == {"disk": "fast"}
    assert pod["tolerations"] == [{"key": "openstack", "operator": "Exists"}]
    assert pod["containers"][0]["image"] == "example.org/keystone:9"
    assert pod["containers"][0]["resources"]["limits"]["memory"] == "2Gi"
    assert "cpu" in pod["containers"][0]["resources"]["requests"]


def test_headless_service_publishes_members_that_are_not_ready() -> None:
    spec = child("mariadb", "Service")["spec"]
    assert spec["clusterIP"] == "None"
    assert spec["publishNotReadyAddresses"] is True


def test_job_is_named_by_what_it_would_do() -> None:
    service = registry.service("keystone")
    step = service.steps[0]

    def name(**spec: Any) -> str:
        return str(build_step(cloud(**spec), service, step)[-1]["metadata"]["name"])

    assert name() == name(roles={"glance": {"clustering": {"replicas": 1}}})
    assert name() != name(images={"tag": "2"})

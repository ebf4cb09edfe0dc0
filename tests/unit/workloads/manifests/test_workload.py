from collections import defaultdict
from dataclasses import replace
from typing import Any

import pytest

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.common import Resources
from stackroles.api.v1alpha1.compute import ComputePoolSpec
from stackroles.config.cloud import Cloud
from stackroles.config.pool import Pool
from stackroles.constants import ANNOTATION_CONFIG_HASH
from stackroles.domains.backup.build import COMPONENT, build_cron_job, schedule_trigger
from stackroles.domains.backup.build_job import Run, build_backup_job, build_inputs
from stackroles.domains.backup.build_removal import build_removal
from stackroles.domains.compute.build_probe import build_probe_job
from stackroles.errors import SpecInvalid
from stackroles.roles import registry
from stackroles.roles.container import ResourceDefaults
from stackroles.workloads.manifests.children import build_role, build_roles, build_step
from stackroles.workloads.manifests.container import build_resources
from stackroles.workloads.recovery_set.pod import RunParent
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
    declared = {
        "storageClassName": "slow",
        "roles": {"mariadb": {"storage": {"storageClassName": "fast", "size": "3Gi"}}},
    }
    [claim] = child("mariadb", "StatefulSet", **declared)["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["storageClassName"] == "fast"
    assert claim["spec"]["resources"] == {"requests": {"storage": "3Gi"}}
    [claim] = child("rabbitmq", "StatefulSet", **declared)["spec"]["volumeClaimTemplates"]
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


def test_a_step_runs_the_image_of_its_services_role() -> None:
    def images(**roles: Any) -> set[str]:
        declared = cloud(roles={name: {"image": image} for name, image in roles.items()})
        pods = [
            build_step(declared, service, step)[-1]["spec"]["template"]["spec"]
            for service in registry.SERVICES
            for step in service.steps
            if step.tasks
        ]
        return {
            container["image"]
            for pod in pods
            for container in (*pod.get("initContainers", ()), *pod["containers"])
        }

    default = images()
    assert not {image for image in default if image.startswith("example.org")}
    for name in ("keystone", "glance", "placement", "mariadb", "nova-conductor", "neutron-api"):
        assert f"example.org/{name}:9" in images(**{name: f"example.org/{name}:9"})
    both = images(**{"nova-api": "example.org/a:9", "nova-conductor": "example.org/b:9"})
    assert len(both & {"example.org/a:9", "example.org/b:9"}) == 1


@pytest.mark.parametrize(
    ("declared", "requests", "limits"),
    [
        ({"limits": {"memory": "32Mi"}}, "32Mi", "32Mi"),
        ({"limits": {"memory": "2Gi"}}, "64Mi", "2Gi"),
        ({"requests": {"memory": "1Gi"}}, "1Gi", "1Gi"),
        ({"requests": {"memory": "1Gi"}, "limits": {"memory": "2Gi"}}, "1Gi", "2Gi"),
    ],
)
def test_of_request_and_limit_the_one_that_was_not_declared_gives_way(
    declared: dict[str, Any], requests: str, limits: str
) -> None:
    built = build_resources(ResourceDefaults(), Resources.model_validate(declared))
    assert built["requests"]["memory"] == requests
    assert built["limits"]["memory"] == limits


def test_a_limit_of_the_processor_is_no_less_than_its_request() -> None:
    declared = Resources.model_validate({"limits": {"cpu": "5m"}})
    built = build_resources(ResourceDefaults(), declared)
    assert (built["requests"]["cpu"], built["limits"]["cpu"]) == ("5m", "5m")


QUOTA = {"limits": {"cpu": "2"}}


def pool_of(declared: Cloud, **spec: Any) -> Pool:
    fields = {"controller": "demo", "nodeSelector": {"a": "b"}, **spec}
    parsed = ComputePoolSpec.model_validate(fields)
    return Pool(name="pool", namespace="ns", uid="u", spec=parsed, cloud=declared)


def steps_of(declared: Cloud) -> list[Object]:
    return [
        build_step(declared, service, step)[-1]
        for service in registry.SERVICES
        for step in service.steps
        if step.tasks
    ]


def backup_jobs(declared: Cloud) -> list[Object]:
    """Return the Jobs of a run, of the removal of its set, and of the schedule."""
    policy = BackupPolicySpec.model_validate(
        {
            "controller": "demo",
            "schedule": "0 3 * * *",
            "repository": {"volume": {"size": "1Gi"}},
            "encryptionSecret": "key",
        }
    )
    parent = RunParent(
        owner_kind="Backup",
        name="b",
        uid="u",
        namespace="ns",
        cloud_name=declared.name,
        component=COMPONENT,
    )
    run = Run(policy=policy, policy_name="p", source="http://m:1/backup", secrets=())
    sources = replace(declared, agents=defaultdict(str))
    mark = build_cron_job(declared, parent, policy, schedule_trigger(parent, policy))
    return [
        build_backup_job(sources, parent, run, build_inputs(parent, {}, sources.agents)),
        build_removal(sources, parent, "p", policy)[-1],
        mark["spec"]["jobTemplate"],
    ]


def containers_of(item: Object) -> list[Object]:
    pod = item["spec"]["template"]["spec"]
    return [*pod.get("initContainers", ()), *pod["containers"]]


def test_one_field_gives_every_container_a_limit_that_a_quota_asks_for() -> None:
    declared = cloud(defaultResources=QUOTA)
    workloads = [
        *(build_role(declared, role)[-1] for role in registry.CONTROLLER_ROLES),
        *(build_role(pool_of(declared), role)[-1] for role in registry.COMPUTE_ROLES),
        build_probe_job(pool_of(declared), "worker", "again"),
        *steps_of(declared),
        *backup_jobs(declared),
    ]

    found = [container for item in workloads for container in containers_of(item)]
    assert len(found) >= 40
    for container in found:
        assert container["resources"]["limits"].keys() == {"cpu", "memory"}, container["name"]
        assert container["resources"]["limits"]["cpu"] == "2"


def test_what_is_declared_for_a_role_wins_over_the_defaults() -> None:
    declared = {
        "resources": {"limits": {"cpu": "4"}},
        "sidecarResources": {"requests": {"cpu": "3"}},
    }
    pool = pool_of(cloud(defaultResources=QUOTA), roles={"openvswitch": declared})

    main, *others = containers_of(build_role(pool, registry.role("openvswitch"))[-1])

    assert main["resources"]["limits"]["cpu"] == "4"
    assert others
    for container in others:
        assert container["resources"]["limits"]["cpu"] == "3"
        assert container["resources"]["requests"]["cpu"] == "3"


def test_resources_of_jobs_run_no_step_again() -> None:
    declared = {"limits": {"cpu": "1"}, "requests": {"memory": "1Gi"}}
    before = steps_of(cloud())
    after = steps_of(cloud(jobResources=declared, defaultResources=QUOTA))

    assert [job["metadata"]["name"] for job in after] == [job["metadata"]["name"] for job in before]
    for job in after:
        for container in containers_of(job):
            assert container["resources"]["limits"]["cpu"] == "1"
            assert container["resources"]["requests"]["memory"] == "1Gi"


def test_a_request_above_its_own_limit_is_reported_with_its_place() -> None:
    bad = {"requests": {"memory": "2Gi"}, "limits": {"memory": "1Gi"}}
    with pytest.raises(SpecInvalid) as caught:
        cloud(roles={"keystone": {"resources": bad}})
    assert "spec.roles.keystone.resources" in caught.value.message
    assert "the request of memory, 2Gi, is above its limit of 1Gi" in caught.value.message


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

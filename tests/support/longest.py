"""Everything a cloud, a pool and backups are made of, under the longest names the CRDs allow."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from stackroles import naming
from stackroles.agents.backup.verification_protocol import Level
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.compute import ComputePoolSpec
from stackroles.api.v1alpha1.registry import RESOURCES
from stackroles.config.cloud import Cloud
from stackroles.config.pool import Pool
from stackroles.domains.backup.build import (
    COMPONENT,
    build_cron_job,
    build_repository_claim,
    schedule_trigger,
)
from stackroles.domains.backup.build_job import Run, build_backup_job, build_inputs
from stackroles.domains.backup.build_removal import build_removal
from stackroles.domains.backup.build_shipper import build_shipper
from stackroles.domains.backup.build_verification import (
    VerificationRun,
    build_verification,
    trigger,
)
from stackroles.domains.compute.reconcile_node import build_compute_node
from stackroles.roles import nova_compute, registry
from stackroles.roles.definition import OpenStackService
from stackroles.workloads.manifests.agents import agent_sources
from stackroles.workloads.manifests.children import build_roles, build_step, unique
from stackroles.workloads.manifests.secret import build_secret
from stackroles.workloads.recovery_set.pod import RunParent
from tests.support.clouds import cloud, controller

Object = dict[str, Any]
NAMESPACE = "n" * 63
NODE = ".".join(("m" * 62,) * 4)
LIMITS = {resource.kind: resource.name_limit or 253 for resource in RESOURCES}
CREATED = "2026-01-01T00:00:00Z"


def longest(kind: str) -> str:
    """Return the longest name of a kind, with all its characters in the first and last place."""
    return f"{kind[0].lower()}{'-' * (LIMITS[kind] - 2)}z"


def longest_cloud() -> Cloud:
    """Return the cloud."""
    declared = controller()
    declared["metadata"] |= {"name": longest("CloudController"), "namespace": NAMESPACE}
    return cloud(declared)


def longest_pool() -> Pool:
    """Return the pool."""
    spec = {"controller": longest("CloudController"), "nodeSelector": {"compute": "yes"}}
    return Pool(
        name=longest("ComputePool"),
        namespace=NAMESPACE,
        uid="uid-pool",
        spec=ComputePoolSpec.model_validate(spec),
        cloud=longest_cloud(),
    )


def manifests() -> list[Object]:
    """Return all manifests, each once."""
    return unique([*_of_cloud(), *_of_pool(), *_of_backups()])


def _of_cloud() -> Iterator[Object]:
    declared = longest_cloud()
    yield from build_roles(declared, registry.CONTROLLER_ROLES)
    for service in registry.SERVICES:
        yield from _of_service(declared, service)


def _of_service(declared: Cloud, service: OpenStackService) -> Iterator[Object]:
    for step in service.steps:
        if step.tasks:
            yield from build_step(declared, service, step)
    names = [naming.credentials(declared.name, service.name)]
    names += [naming.child(declared.name, service.name, ring) for ring in service.keyrings]
    for name in names:
        yield build_secret(declared, name, service.name, {"key": "value"})


def _of_pool() -> Iterator[Object]:
    pool = longest_pool()
    yield from build_roles(pool, registry.COMPUTE_ROLES)
    yield from build_step(pool, registry.service("nova"), nova_compute.discovery("0123456789"))
    yield build_compute_node(pool, NODE)


def _of_backups() -> Iterator[Object]:
    declared = longest_cloud()
    spec = BackupPolicySpec.model_validate(
        {
            "controller": declared.name,
            "schedule": "@daily",
            "encryptionSecret": "k" * 253,
            "repository": {"volume": {}},
            "verification": [{"level": level.value, "schedule": "@daily"} for level in Level],
            "pointInTime": {},
        }
    )
    named = {
        "uid": "uid-backup",
        "namespace": NAMESPACE,
        "cloud_name": declared.name,
        "component": COMPONENT,
    }
    policy = RunParent(owner_kind="BackupPolicy", name=longest("BackupPolicy"), **named)
    backup = RunParent(owner_kind="Backup", name=longest("Backup"), **named)
    claim = build_repository_claim(policy, spec)
    assert claim is not None
    yield claim
    triggers = [trigger(policy.name, item) for item in spec.verification]
    for each in (schedule_trigger(policy, spec), *triggers):
        yield build_cron_job(declared, policy, spec, each)
    for item in spec.verification:
        # The Job is named after its mark, which Kubernetes names after the CronJob.
        mark = naming.child(f"{trigger(policy.name, item).name}-{'1' * 10}", "run")
        verified = VerificationRun(
            name=mark,
            level=item.level,
            backup=backup.name,
            backup_uid="u" * 36,
            due=datetime(2026, 11, 28, 3, tzinfo=UTC),
            database_bytes=1,
        )
        yield from build_verification(declared, policy, spec, item, verified)
    shipping = spec.point_in_time
    assert shipping is not None
    yield from build_shipper(declared, policy, spec, shipping, running=True, keys="")
    run = Run(
        policy=spec,
        policy_name=policy.name,
        source="http://10.0.0.7:3380/backup",
        secrets=(naming.credentials(declared.name, "mariadb"),),
    )
    inputs = build_inputs(backup, {}, agent_sources())
    yield inputs
    yield build_backup_job(declared, backup, run, inputs)
    yield from build_removal(declared, backup, policy.name, spec)

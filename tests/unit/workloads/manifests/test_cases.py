"""Golden cases: a resource in, its children out.

`pytest tests/unit/workloads/manifests --update-cases` writes what is made now: review the diff.
Files are shown as they are, but where the case says that tests/cases/roles holds them. What follows
from content alone is replaced by HASH: docs/rollouts.md is the golden table of what rolls.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.api.v1alpha1.compute import ComputePoolSpec
from stackroles.api.v1alpha1.housekeeping import Housekeeping
from stackroles.config.cloud import Cloud
from stackroles.config.pool import Pool
from stackroles.constants import ANNOTATION_CONFIG_HASH
from stackroles.domains.backup.build import (
    COMPONENT,
    build_cron_job,
    build_repository_claim,
    schedule_trigger,
)
from stackroles.domains.backup.build_job import Run, build_backup_job, build_inputs
from stackroles.domains.backup.build_removal import build_removal
from stackroles.domains.backup.build_verification import (
    VerificationRun,
    build_verification,
    trigger,
)
from stackroles.domains.compute.build_probe import build_probe_job
from stackroles.domains.housekeeping.build import build_cron_job as build_housekeeping_marks
from stackroles.domains.housekeeping.build import build_job
from stackroles.roles import nova_compute, registry
from stackroles.workloads.manifests.agents import agent_sources, config_map_data
from stackroles.workloads.manifests.children import build_roles, build_step, unique
from stackroles.workloads.recovery_set.pod import RunParent
from tests.support.clouds import cloud

Object = dict[str, Any]
CASES = sorted(file.parent for file in (Path(__file__).parents[3] / "cases").rglob("input.yaml"))
PROGRAMS = config_map_data(agent_sources()).keys()
_HASH = re.compile(r"-[0-9a-f]{8}(?=$|,)")
# Annotations of the input: which roles are shown (all without it), and where files are shown.
ROLES = "case/roles"
FILES = "case/files"


def cloud_children(resource: Object) -> Iterable[Object]:
    declared = cloud(resource)
    if declared.spec.housekeeping is not None:
        return housekeeping_children(declared, declared.spec.housekeeping)
    shown = resource["metadata"].get("annotations", {}).get(ROLES, "").split()
    if shown:
        return build_roles(declared, [registry.role(name) for name in shown])
    made = build_roles(declared, registry.CONTROLLER_ROLES)
    for service in registry.SERVICES:
        for step in service.steps:
            if step.tasks:
                made += build_step(declared, service, step)
    return unique(made)


def housekeeping_children(declared: Cloud, spec: Housekeeping) -> Iterable[Object]:
    """Yield what a cloud has for its housekeeping: the schedule, and a run of each service."""
    yield build_housekeeping_marks(declared, spec)
    for service in registry.SERVICES:
        if service.housekeeping:
            yield from build_job(declared, service, spec.mode, "uid-mark")


def pool_children(resource: Object) -> Iterable[Object]:
    metadata = resource["metadata"]
    pool = Pool(
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        spec=ComputePoolSpec.model_validate(resource["spec"]),
        cloud=cloud(),
    )
    shown = metadata.get("annotations", {}).get(ROLES, "").split()
    if shown:
        return build_roles(pool, [registry.role(name) for name in shown])
    discovery = build_step(pool, registry.service("nova"), nova_compute.discovery("digest"))
    probe = build_probe_job(pool, "node-1", "again")
    return unique([*build_roles(pool, registry.COMPUTE_ROLES), *discovery, probe])


def policy_children(resource: Object) -> Iterable[Object]:
    """Yield what the policy has, then what one Backup of it has while it runs and is removed."""
    declared, spec = cloud(), BackupPolicySpec.model_validate(resource["spec"])
    metadata = resource["metadata"]
    name = metadata["name"]
    named = {
        "namespace": metadata["namespace"],
        "cloud_name": declared.name,
        "component": COMPONENT,
    }
    policy = RunParent(owner_kind="BackupPolicy", name=name, uid=metadata["uid"], **named)
    backup = RunParent(owner_kind="Backup", name=f"{name}-1", uid="uid-backup", **named)
    run = Run(
        policy=spec,
        policy_name=name,
        source="http://10.0.0.7:3380/backup",
        secrets=("demo-mariadb-credentials-in-use",),
    )
    claim = build_repository_claim(policy, spec)
    if claim is not None:
        yield claim
    triggers = [trigger(name, item) for item in spec.verification]
    for each in (schedule_trigger(policy, spec), *triggers):
        yield build_cron_job(declared, policy, spec, each)
    for item in spec.verification:
        verified = VerificationRun(
            name=f"{name}-v",
            level=item.level,
            backup=f"{name}-1",
            backup_uid="uid-backup",
            due=datetime(2026, 11, 28, 3, tzinfo=UTC),
            database_bytes=1 << 30,
        )
        yield from build_verification(declared, policy, spec, item, verified)
    inputs = build_inputs(backup, {"state.json": {}, "versions.json": {}}, declared.agents)
    yield inputs
    yield build_backup_job(declared, backup, run, inputs)
    yield from build_removal(declared, backup, name, spec)


CHILDREN: Final[Mapping[str, Callable[[Object], Iterable[Object]]]] = {
    "CloudController": cloud_children,
    "ComputePool": pool_children,
    "BackupPolicy": policy_children,
}


class Dumper(yaml.SafeDumper):
    """Writes text of many lines as such, so that a diff shows which line changed."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


Dumper.add_representer(str, _text)


def _plain(value: Any, key: str = "", *, files: bool) -> Any:
    """Return a manifest without what follows from the content of configuration."""
    if isinstance(value, dict):
        if value.get("kind") == "ConfigMap":
            shown = {
                k: v if files and k not in PROGRAMS else "..." for k, v in value["data"].items()
            }
            value = {**value, "data": shown}
        return {name: _plain(item, name, files=files) for name, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, files=files) for item in value]
    if key == ANNOTATION_CONFIG_HASH:
        return "HASH"
    return _HASH.sub("-HASH", value) if isinstance(value, str) and "\n" not in value else value


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.parent.name}-{case.name}")
def test_children_are_as_expected(case: Path, request: pytest.FixtureRequest) -> None:
    resource = yaml.safe_load((case / "input.yaml").read_text())
    files = FILES not in resource["metadata"].get("annotations", {})
    made = [_plain(child, files=files) for child in CHILDREN[resource["kind"]](resource)]
    expected = case / "expected.yaml"
    if request.config.getoption("--update-cases"):
        text = yaml.dump_all(made, Dumper=Dumper, sort_keys=True, width=100, allow_unicode=True)
        expected.write_text(text, encoding="utf-8")
    assert made == list(yaml.safe_load_all(expected.read_text(encoding="utf-8")))


def test_every_role_has_a_case() -> None:
    shown = {
        child["metadata"]["labels"]["app.kubernetes.io/name"]
        for case in CASES
        for child in yaml.safe_load_all((case / "expected.yaml").read_text(encoding="utf-8"))
    }

    assert shown >= {role.name for role in registry.CONTROLLER_ROLES}
    assert shown >= {role.name for role in registry.COMPUTE_ROLES}

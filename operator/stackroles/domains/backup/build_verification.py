"""The Job that verifies a stored recovery set, and the CronJob whose Jobs mark that one is due."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from stackroles import naming
from stackroles.agents.backup.verification_protocol import Level, VerificationSettings
from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec, Verification
from stackroles.config.cloud import Cloud
from stackroles.constants import (
    ANNOTATION_AGAIN,
    ANNOTATION_BACKUP,
    ANNOTATION_BACKUP_UID,
    ANNOTATION_CONFIG_MAPS,
    ANNOTATION_DUE,
    ANNOTATION_LEVEL,
    LABEL_REPOSITORY,
)
from stackroles.domains.backup.build import Trigger
from stackroles.roles import mariadb
from stackroles.roles.container import ScratchMount
from stackroles.workloads.manifests.agents import closure, config_map_data
from stackroles.workloads.manifests.metadata import Manifest, metadata
from stackroles.workloads.recovery_set.pod import RunParent, build_pod
from stackroles.workloads.recovery_set.repository import (
    Volumes,
    agent_container,
    beside_repository,
    items,
    repository_environment,
    repository_id,
)
from stackroles.workloads.recovery_set.users import VERIFICATION

PROGRAM = "backup.verification"
"""The agent that a verification is, below the package of agents."""
_OPTIONS_KEY = "my.cnf"
_SCRATCH = "/backup/scratch"
# What a server writes besides the copy: redo and undo logs, temporary tables.
_OVERHEAD_MEBIBYTES = 1024
# A name that Kubernetes lets a CronJob have.
_CRON_JOB_NAME = 52


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationRun:
    """One verification.

    Attributes:
        name: of its Job.
        level: how far the set is verified.
        backup: the Backup whose set is verified.
        backup_uid: which Backup of that name.
        due: the time of the mark that it follows.
        again: whether it is another verification of a set in quarantine.
        database_bytes: the size of the database's copy, 0 where it is not known.
    """

    name: str
    level: Level
    backup: str
    backup_uid: str
    due: datetime
    again: bool = False
    database_bytes: int = 0

    def annotations(self) -> dict[str, str]:
        """Return what its Job has of this."""
        return {
            ANNOTATION_LEVEL: self.level.value,
            ANNOTATION_BACKUP: self.backup,
            ANNOTATION_BACKUP_UID: self.backup_uid,
            ANNOTATION_DUE: self.due.isoformat(),
            ANNOTATION_AGAIN: str(self.again).lower(),
        }


def read_run(job: Mapping[str, Any]) -> VerificationRun | None:
    """Return what a Job verifies, None for one of a version that did not note it."""
    metadata = job["metadata"]
    noted = metadata.get("annotations") or {}
    if ANNOTATION_DUE not in noted:
        return None
    return VerificationRun(
        name=metadata["name"],
        level=Level(noted[ANNOTATION_LEVEL]),
        backup=noted[ANNOTATION_BACKUP],
        backup_uid=noted[ANNOTATION_BACKUP_UID],
        due=datetime.fromisoformat(noted[ANNOTATION_DUE]),
        again=noted.get(ANNOTATION_AGAIN) == "true",
    )


def mark_step(level: Level) -> str:
    """Return the step of the marks of a level's schedule."""
    return f"{VERIFICATION}-mark-{level.lower()}"


def trigger(policy_name: str, item: Verification) -> Trigger:
    """Return what marks that a level's verification is due."""
    name = naming.child(policy_name, "verify", item.level.lower(), limit=_CRON_JOB_NAME)
    return Trigger(name=name, step=mark_step(item.level), schedule=item.schedule)


def build_verification(
    cloud: Cloud,
    parent: RunParent,
    policy: BackupPolicySpec,
    item: Verification,
    run: VerificationRun,
) -> list[Manifest]:
    """Return the ConfigMap with the program and the server's options, and the Job (last)."""
    program, volumes = _build_program(cloud, parent), Volumes()
    name = program["metadata"]["name"]
    volumes.add_agents(name, closure([PROGRAM], cloud.agents))
    volumes.add_repository(policy, parent.name)
    files = {"configMap": {"name": name, "items": items(_OPTIONS_KEY)}}
    volumes.add("files", mariadb.OPTIONS.rpartition("/")[0], files)
    settings = VerificationSettings(
        name=run.backup, policy=parent.name, level=item.level, percent=item.read_percent
    )
    scratch = (ScratchMount("scratch", _SCRATCH), ScratchMount("run", "/run/mysqld"))
    main = agent_container(VERIFICATION, PROGRAM, settings, *scratch)
    resources = item.resources.over(policy.resources)
    access = policy.model_copy(update={"resources": resources})
    pod = build_pod(cloud, (main,), volumes.volumes, volumes.mounts, resources)
    pod |= beside_repository(parent.namespace, parent.name, policy)
    pod["containers"][0]["env"] += repository_environment(cloud, access)
    if run.database_bytes:
        limit = -(-run.database_bytes * 5 // (4 << 20)) + _OVERHEAD_MEBIBYTES
        [volume] = [volume for volume in pod["volumes"] if volume["name"] == "scratch"]
        volume["emptyDir"] = {"sizeLimit": f"{limit}Mi"}
    repository = repository_id(parent.namespace, parent.name, policy)
    labels = parent.labels(VERIFICATION) | {LABEL_REPOSITORY: repository}
    job: Manifest = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(parent, run.name, labels)
        | {"annotations": run.annotations() | {ANNOTATION_CONFIG_MAPS: name}},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": policy.deadline_seconds,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    return [program, job]


def _build_program(cloud: Cloud, parent: RunParent) -> Manifest:
    data: Mapping[str, str] = {
        **config_map_data(closure([PROGRAM], cloud.agents)),
        _OPTIONS_KEY: mariadb.files(cloud)[mariadb.OPTIONS],
    }
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": parent.metadata(naming.config(parent.name, VERIFICATION, data), VERIFICATION),
        "immutable": True,
        "data": dict(data),
    }

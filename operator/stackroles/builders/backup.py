"""What BackupPolicy and Backup have in common: their children's metadata, claim and pods."""

from dataclasses import dataclass

from stackroles import naming
from stackroles.api.v1alpha1.backup import BackupPolicySpec
from stackroles.builders.container import build_container, build_resources
from stackroles.builders.metadata import STEP_NAME, Manifest, owner_reference
from stackroles.builders.pod import common_pod_fields, pod_security
from stackroles.builders.rendering import Rendering
from stackroles.config.cloud import Cloud
from stackroles.constants import (
    LABEL_COMPONENT,
    LABEL_INSTANCE,
    LABEL_MANAGED_BY,
    LABEL_NAME,
    LABEL_OWNER_KIND,
    LABEL_PART_OF,
    LABEL_STEP,
    MANAGED_BY,
)
from stackroles.roles.definition import Container, Security

IMAGE = "backup"
USER = 42434  # mysql's: the image is the database's, so that its tools and the server's agree
SECURITY = Security(user=USER)
MARK = "schedule"
_NO_RENDERING = Rendering(files={}, config_map=None, agents_map=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """The BackupPolicy or Backup that children belong to."""

    kind: str
    name: str
    uid: str
    namespace: str
    cloud: str

    @property
    def owner_kind(self) -> str:
        """The kind, as owner references name it."""
        return self.kind

    def labels(self, step: str) -> dict[str, str]:
        """Return labels of a child; pods of Jobs are selected by no Service and no budget."""
        return {
            LABEL_NAME: STEP_NAME,
            LABEL_INSTANCE: self.name,
            LABEL_OWNER_KIND: self.kind,
            LABEL_COMPONENT: "backup",
            LABEL_PART_OF: self.cloud,
            LABEL_MANAGED_BY: MANAGED_BY,
            LABEL_STEP: f"backup.{step}",
        }

    def metadata(self, name: str, step: str, *, keep: bool = False) -> Manifest:
        """Return a child's metadata; one that is kept outlives its parent."""
        made: Manifest = {
            "name": name, "namespace": self.namespace, "labels": self.labels(step),
        }  # fmt: skip
        made["ownerReferences"] = [] if keep else [owner_reference(self)]  # type: ignore[arg-type]
        return made


def claim_name(policy_name: str, policy: BackupPolicySpec) -> str | None:
    """Return the claim that holds the repository, None for one in a bucket."""
    volume = policy.repository.volume
    if volume is None:
        return None
    return volume.claim_name or naming.child(policy_name, "repository")


def build_repository_claim(parent: Parent, policy: BackupPolicySpec) -> Manifest | None:
    """Return the claim the operator makes, None where the user brought one or uses a bucket.

    It never has an owner: backups outlive what they are of.
    """
    volume = policy.repository.volume
    if volume is None or volume.claim_name:
        return None
    spec: Manifest = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": volume.size}},
    }
    if volume.storage_class_name:
        spec["storageClassName"] = volume.storage_class_name
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": parent.metadata(str(claim_name(parent.name, policy)), "repository", keep=True),
        "spec": spec,
    }


def build_cron_job(cloud: Cloud, parent: Parent, policy: BackupPolicySpec) -> Manifest:
    """Return the CronJob whose Jobs mark that a run is due (docs/adr/0004)."""
    mark = Container(
        name=MARK,
        command=("true",),
        security=SECURITY,
        no_liveness_because="it ends at once: its Job is the mark",
    )
    spec: Manifest = {
        "schedule": policy.schedule,
        "suspend": policy.suspend,
        "concurrencyPolicy": "Forbid",
        "startingDeadlineSeconds": 600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {
            "metadata": {"labels": parent.labels(MARK)},
            "spec": {
                "backoffLimit": 3,
                "template": {
                    "metadata": {"labels": parent.labels(MARK)},
                    "spec": build_pod(cloud, (mark,), [], []),
                },
            },
        },
    }
    if policy.time_zone:
        spec["timeZone"] = policy.time_zone
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": parent.metadata(parent.name, MARK),
        "spec": spec,
    }


def build_pod(
    cloud: Cloud,
    containers: tuple[Container, ...],
    volumes: list[Manifest],
    mounts: list[Manifest],
) -> Manifest:
    """Return a pod that runs all but the last container before it; the last has the mounts."""
    built = [
        build_container(cloud, container, _NO_RENDERING, None)
        | {
            "image": cloud.image(container.image or IMAGE),
            "resources": build_resources(container.resources),
        }
        for container in containers
    ]
    built[-1] = built[-1] | {"volumeMounts": [*built[-1].get("volumeMounts", []), *mounts]}
    scratch = {m["name"] for c in built for m in c.get("volumeMounts", [])} - {
        volume["name"] for volume in volumes
    }
    spec: Manifest = {
        **common_pod_fields(cloud),
        "restartPolicy": "Never",
        "securityContext": pod_security(containers, USER),
        "containers": built[-1:],
        "volumes": [*volumes, *({"name": name, "emptyDir": {}} for name in sorted(scratch))],
    }
    if built[:-1]:
        spec["initContainers"] = built[:-1]
    return spec

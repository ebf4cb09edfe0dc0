"""What BackupPolicy and Backup have in common: their children's metadata, claim and pods."""

from dataclasses import dataclass

from stackroles import naming
from stackroles.api.v1alpha1.backup import BackupPolicySpec
from stackroles.api.v1alpha1.common import Resources
from stackroles.config.cloud import Cloud
from stackroles.roles.container import Container, Security
from stackroles.workloads.manifests.container import build_container, build_resources
from stackroles.workloads.manifests.metadata import Manifest, metadata, step_labels
from stackroles.workloads.manifests.pod import common_pod_fields, pod_security
from stackroles.workloads.manifests.rendering import Rendering

IMAGE = "backup"
USER = 42434  # mysql's: the image is the database's, so that its tools and the server's agree
SECURITY = Security(user=USER)
COMPONENT = "backup"
MARK = "schedule"
# A trigger is made by its Job's creation; a pod that cannot run, say for its image, shall not stay.
MARK_SECONDS = 300
_NO_RENDERING = Rendering(files={}, config_map=None, agents_map=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupParent:
    """The BackupPolicy or Backup that children belong to."""

    owner_kind: str
    name: str
    uid: str
    namespace: str
    cloud_name: str

    def labels(self, step: str) -> dict[str, str]:
        """Return labels of a child; pods of Jobs are selected by no Service and no budget."""
        return step_labels(self, COMPONENT, step)

    def metadata(self, name: str, step: str, *, keep: bool = False) -> Manifest:
        """Return a child's metadata; one that is kept outlives its parent."""
        return metadata(self, name, self.labels(step), keep=keep)


def step_label(step: str) -> str:
    """Return the value of the step label."""
    return f"{COMPONENT}.{step}"


def repository_id(namespace: str, policy_name: str, policy: BackupPolicySpec) -> str:
    """Return what distinguishes repositories, as a label's value."""
    s3 = policy.repository.s3
    if s3 is not None:
        return naming.digest(["s3", s3.endpoint.rstrip("/"), s3.bucket, s3.prefix.strip("/")])
    return naming.digest(["volume", namespace, claim_name(policy_name, policy)])


def claim_name(policy_name: str, policy: BackupPolicySpec) -> str | None:
    """Return the claim that holds the repository, None for one in a bucket."""
    volume = policy.repository.volume
    if volume is None:
        return None
    return volume.claim_name or naming.child(policy_name, "repository")


def build_repository_claim(parent: BackupParent, policy: BackupPolicySpec) -> Manifest | None:
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


def build_cron_job(cloud: Cloud, parent: BackupParent, policy: BackupPolicySpec) -> Manifest:
    """Return the CronJob whose Jobs mark that a run is due (docs/adr/0004)."""
    trigger = Container(
        name=MARK,
        command=("true",),
        security=SECURITY,
        no_liveness_because="it ends at once: its Job is the trigger",
    )
    spec: Manifest = {
        "schedule": policy.schedule,
        "suspend": policy.suspend,
        # The Job is the trigger: a pod of the last one that cannot run shall not block the next.
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {
            "metadata": {"labels": parent.labels(MARK)},
            "spec": {
                "backoffLimit": 3,
                "activeDeadlineSeconds": MARK_SECONDS,
                "template": {
                    "metadata": {"labels": parent.labels(MARK)},
                    "spec": build_pod(cloud, (trigger,), [], [], policy.resources),
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
    resources: Resources,
) -> Manifest:
    """Return a pod that runs all but the last container before it; the last has the mounts.

    Args:
        cloud: the cloud whose backup it is.
        containers: what runs, in this order.
        volumes: the pod's volumes besides scratch space.
        mounts: mounts of the last container.
        resources: what the policy says of each container's requests and limits.
    """
    declared = resources.over(cloud.spec.default_resources)
    built = [
        build_container(cloud, container, _NO_RENDERING, None)
        | {
            "image": cloud.image(container.image or IMAGE),
            "resources": build_resources(container.resources, declared),
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

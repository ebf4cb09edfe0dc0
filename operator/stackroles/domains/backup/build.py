"""What a BackupPolicy makes of its own: its repository's claim, and the schedule's CronJob."""

from stackroles.api.v1alpha1.backup import BackupPolicySpec
from stackroles.config.cloud import Cloud
from stackroles.roles.container import Container
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.recovery_set.pod import SECURITY, RunParent, build_pod
from stackroles.workloads.recovery_set.repository import claim_name

COMPONENT = "backup"
MARK = "schedule"
# A trigger is made by its Job's creation; a pod that cannot run, say for its image, shall not stay.
MARK_SECONDS = 300


def step_label(step: str) -> str:
    """Return the value of the step label."""
    return f"{COMPONENT}.{step}"


def build_repository_claim(parent: RunParent, policy: BackupPolicySpec) -> Manifest | None:
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


def build_cron_job(cloud: Cloud, parent: RunParent, policy: BackupPolicySpec) -> Manifest:
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

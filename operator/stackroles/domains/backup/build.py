"""What a BackupPolicy makes of its own: its repository's claim, and the schedule's CronJob."""

from dataclasses import dataclass

from stackroles.api.v1alpha1.backup_policy import BackupPolicySpec
from stackroles.config.cloud import Cloud
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.marks import MARK, Timing, build_marks
from stackroles.workloads.recovery_set import users
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.recovery_set.repository import claim_name

COMPONENT = users.COMPONENT


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """What marks that something of a policy is due.

    Attributes:
        name: of the CronJob.
        step: of the Jobs that it leaves.
        schedule: when.
    """

    name: str
    step: str
    schedule: str


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


def schedule_trigger(parent: RunParent, policy: BackupPolicySpec) -> Trigger:
    """Return what marks that a run is due."""
    return Trigger(name=parent.name, step=MARK, schedule=policy.schedule)


def build_cron_job(
    cloud: Cloud, parent: RunParent, policy: BackupPolicySpec, trigger: Trigger
) -> Manifest:
    """Return the CronJob whose Jobs mark that something is due (docs/adr/0004)."""
    timing = Timing(trigger.schedule, policy.time_zone, suspend=policy.suspend)
    return build_marks(cloud, parent, trigger.name, timing, policy.resources, step=trigger.step)

"""Marks of a schedule: Jobs of a CronJob, each of which says that a run is due (docs/adr/0004)."""

from dataclasses import dataclass
from typing import Final

from stackroles.api.v1alpha1.common import Resources
from stackroles.config.cloud import Cloud
from stackroles.roles.container import Container
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.recovery_set.pod import IMAGE, SECURITY, RunParent, build_pod

MARK: Final = "schedule"
"""The step label of a mark, after its component."""
# A trigger is made by its Job's creation; a pod that cannot run, say for its image, shall not stay.
_SECONDS: Final = 300


@dataclass(frozen=True, slots=True)
class Timing:
    """When marks are made.

    Attributes:
        schedule: a cron line.
        time_zone: its IANA time zone; None for UTC.
        suspend: whether none are made.
    """

    schedule: str
    time_zone: str | None
    suspend: bool


def build_marks(
    cloud: Cloud,
    parent: RunParent,
    name: str,
    timing: Timing,
    resources: Resources,
    *,
    image: str = IMAGE,
    step: str = MARK,
) -> Manifest:
    """Return the CronJob whose Jobs mark that a run is due.

    Args:
        cloud: the cloud that the runs are about.
        parent: whose it is.
        name: its name.
        timing: when marks are made.
        resources: what a mark's container may use.
        image: a short name of an image that a mark's pod runs `true` in.
        step: the step label of a mark, after its component.
    """
    trigger = Container(
        name=MARK,
        image=image,
        command=("true",),
        security=SECURITY,
        no_liveness_because="it ends at once: its Job is the trigger",
    )
    spec: Manifest = {
        "schedule": timing.schedule,
        "suspend": timing.suspend,
        # The Job is the trigger: a pod of the last one that cannot run shall not block the next.
        "concurrencyPolicy": "Replace",
        "startingDeadlineSeconds": 600,
        "successfulJobsHistoryLimit": 3,
        "failedJobsHistoryLimit": 1,
        "jobTemplate": {
            "metadata": {"labels": parent.labels(step)},
            "spec": {
                "backoffLimit": 3,
                "activeDeadlineSeconds": _SECONDS,
                "template": {
                    "metadata": {"labels": parent.labels(step)},
                    "spec": build_pod(cloud, (trigger,), [], [], resources),
                },
            },
        },
    }
    if timing.time_zone:
        spec["timeZone"] = timing.time_zone
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": parent.metadata(name, step),
        "spec": spec,
    }

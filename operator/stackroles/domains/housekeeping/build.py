"""What a cloud has for its housekeeping: the schedule's CronJob, and a Job for each service."""

from typing import Final

from stackroles import naming
from stackroles.api.v1alpha1.housekeeping import Housekeeping, HousekeepingMode
from stackroles.config.cloud import Cloud
from stackroles.constants import ANNOTATION_CONFIG_MAPS
from stackroles.roles import mariadb
from stackroles.roles.definition import OpenStackService
from stackroles.workloads.housekeeping import COMPONENT
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.marks import Timing, build_marks
from stackroles.workloads.recovery_set.pod import RunParent
from stackroles.workloads.run_step import build_run

# From SIGTERM to SIGKILL: the batch under way is not cut short, since the tools commit to several
# databases one after the other.
_GRACE_SECONDS: Final = 120


def parent_of(cloud: Cloud) -> RunParent:
    """Return the cloud as the parent of what its housekeeping has."""
    return RunParent(
        owner_kind=cloud.owner_kind,
        name=cloud.name,
        uid=cloud.uid,
        namespace=cloud.namespace,
        cloud_name=cloud.name,
        component=COMPONENT,
    )


def build_cron_job(cloud: Cloud, declared: Housekeeping) -> Manifest:
    """Return the CronJob whose Jobs mark that a run is due (docs/adr/0004)."""
    timing = Timing(declared.schedule, declared.time_zone, suspend=declared.suspend)
    name = naming.child(cloud.name, COMPONENT)
    # The database's image is on the cluster's nodes; a mark runs nothing of it.
    return build_marks(
        cloud, parent_of(cloud), name, timing, cloud.job_resources, image=mariadb.NAME
    )


def step_label(service: str, mode: HousekeepingMode) -> str:
    """Return the value of the step label of a service's run."""
    return f"{COMPONENT}.{service}-{mode.value.lower()}"


def build_job(
    cloud: Cloud, service: OpenStackService, mode: HousekeepingMode, mark: str
) -> list[Manifest]:
    """Return the configuration and the Job (last) of one service's run.

    Args:
        cloud: the cloud.
        service: the service.
        mode: what the run does.
        mark: identity of the mark that asks for it: a run is made once for each.
    """
    step, inputs = service.housekeeping[mode], [mark, mode.value]
    name = naming.step_job(cloud.name, COMPONENT, service.name, inputs)
    *configuration, job = build_run(cloud, parent_of(cloud), service, step, name)
    template = job["spec"]["template"]
    pod = {**template["spec"], "terminationGracePeriodSeconds": _GRACE_SECONDS}
    spec = {**job["spec"], "template": {**template, "spec": pod}}
    # What is kept for it is known by the Job also while it has no pod.
    maps = template["metadata"]["annotations"][ANNOTATION_CONFIG_MAPS]
    own = {**job["metadata"], "annotations": {ANNOTATION_CONFIG_MAPS: maps}}
    return [*configuration, {**job, "metadata": own, "spec": spec}]

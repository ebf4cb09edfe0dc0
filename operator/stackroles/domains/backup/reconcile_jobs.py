"""Jobs that a policy has of its own, beside the runs of its Backups: which stay, which go."""

from collections.abc import Collection
from typing import Any

from stackroles.constants import ANNOTATION_CONFIG_MAPS, LABEL_STEP
from stackroles.domains.backup.build import step_label
from stackroles.reconcile.context import Context
from stackroles.workloads.step import ending_of

Object = dict[str, Any]


def jobs_of(context: Context, resource: Object, step: str) -> list[Object]:
    """Return the Jobs of a policy's step that are not being deleted."""
    return [
        job
        for job in context.cluster.owned(resource, "Job")
        if job["metadata"]["labels"].get(LABEL_STEP) == step_label(step)
        and not job["metadata"].get("deletionTimestamp")
    ]


async def clean_jobs(
    context: Context, resource: Object, step: str, named: Collection[str | None]
) -> None:
    """Remove Jobs that ended and that no status names, and the ConfigMaps of Jobs that are gone.

    Args:
        context: the context.
        resource: the policy.
        step: whose Jobs and ConfigMaps.
        named: the Jobs that a status names: they stay for their logs.
    """
    mounted = set()
    for job in jobs_of(context, resource, step):
        if ending_of(job) and job["metadata"]["name"] not in named:
            await context.cluster.delete(job)
        else:
            mounted.add((job["metadata"].get("annotations") or {}).get(ANNOTATION_CONFIG_MAPS))
    if None in mounted:
        return  # a Job of a version that did not note it
    for config in context.cluster.owned(resource, "ConfigMap"):
        metadata = config["metadata"]
        if metadata["labels"].get(LABEL_STEP) != step_label(step):
            continue
        if metadata["name"] not in mounted:
            await context.cluster.delete(config)

"""Steps outside a bring-up: made when they are due, for another resource or again and again."""

from collections.abc import Mapping
from typing import Any

from stackroles import naming
from stackroles.config.cloud import Cloud
from stackroles.roles.definition import OpenStackService, Step
from stackroles.workloads.manifests.children import build_step
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.recovery_set.pod import RunParent


def build_run(
    cloud: Cloud, parent: RunParent, service: OpenStackService, step: Step[Cloud], name: str
) -> list[Manifest]:
    """Return the configuration and the Job (last) of one run of a step.

    They are a set-up step's, but for whose they are: they are shared with no other.

    Args:
        cloud: the cloud.
        parent: whose they are.
        service: the service.
        step: the step.
        name: of the Job.
    """
    *configuration, job = build_step(cloud, service, step)
    label = f"{service.name}-{step.name}"
    names = {
        child["metadata"]["name"]: naming.config(parent.name, label, child["data"])
        for child in configuration
    }
    owned = [
        {**child, "metadata": parent.metadata(names[child["metadata"]["name"]], label)}
        for child in configuration
    ]
    labels, template = parent.labels(label), _renamed(job["spec"]["template"], names)
    pods = {**template, "metadata": {**template["metadata"], "labels": labels}}
    made = {
        **job,
        "metadata": parent.metadata(name, label),
        "spec": {**job["spec"], "template": pods},
    }
    return [*owned, made]


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    """Return a value with other names, which stand alone or between commas."""
    if isinstance(value, dict):
        return {key: _renamed(item, names) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_renamed(item, names) for item in value]
    if isinstance(value, str):
        return ",".join(names.get(part, part) for part in value.split(","))
    return value

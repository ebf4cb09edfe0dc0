"""Jobs of bootstrap steps."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stackroles import naming
from stackroles.api.v1alpha1.common import Resources
from stackroles.config.owner import Owner
from stackroles.config.pool import Pool
from stackroles.constants import ANNOTATION_CONFIG_HASH, ANNOTATION_CONFIG_MAPS
from stackroles.roles import registry
from stackroles.roles.container import Container
from stackroles.roles.definition import Step, Task
from stackroles.workloads.manifests.container import build_container, build_resources
from stackroles.workloads.manifests.metadata import Manifest, metadata, step_labels
from stackroles.workloads.manifests.pod import common_pod_fields, pod_security
from stackroles.workloads.manifests.rendering import Rendering, render
from stackroles.workloads.manifests.volume import build_volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOf:
    """A step with the service it belongs to and its rendered files."""

    service: str
    step: Step
    files: Mapping[str, str]

    @property
    def node(self) -> str:
        """The step's name in the bring-up graph."""
        return f"{self.service}/{self.step.name}"

    @property
    def label(self) -> str:
        """The value of the step label."""
        return f"{self.service}.{self.step.name}"


def render_step(owner: Owner, of: StepOf) -> Rendering:
    """Return the rendering of a step's files."""
    return render(owner, f"{of.service}-{of.step.name}", of.files, _containers(of.step))


def build_job(owner: Owner, of: StepOf) -> Manifest:
    """Return the Job of a step: one container per task, all but the last before the main one.

    Its name holds the hash of its pod, so a step runs again when, and only when, what it would do
    has changed; the completed Job is the record that it was done. What its containers may use is
    none of what it does.
    """
    rendering = render_step(owner, of)
    labels = step_labels(owner, of.service, of.step.name)
    inputs = [_pod_spec(owner, of, rendering, Resources()), rendering.files]
    name = naming.step_job(owner.name, of.service, of.step.name, inputs)
    spec = _pod_spec(owner, of, rendering, owner.job_resources)
    annotations = {
        ANNOTATION_CONFIG_HASH: naming.digest(rendering.files),
        ANNOTATION_CONFIG_MAPS: ",".join(rendering.config_maps),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(owner, name, labels),
        "spec": {
            "backoffLimit": of.step.retries,
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": spec,
            },
        },
    }


def _containers(step: Step) -> tuple[Container, ...]:
    return tuple(_container(step, task) for task in step.tasks)


def _container(step: Step, task: Task) -> Container:
    return Container(
        name=task.name,
        command=task.command,
        security=step.security,
        env=task.env,
        mounts=task.mounts,
        resources=step.resources,
        no_liveness_because="a task ends by itself or by its Job's deadline",
    )


def _image(owner: Owner, of: StepOf) -> str:
    """Return the step's image: that of the first role of its service that has one of its own.

    What sets a service up must be of the version that runs.
    """
    settings = owner.cloud if isinstance(owner, Pool) else owner
    own = (
        settings.settings(role.name).image
        for role in registry.CONTROLLER_ROLES
        if (role.service, role.image) == (of.service, of.step.image)
    )
    return owner.image(of.step.image, next((image for image in own if image), None))


def _pod_spec(
    owner: Owner, of: StepOf, rendering: Rendering, resources: Resources
) -> dict[str, Any]:
    containers = _containers(of.step)
    built = [
        build_container(owner, container, rendering, None)
        | {
            "image": _image(owner, of),
            "resources": build_resources(container.resources, resources),
        }
        for container in containers
    ]
    spec: dict[str, Any] = {
        **common_pod_fields(owner),
        "restartPolicy": "Never",
        # Of each attempt: a pod that is ended by it stays, with its log; a Job that is ended by one
        # of its own takes its pod away.
        "activeDeadlineSeconds": of.step.deadline,
        "terminationGracePeriodSeconds": 10,
        "securityContext": pod_security(containers, None),
        "containers": built[-1:],
        "volumes": build_volumes(owner, containers, rendering),
    }
    if built[:-1]:
        spec["initContainers"] = built[:-1]
    return spec

"""Pods that work on recovery sets: whose they are, and what all of them have in common."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
_NO_RENDERING = Rendering(files={}, config_map=None, agents_map=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunParent:
    """The resource that Jobs about a recovery set belong to.

    Attributes:
        component: what its children are labelled as: `backup`, `restore`.
    """

    owner_kind: str
    name: str
    uid: str
    namespace: str
    cloud_name: str
    component: str

    @classmethod
    def of(cls, resource: Mapping[str, Any], cloud_name: str, component: str) -> "RunParent":
        """Return a resource as a parent."""
        metadata = resource["metadata"]
        return cls(
            owner_kind=resource["kind"],
            name=metadata["name"],
            uid=metadata["uid"],
            namespace=metadata["namespace"],
            cloud_name=cloud_name,
            component=component,
        )

    def labels(self, step: str) -> dict[str, str]:
        """Return labels of a child; pods of Jobs are selected by no Service and no budget."""
        return step_labels(self, self.component, step)

    def metadata(self, name: str, step: str, *, keep: bool = False) -> Manifest:
        """Return a child's metadata; one that is kept outlives its parent."""
        return metadata(self, name, self.labels(step), keep=keep)


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

"""The Job in which a node runs its probe guest again."""

from stackroles import naming
from stackroles.api.v1alpha1.common import dump
from stackroles.config.pool import EVERYWHERE, Pool
from stackroles.constants import ANNOTATION_CONFIG_MAPS
from stackroles.roles import nova_compute
from stackroles.workloads.manifests.container import build_container, build_resources
from stackroles.workloads.manifests.metadata import Manifest, metadata, step_labels
from stackroles.workloads.manifests.pod import common_pod_fields, pod_security
from stackroles.workloads.manifests.rendering import files_of, render_role
from stackroles.workloads.manifests.volume import build_volumes

SERVICE = nova_compute.NOVA_COMPUTE.service
DEADLINE_SECONDS = 1800


def step_of(node: str) -> str:
    """Return the name of a node's probe among the steps: each node has its own Jobs."""
    return f"probe-{naming.digest(node, 8)}"


def build_probe_job(pool: Pool, node: str, request: str) -> Manifest:
    """Return the Job that runs the probe guest on a node once for a request.

    It reads the ConfigMaps of nova-compute's pods, so what it proves is what they would use.
    """
    role, container = nova_compute.NOVA_COMPUTE, nova_compute.probe(request)
    rendering = render_role(pool, role, files_of(role.files, pool))
    labels = step_labels(pool, SERVICE, step_of(node))
    annotations = {ANNOTATION_CONFIG_MAPS: ",".join(rendering.config_maps)}
    built = build_container(pool, container, rendering, None) | {
        "image": pool.image(container.image or role.image),
        "resources": build_resources(
            container.resources, pool.settings(role.name).sidecar_resources
        ),
    }
    spec = {
        **common_pod_fields(pool),
        "restartPolicy": "Never",
        "activeDeadlineSeconds": DEADLINE_SECONDS,
        "nodeName": node,
        "tolerations": [dump(toleration) for toleration in EVERYWHERE],
        "securityContext": pod_security((container,), None),
        "containers": [built],
        "volumes": build_volumes(pool, (container,), rendering),
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": metadata(
            pool, naming.step_job(pool.name, SERVICE, step_of(node), [node, request]), labels
        ),
        "spec": {
            "backoffLimit": 1,
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": spec},
        },
    }

"""Pod templates: what all workloads have in common."""

from stackroles.api.v1alpha1.common import AccessMode, dump
from stackroles.config.owner import Owner
from stackroles.constants import ANNOTATION_CONFIG_HASH, ANNOTATION_CONFIG_MAPS
from stackroles.naming import digest
from stackroles.roles.clustering import shares_claim
from stackroles.roles.container import Container
from stackroles.roles.definition import RoleDefinition, Workload
from stackroles.workloads.manifests.container import build_container, build_resources
from stackroles.workloads.manifests.metadata import Manifest, labels, selector
from stackroles.workloads.manifests.pdb import budget_labels
from stackroles.workloads.manifests.rendering import Rendering
from stackroles.workloads.manifests.volume import build_volumes

_ONE_NODE = AccessMode.READ_WRITE_ONCE
HOSTNAME = "kubernetes.io/hostname"


def build_pod_template(owner: Owner, role: RoleDefinition, rendering: Rendering) -> Manifest:
    """Return the pod template of a role."""
    return {
        "metadata": {
            "labels": {**labels(owner, role.name, role.service), **budget_labels(role)},
            "annotations": {
                ANNOTATION_CONFIG_HASH: digest([rendering.files, rendering.agents_map]),
                # Names what a live pod reads, so that no ConfigMap goes before its last reader.
                ANNOTATION_CONFIG_MAPS: ",".join(rendering.config_maps),
            },
        },
        "spec": _pod_spec(owner, role, rendering),
    }


def _pod_spec(owner: Owner, role: RoleDefinition, rendering: Rendering) -> Manifest:
    settings = owner.settings(role.name)
    spec: Manifest = {
        **common_pod_fields(owner),
        "terminationGracePeriodSeconds": role.grace_period,
        "securityContext": pod_security(role.containers, role.fs_group),
        "containers": [_role_container(owner, role, c, rendering) for c in role.containers],
        "volumes": [
            *build_volumes(owner, (*role.init, *role.containers), rendering),
            *_shared_volume(owner, role),
        ],
        **_host_fields(role),
        **_account(owner, role),
        **_spread(owner, role),
    }
    if role.init:
        spec["initContainers"] = [_role_container(owner, role, c, rendering) for c in role.init]
    if settings.node_selector:
        spec["nodeSelector"] = dict(settings.node_selector)
    if settings.tolerations:
        spec["tolerations"] = [dump(toleration) for toleration in settings.tolerations]
    return spec


def common_pod_fields(owner: Owner) -> Manifest:
    """Return what every pod has: no API token, no environment from Services, pull secrets."""
    fields: Manifest = {"automountServiceAccountToken": False, "enableServiceLinks": False}
    if owner.pull_secrets:
        fields["imagePullSecrets"] = [{"name": name} for name in owner.pull_secrets]
    return fields


def pod_security(containers: tuple[Container, ...], fs_group: int | None) -> Manifest:
    """Return a pod's security context; volumes belong to the group of its first non-root user."""
    users = [c.security.user for c in containers if c.security.user != 0]
    group = fs_group if fs_group is not None else next(iter(users), None)
    context: Manifest = {"seccompProfile": {"type": "RuntimeDefault"}}
    if group is not None:
        context |= {"fsGroup": group, "fsGroupChangePolicy": "OnRootMismatch"}
    return context


def _role_container(
    owner: Owner, role: RoleDefinition, container: Container, rendering: Rendering
) -> Manifest:
    settings = owner.settings(role.name)
    claim = role.volume.claim if role.volume else None
    main = container is role.containers[0]
    override = settings.image if container.image in (None, role.image) else None
    return build_container(owner, container, rendering, claim) | {
        "image": owner.image(container.image or role.image, override),
        "resources": build_resources(
            container.resources, settings.resources if main else settings.sidecar_resources
        ),
    }


def _host_fields(role: RoleDefinition) -> Manifest:
    fields: Manifest = {}
    if role.host_network:
        fields |= {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}
    if role.host_pid:
        fields["hostPID"] = True
    if role.share_processes:
        fields["shareProcessNamespace"] = True
    return fields


def _account(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return the account of pods that use the Kubernetes API, and its token.

    A role that may have one at other times names the namespace's own: the API server fills in a
    second field of the account's name, which outlasts the first where that is left out.
    """
    if not role.rights:
        return {"serviceAccountName": "default"} if role.clustering.standby else {}
    return {
        "serviceAccountName": owner.workload(role.name),
        "automountServiceAccountToken": True,
    }


def _shared_volume(owner: Owner, role: RoleDefinition) -> list[Manifest]:
    if role.volume is None or not shares_claim(role, owner):
        return []
    claim = shared_claim(owner, role)
    return [{"name": role.volume.claim, "persistentVolumeClaim": {"claimName": claim}}]


def shared_claim(owner: Owner, role: RoleDefinition) -> str:
    """Return the claim that all members mount: that of a StatefulSet's first member.

    So a role keeps its data when its model changes, in both directions.
    """
    claim = role.volume.claim if role.volume else ""
    return f"{claim}-{owner.workload(role.name)}-0"


def _spread(owner: Owner, role: RoleDefinition) -> Manifest:
    """Return how members are kept apart: quorum members by force, the others by preference.

    Only a Deployment's surge puts old and new members side by side; they are counted apart there.
    """
    if role.workload is Workload.DAEMON_SET:
        return {}
    constraint: Manifest = {
        "maxSkew": 1,
        "topologyKey": HOSTNAME,
        "whenUnsatisfiable": "DoNotSchedule" if role.quorum else "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector(owner, role.name)},
    }
    if role.workload is Workload.DEPLOYMENT:
        constraint["matchLabelKeys"] = ["pod-template-hash"]
    others = {"matchLabels": selector(owner, role.name)}
    term = {"topologyKey": HOSTNAME, "labelSelector": others}
    if shares_claim(role, owner) and owner.settings(role.name).access_mode is _ONE_NODE:
        # Kubernetes admits the first pod of such a group anywhere.
        together = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
        return {"affinity": {"podAffinity": together}}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    return {
        "topologySpreadConstraints": [constraint],
        "affinity": {
            "podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
        },
    }

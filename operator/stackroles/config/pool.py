"""One pool of compute nodes with its cloud: what its roles and builders read."""

from collections.abc import Mapping
from dataclasses import dataclass

from stackroles import naming
from stackroles.api.v1alpha1.common import Resources, Toleration
from stackroles.api.v1alpha1.compute import ComputePoolSpec, PoolRoleSpec
from stackroles.config.cloud import Cloud
from stackroles.config.layers import Layer, user_options
from stackroles.config.owner import RoleSettings
from stackroles.constants import LABEL_POOL

# Agents are where guests are: no taint may take them from a node.
EVERYWHERE = (Toleration(operator="Exists"),)
LABEL_LIMIT = 63


def pool_label(namespace: str, name: str) -> str:
    """Return the value of the operator's node label for a pool; "." keeps the two parts apart."""
    value = f"{namespace}.{name}"
    if len(value) <= LABEL_LIMIT:
        return value
    return f"{value[: LABEL_LIMIT - 9].rstrip('.-')}-{naming.digest(value, 8)}"


def is_label_of(value: str, namespace: str) -> bool:
    """Return whether a node label can be that of a pool in a namespace."""
    prefix = f"{namespace}."
    if len(prefix) > LABEL_LIMIT - 9:  # cut by pool_label for every name
        prefix = prefix[: LABEL_LIMIT - 9].rstrip(".-")
    return value.startswith(prefix)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A ComputePool and the cloud it belongs to.

    Attributes:
        name: the resource's name.
        namespace: its namespace.
        uid: its identity, for owner references.
        spec: what the user wrote.
        cloud: its CloudController, defaults resolved.
    """

    name: str
    namespace: str
    uid: str
    spec: ComputePoolSpec
    cloud: Cloud

    @property
    def owner_kind(self) -> str:
        """The kind of the resource, for owner references and labels."""
        return "ComputePool"

    @property
    def cloud_name(self) -> str:
        """The resource whose Secrets its pods read."""
        return self.cloud.name

    @property
    def agents(self) -> Mapping[str, str]:
        """Sources of the agent programs by file name."""
        return self.cloud.agents

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Secrets for pulling images."""
        return self.cloud.pull_secrets

    @property
    def label(self) -> str:
        """The value of the node label by which its agents are pinned."""
        return pool_label(self.namespace, self.name)

    @property
    def job_resources(self) -> Resources:
        """Requests and limits of the containers of its Jobs: the cloud's."""
        return self.cloud.job_resources

    def workload(self, role: str) -> str:
        """Return the name of a role's DaemonSet."""
        return naming.child(self.name, role)

    def image(self, image: str, override: str | None = None) -> str:
        """Return the full reference of an image by its short name."""
        return self.cloud.image(image, override)

    def settings(self, role: str) -> RoleSettings:
        """Return what the user declares of a role; where it runs is the operator's own label."""
        declared = self.spec.roles.get(role, PoolRoleSpec())
        default = self.spec.default_resources.over(self.cloud.spec.default_resources)
        return RoleSettings(
            node_selector={LABEL_POOL: self.label},
            tolerations=EVERYWHERE,
            resources=declared.resources.over(default),
            sidecar_resources=declared.sidecar_resources.over(default),
            image=declared.image,
        )

    def members_of(self, role: str) -> int:  # noqa: ARG002 - part of what builders ask owners
        """Return 0: a DaemonSet counts its own members."""
        return 0

    def options(self, role: str, service: str) -> Layer:
        """Return the user's options of a role: its service's, overlaid by its own."""
        return user_options(self.spec.config, role, service)

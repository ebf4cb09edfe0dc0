"""What builders need to know of the resource whose children they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from stackroles.api.v1alpha1.common import (
    AccessMode,
    ClusteringModel,
    Failover,
    Resources,
    Toleration,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleSettings:
    """What a user declared for one role.

    Attributes:
        node_selector: labels a node must have.
        tolerations: taints that are tolerated.
        resources: requests and limits of the role's main container, defaults filled in.
        sidecar_resources: those of its other containers, init containers included.
        image: full image reference in place of the default.
        storage_size: size of each member's volume.
        storage_class: storage class of each member's volume.
        access_mode: who may mount the volume that members share.
        model: the clustering model, None for the role's default.
        failover: how an ActivePassive role fails over.
    """

    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    resources: Resources = field(default_factory=Resources)
    sidecar_resources: Resources = field(default_factory=Resources)
    image: str | None = None
    storage_size: str | None = None
    storage_class: str | None = None
    access_mode: AccessMode = AccessMode.READ_WRITE_ONCE
    model: ClusteringModel | None = None
    failover: Failover = field(default_factory=Failover)


class Parent(Protocol):
    """A resource that children are labelled with and belong to."""

    @property
    def name(self) -> str:
        """The resource's name."""

    @property
    def namespace(self) -> str:
        """Its namespace."""

    @property
    def uid(self) -> str:
        """Its identity."""

    @property
    def owner_kind(self) -> str:
        """Its kind."""

    @property
    def cloud_name(self) -> str:
        """The CloudController whose Secrets its pods read."""


class Owner(Parent, Protocol):
    """A resource with roles: a Cloud, or a pool of compute nodes."""

    @property
    def agents(self) -> Mapping[str, str]:
        """Sources of the agent programs by file name."""

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Secrets for pulling images."""

    @property
    def job_resources(self) -> Resources:
        """Requests and limits of the containers of set-up Jobs."""

    def workload(self, role: str) -> str:
        """Return the name of a role's workload and Service."""

    def image(self, image: str, override: str | None = None) -> str:
        """Return the full reference of an image by its short name."""

    def settings(self, role: str) -> RoleSettings:
        """Return what the user declared for a role."""

    def members_of(self, role: str) -> int:
        """Return how many members a role shall have; meaningless for a DaemonSet."""

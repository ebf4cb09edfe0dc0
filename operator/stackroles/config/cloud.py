"""One cloud with every default resolved: what roles and builders read, not the raw resource."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stackroles import naming
from stackroles.api.v1alpha1.cloud_controller import CloudControllerSpec, RoleSpec
from stackroles.api.v1alpha1.common import AccessMode, Resources
from stackroles.config.endpoint import HTTP, Endpoint
from stackroles.config.layers import Layer, user_options
from stackroles.config.owner import RoleSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Cloud:
    """A CloudController with its defaults resolved.

    Attributes:
        name: the resource's name.
        namespace: its namespace.
        uid: its identity, for owner references.
        spec: what the user wrote.
        replicas: members of each role, defaults applied.
        image_registry: where images come from when the spec does not say.
        image_tags: tag of each image, as the operator was installed with.
        agents: sources of the agent programs by file name, mounted into role pods.
        cluster_domain: the cluster's DNS domain. Only OVN needs it: its resolver (libunbound) knows
            no search path.
    """

    name: str
    namespace: str
    uid: str
    spec: CloudControllerSpec
    replicas: Mapping[str, int]
    image_registry: str = "localhost/stackroles"
    image_tags: Mapping[str, str] = field(default_factory=dict)
    agents: Mapping[str, str] = field(default_factory=dict)
    cluster_domain: str = "cluster.local"

    @property
    def owner_kind(self) -> str:
        """The kind of the resource, for owner references and labels."""
        return "CloudController"

    @property
    def cloud_name(self) -> str:
        """The resource whose Secrets its pods read: itself."""
        return self.name

    @property
    def pull_secrets(self) -> tuple[str, ...]:
        """Secrets for pulling images."""
        return self.spec.images.pull_secrets

    @property
    def job_resources(self) -> Resources:
        """Requests and limits of the containers of set-up Jobs."""
        return self.spec.job_resources.over(self.spec.default_resources)

    def settings(self, role: str) -> RoleSettings:
        """Return what the user declares of a role, the cloud's own storage class filled in."""
        declared = self.spec.roles.get(role, RoleSpec())
        return RoleSettings(
            node_selector=declared.placement.node_selector,
            tolerations=declared.placement.tolerations,
            resources=declared.resources.over(self.spec.default_resources),
            sidecar_resources=self.spec.default_resources,
            image=declared.image,
            storage_size=declared.storage.size,
            storage_class=declared.storage.storage_class_name or self.spec.storage_class_name,
            access_mode=declared.storage.access_mode or AccessMode.READ_WRITE_ONCE,
            model=declared.clustering.model,
            failover=declared.clustering.failover,
        )

    def members_of(self, role: str) -> int:
        """Return how many members a role shall have."""
        return self.replicas[role]

    def workload(self, role: str) -> str:
        """Return the name of a role's workload and Service."""
        return naming.child(self.name, role)

    def host(self, role: str) -> str:
        """Return the DNS name of a role's Service."""
        return naming.service_host(self.workload(role), self.namespace)

    def endpoint(self, role: str, port: int) -> Endpoint:
        """Return where a role's Service answers over HTTP."""
        return Endpoint(HTTP, self.host(role), port)

    def members(self, role: str) -> tuple[str, ...]:
        """Return the stable DNS names of a StatefulSet role's pods, by ordinal."""
        workload = self.workload(role)
        return tuple(
            naming.pod_host(workload, ordinal, self.namespace)
            for ordinal in range(self.replicas[role])
        )

    def qualified_members(self, role: str) -> tuple[str, ...]:
        """Return the members' names with the cluster's domain."""
        return tuple(f"{member}.{self.cluster_domain}" for member in self.members(role))

    def image(self, image: str, override: str | None = None) -> str:
        """Return the full reference of an image by its short name."""
        if override:
            return override
        source = self.spec.images
        tag = source.tag or self.image_tags.get(image) or self.image_tags.get("default", "latest")
        prefix = source.registry or self.image_registry
        return f"{prefix}/{image}:{tag}" if prefix else f"{image}:{tag}"

    def options(self, role: str, service: str) -> Layer:
        """Return the user's options of a role: its service's, overlaid by its own."""
        return user_options(self.spec.config, role, service)

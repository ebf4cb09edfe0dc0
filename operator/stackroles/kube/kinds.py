"""The kinds this operator reads and writes, and how to address each in the API."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from typing_extensions import override

from stackroles.constants import GROUP_VERSION, LABEL_MANAGED_BY, MANAGED_BY
from stackroles.errors import OperatorError

CHILD_SELECTOR: Final = f"{LABEL_MANAGED_BY}={MANAGED_BY}"


class ObjectRef(NamedTuple):
    """Which object: the key of the cache and of the work queue. Cluster-scoped: namespace ""."""

    kind: str
    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return "/".join(part for part in self if part)


class PartRef(NamedTuple):
    """Which part of a resource: the key of the work queue for what is reconciled by itself."""

    kind: str
    namespace: str
    name: str
    part: str

    @override
    def __str__(self) -> str:
        return "/".join(part for part in self if part)

    @property
    def whole(self) -> ObjectRef:
        """The resource."""
        return ObjectRef(self.kind, self.namespace, self.name)


Key = ObjectRef | PartRef
"""What a pass is of: a resource as a whole, or a part of it."""


def controller_of(key: Key) -> str:
    """Return the name of what reconciles a key: `Kind`, or `Kind/part`."""
    return f"{key.kind}/{key.part}" if isinstance(key, PartRef) else key.kind


def key_of(controller: str, ref: ObjectRef) -> Key:
    """Return the key under which a controller reconciles a resource; see `controller_of`."""
    part = controller.partition("/")[2]
    return PartRef(*ref, part) if part else ref


@dataclass(frozen=True)
class Kind:
    """How a kind is addressed.

    Attributes:
        name: the kind, as in a manifest.
        api_version: `v1` or `<group>/<version>`.
        plural: the name in URLs.
        namespaced: False for cluster-scoped kinds.
        watched: whether the cache follows this kind by a watch.
        selector: label selector of the watch and of lists; empty for everything.
    """

    name: str
    api_version: str
    plural: str
    namespaced: bool = True
    watched: bool = True
    selector: str = CHILD_SELECTOR

    @property
    def group(self) -> str:
        """Return the API group, empty for the core group."""
        return self.api_version.rpartition("/")[0]

    @property
    def version(self) -> str:
        """Return the API version without its group."""
        return self.api_version.rpartition("/")[2]

    @property
    def own(self) -> bool:
        """Return whether this is one of our own custom resources."""
        return self.api_version == GROUP_VERSION

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """Return the URL path of one object, or of the collection when `name` is empty."""
        root = (
            f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        )
        scope = f"namespaces/{namespace}" if self.namespaced and namespace else ""
        parts = (root, scope, self.plural, name, subresource)
        return "/".join(part for part in parts if part)


_CUSTOM: Final = tuple(
    Kind(name, GROUP_VERSION, plural, selector="")
    for name, plural in (
        ("CloudController", "cloudcontrollers"),
        ("ComputePool", "computepools"),
        ("ComputeNode", "computenodes"),
        ("BackupPolicy", "backuppolicies"),
        ("Backup", "backups"),
        ("Restore", "restores"),
    )
)
_CHILDREN: Final = (
    Kind("StatefulSet", "apps/v1", "statefulsets"),
    Kind("Deployment", "apps/v1", "deployments"),
    Kind("DaemonSet", "apps/v1", "daemonsets"),
    Kind("Service", "v1", "services"),
    Kind("ConfigMap", "v1", "configmaps"),
    Kind("Secret", "v1", "secrets"),
    Kind("Job", "batch/v1", "jobs"),
    Kind("CronJob", "batch/v1", "cronjobs"),
    Kind("PodDisruptionBudget", "policy/v1", "poddisruptionbudgets"),
    Kind("PersistentVolumeClaim", "v1", "persistentvolumeclaims"),
    Kind("Pod", "v1", "pods"),
    Kind("NetworkPolicy", "networking.k8s.io/v1", "networkpolicies"),
    Kind("ServiceAccount", "v1", "serviceaccounts"),
    Kind("Role", "rbac.authorization.k8s.io/v1", "roles"),
    Kind("RoleBinding", "rbac.authorization.k8s.io/v1", "rolebindings"),
)
_OTHERS: Final = (
    Kind("Node", "v1", "nodes", namespaced=False, selector=""),
    Kind("Namespace", "v1", "namespaces", namespaced=False, watched=False, selector=""),
    Kind("Lease", "coordination.k8s.io/v1", "leases", watched=False),
    Kind("EndpointSlice", "discovery.k8s.io/v1", "endpointslices", watched=False),
    Kind("StorageClass", "storage.k8s.io/v1", "storageclasses", False, False, ""),
    Kind("Event", "events.k8s.io/v1", "events", watched=False, selector=""),
)

KINDS: Final[dict[str, Kind]] = {kind.name: kind for kind in (*_CUSTOM, *_CHILDREN, *_OTHERS)}
OWN_KINDS: Final = tuple(kind.name for kind in _CUSTOM)
WATCHED_KINDS: Final = tuple(kind for kind in KINDS.values() if kind.watched)


def kind_of(name: str) -> Kind:
    """Return the kind called `name`.

    Raises:
        OperatorError: the operator does not know this kind, which is a mistake in its own code.
    """
    try:
        return KINDS[name]
    except KeyError:
        raise OperatorError(f"Kind {name} is not in kube/kinds.py") from None


def ref_of(obj: dict[str, Any]) -> ObjectRef:
    """Return the reference of an object or a manifest (which must carry kind and name)."""
    metadata = obj["metadata"]
    return ObjectRef(obj["kind"], metadata.get("namespace") or "", metadata["name"])


def uid_of(obj: Mapping[str, Any]) -> str:
    """Return the uid of an object, empty for a manifest."""
    return str(obj["metadata"].get("uid", ""))


def is_owned(obj: dict[str, Any], owner: dict[str, Any]) -> bool:
    """Return whether an object has an owner reference to exactly this owner."""
    references = obj["metadata"].get("ownerReferences") or ()
    return any(reference["uid"] == uid_of(owner) for reference in references)


def version_of(obj: dict[str, Any]) -> int:
    """Return the resourceVersion as a number, 0 when there is none.

    Kubernetes defines resource versions of one kind as comparable integers since 1.35 (KEP-5504);
    etcd revisions were always that.
    """
    value = str(obj["metadata"].get("resourceVersion", ""))
    return int(value) if value.isdecimal() else 0

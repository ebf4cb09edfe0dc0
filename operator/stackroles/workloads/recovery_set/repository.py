"""How a pod reaches a repository: its volume or its keys, its password, and restic's settings."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, Protocol

from stackroles import naming
from stackroles.agents.backup.bandwidth import DOWNLOAD_LIMIT, UPLOAD_LIMIT
from stackroles.agents.backup.protocol import (
    CopySettings,
    RemovalSettings,
    RunSettings,
    to_environment,
)
from stackroles.agents.backup.reader_protocol import ReaderSettings
from stackroles.agents.backup.verification_protocol import VerificationSettings
from stackroles.api.v1alpha1.common import Resources
from stackroles.api.v1alpha1.repository import Repository
from stackroles.config.cloud import Cloud
from stackroles.constants import LABEL_REPOSITORY
from stackroles.roles.container import (
    AGENT_COMMAND,
    AGENT_PATH,
    Container,
    Env,
    ResourceDefaults,
    ScratchMount,
)
from stackroles.workloads.manifests.agents import PACKAGE, config_map_items
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.manifests.pod import HOSTNAME
from stackroles.workloads.recovery_set.pod import SECURITY

_RESOURCES = ResourceDefaults(cpu="50m", memory="128Mi", memory_limit="512Mi")
_AGENTS = "/usr/local/lib/stackroles/agents"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a pod has a repository's volume, its key and its authority.

    Attributes:
        volume: path of the repository's volume.
        files: folder of the key and the authority.
        volumes: what the names of its volumes begin with.
        variables: what the names of its variables begin with.
        sixteenths: the share of the container's memory limit from which on restic's collector works
            harder (GOMEMLIMIT, Go's package runtime); the rest is for the program that runs it and
            for what Go does not count.
    """

    volume: str = "/repository"
    files: str = "/backup"
    volumes: str = ""
    variables: str = ""
    sixteenths: int = 11

    @property
    def key(self) -> str:
        """Folder of the file with the password."""
        return f"{self.files}/key"

    @property
    def authority(self) -> str:
        """Folder of the authority's certificate."""
        return f"{self.files}/ca"


ONLY: Final = Place()
"""In a pod that uses one repository."""


class RepositoryAccess(Protocol):
    """What it takes to use a repository: a BackupPolicy's spec has it, and a Restore's may."""

    @property
    def repository(self) -> Repository:
        """Where it is."""

    @property
    def encryption_secret(self) -> str:
        """The user's Secret with its password."""

    @property
    def resources(self) -> Resources:
        """What each container that uses it may use."""


def agent_container(
    name: str,
    program: str,
    settings: RunSettings | RemovalSettings | ReaderSettings | VerificationSettings | CopySettings,
    *scratch: ScratchMount,
) -> Container:
    """Return the container of an agent that works with a repository.

    Args:
        name: the container's name.
        program: the agent, below the package of agents.
        settings: its environment besides the repository's.
        scratch: where it may write.
    """
    return Container(
        name=name,
        command=(*AGENT_COMMAND, f"{PACKAGE}.{program}"),
        security=SECURITY,
        no_liveness_because="it ends by itself or by its Job's deadline",
        resources=_RESOURCES,
        env=(AGENT_PATH, *(Env(*pair) for pair in to_environment(settings).items())),
        mounts=scratch,
    )


@dataclass
class Volumes:
    """Volumes of a pod, and where its main container mounts them."""

    volumes: list[Manifest] = field(default_factory=list)
    mounts: list[Manifest] = field(default_factory=list)

    def add(self, name: str, path: str, source: Manifest, *, read_only: bool = True) -> None:
        """Add a volume at a path."""
        self.volumes.append({"name": name, **source})
        self.mounts.append({"name": name, "mountPath": path, "readOnly": read_only})

    def add_agents(self, config_map: str, agents: Iterable[str]) -> None:
        """Add the programs that a ConfigMap holds, given by their paths."""
        self.add(
            "agents",
            _AGENTS,
            {"configMap": {"name": config_map, "items": config_map_items(agents)}},
        )

    def add_repository(
        self, access: RepositoryAccess, policy_name: str, place: Place = ONLY
    ) -> None:
        """Add a policy's repository, where it is a volume, its password and its authority."""
        key = {"secretName": access.encryption_secret, "items": items("password")}
        self.add(f"{place.volumes}key", place.key, {"secret": key | {"defaultMode": 0o440}})
        claim = claim_name(policy_name, access)
        if claim:
            source = {"persistentVolumeClaim": {"claimName": claim}}
            self.add(f"{place.volumes}repository", place.volume, source, read_only=False)
        s3 = access.repository.s3
        if s3 and s3.ca_secret:
            ca = {"secretName": s3.ca_secret, "items": items("ca.crt"), "defaultMode": 0o440}
            self.add(f"{place.volumes}authority", place.authority, {"secret": ca})


def beside_repository(namespace: str, policy_name: str, access: RepositoryAccess) -> Manifest:
    """Return the affinity to pods with the same repository on a volume; empty for a bucket.

    A volume is mounted by the pods of one node, as a rule. It is a preference: a claim of the
    user's may be shared by nodes.
    """
    if access.repository.volume is None:
        return {}
    labels = {LABEL_REPOSITORY: repository_id(namespace, policy_name, access)}
    term = {"topologyKey": HOSTNAME, "labelSelector": {"matchLabels": labels}}
    preferred = [{"weight": 100, "podAffinityTerm": term}]
    together = {"preferredDuringSchedulingIgnoredDuringExecution": preferred}
    return {"affinity": {"podAffinity": together}}


def items(*keys: str) -> list[Manifest]:
    """Return keys of a Secret or ConfigMap, each as a file of its name."""
    return [{"key": key, "path": key} for key in keys]


def repository_environment(
    cloud: Cloud, access: RepositoryAccess, place: Place = ONLY
) -> list[Manifest]:
    """Return what restic reads from its environment; keys by reference to their Secret."""
    found = _restic_environment(cloud, access, place)
    return [variable | {"name": f"{place.variables}{variable['name']}"} for variable in found]


def _restic_environment(cloud: Cloud, access: RepositoryAccess, place: Place) -> list[Manifest]:
    memory = _RESOURCES.memory_mebibytes(access.resources.over(cloud.spec.default_resources))
    env: list[Manifest] = [
        {"name": "RESTIC_PASSWORD_FILE", "value": f"{place.key}/password"},
        {"name": "RESTIC_REPOSITORY", "value": _address(access, place)},
        {"name": "GOMEMLIMIT", "value": f"{memory * place.sixteenths // 16}MiB"},
    ]
    bandwidth = access.repository.bandwidth
    limits = (
        (UPLOAD_LIMIT, bandwidth.upload_mebibytes),
        (DOWNLOAD_LIMIT, bandwidth.download_mebibytes),
    )
    env += [{"name": name, "value": str(limit)} for name, limit in limits if limit is not None]
    s3 = access.repository.s3
    if s3 is None:
        return env
    pairs = (("AWS_ACCESS_KEY_ID", "accessKeyId"), ("AWS_SECRET_ACCESS_KEY", "secretAccessKey"))
    env += [
        {"name": name, "valueFrom": {"secretKeyRef": {"name": s3.credentials_secret, "key": key}}}
        for name, key in pairs
    ]
    if s3.region:
        env.append({"name": "AWS_DEFAULT_REGION", "value": s3.region})
    if s3.ca_secret:
        env.append({"name": "RESTIC_CACERT", "value": f"{place.authority}/ca.crt"})
    return env


def _address(access: RepositoryAccess, place: Place) -> str:
    s3 = access.repository.s3
    if s3 is None:
        return place.volume
    path = "/".join(part for part in (s3.bucket, s3.prefix.strip("/")) if part)
    return f"s3:{s3.endpoint.rstrip('/')}/{path}"


def repository_id(namespace: str, policy_name: str, access: RepositoryAccess) -> str:
    """Return what distinguishes repositories, as a label's value."""
    s3 = access.repository.s3
    if s3 is not None:
        return naming.digest(["s3", s3.endpoint.rstrip("/"), s3.bucket, s3.prefix.strip("/")])
    return naming.digest(["volume", namespace, claim_name(policy_name, access)])


def claim_name(policy_name: str, access: RepositoryAccess) -> str | None:
    """Return the claim that holds the repository, None for one in a bucket."""
    volume = access.repository.volume
    if volume is None:
        return None
    return volume.claim_name or naming.child(policy_name, "repository")

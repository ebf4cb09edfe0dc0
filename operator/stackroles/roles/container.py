"""What a container is: data that builders turn into a part of a pod."""

from dataclasses import dataclass, field
from typing import Final

from stackroles.api.v1alpha1.common import Resources
from stackroles.quantity import amount as quantity

START_SECONDS: Final = 900
"""How long a service of OpenStack may take to load before it is begun anew.

It takes 2 to 10 s of CPU, and minutes where many load at once: neutron's API needed 329 s on two
cores on which a node came back, was ended after 300, and began again in the same crowd. A program
that ends does not wait for this, so that it is only for one that hangs.
"""


@dataclass(frozen=True, slots=True)
class Port:
    """A port of a container, also of the role's Service unless it is not published."""

    name: str
    number: int
    published: bool = True
    protocol: str = "TCP"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One check of a container: exactly one of http_path (with port), port alone, or command."""

    port: int | None = None
    http_path: str | None = None
    command: tuple[str, ...] = ()
    period: int = 5
    timeout: int = 5
    failures: int = 3
    scheme: str = "HTTP"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceDefaults:
    """What a container requests and may use; CPU has no limit unless one is named."""

    cpu: str = "20m"
    memory: str = "64Mi"
    memory_limit: str = "512Mi"
    cpu_limit: str | None = None

    def overlaid(self, declared: Resources) -> Resources:
        """Return requests and limits, a user's own values laid over these (`Resources.over`)."""
        limits = {"cpu": self.cpu_limit, "memory": self.memory_limit}
        own = Resources.model_validate(
            {
                "requests": {"cpu": self.cpu, "memory": self.memory},
                "limits": {name: value for name, value in limits.items() if value},
            }
        )
        return declared.over(own)

    def memory_mebibytes(self, declared: Resources) -> int:
        """Return how much memory a container may use, in whole MiB, a user's own limit counted."""
        return int(quantity(self.overlaid(declared).limits["memory"]) // quantity("1Mi"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """Who a container runs as.

    Attributes:
        user: numeric user and group.
        privileged: full access to the node.
        capabilities: added on top of none.
        because: why it is root or privileged; required then (a test holds it).
        writable_root: whether the container writes outside its mounts.
    """

    user: int
    privileged: bool = False
    capabilities: tuple[str, ...] = ()
    because: str = ""
    writable_root: bool = False


@dataclass(frozen=True, slots=True)
class Env:
    """A plain environment variable."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FieldEnv:
    """An environment variable from a field of the pod (metadata.name, status.podIP ...)."""

    name: str
    field_path: str


@dataclass(frozen=True, slots=True)
class SecretEnv:
    """An environment variable from a service's credentials Secret, or from `<cloud>-admin`.

    `OS_<GROUP>__<OPTION>` is how oslo.config reads passwords without a file.
    """

    name: str
    service: str
    key: str
    optional: bool = False


Variable = Env | FieldEnv | SecretEnv


@dataclass(frozen=True, slots=True)
class FileMount:
    """The role's rendered files (`RoleDefinition.files`), each at its own path."""


@dataclass(frozen=True, slots=True)
class AgentMount:
    """The agent programs, read-only, as the package stackroles.agents.

    A container runs one by `AGENT_COMMAND + ("stackroles.agents.<package>.<module>",)` with
    `AGENT_PATH` in its environment: agents import each other by the same names inside a pod as in
    tests.
    """

    path: str = "/usr/local/lib/stackroles/agents"


@dataclass(frozen=True, slots=True)
class DataMount:
    """The member's own volume."""

    path: str
    sub_path: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class ScratchMount:
    """An emptyDir; one volume for equal names within a pod."""

    name: str
    path: str
    memory: bool = False
    size: str | None = None


@dataclass(frozen=True, slots=True)
class SecretMount:
    """A Secret of the cloud, `<cloud>-<suffix>`, as a directory; keys limit what is mounted."""

    suffix: str
    path: str
    keys: tuple[str, ...] = ()
    mode: int = 0o440


@dataclass(frozen=True, slots=True)
class PodInfoMount:
    """The pod's own annotations as a file `annotations` in a directory (downward API)."""

    path: str = "/etc/podinfo"


@dataclass(frozen=True, slots=True)
class HostMount:
    """A path of the node."""

    host_path: str
    path: str
    type: str = "DirectoryOrCreate"
    propagation: str | None = None
    read_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PodRight:
    """What the pods of a role may do in the Kubernetes API, in their own namespace.

    Attributes:
        group: API group, empty for the core group.
        resources: plural names.
        verbs: what they may do.
        because: why.
        names: the only objects they may do it with; empty for all.
    """

    group: str
    resources: tuple[str, ...]
    verbs: tuple[str, ...]
    because: str
    names: tuple[str, ...] = ()


AGENT_COMMAND = ("python3", "-B", "-m")
AGENT_PATH = Env("PYTHONPATH", "/usr/local/lib")

Mount = FileMount | AgentMount | DataMount | ScratchMount | SecretMount | PodInfoMount | HostMount


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a role's pod.

    Attributes:
        no_liveness_because: why there is no liveness probe; required then (a test holds it).
        image: short image name, where it differs from the role's.
    """

    name: str
    command: tuple[str, ...]
    security: Security
    ports: tuple[Port, ...] = ()
    startup: Probe | None = None
    readiness: Probe | None = None
    liveness: Probe | None = None
    no_liveness_because: str = ""
    resources: ResourceDefaults = field(default_factory=ResourceDefaults)
    env: tuple[Variable, ...] = ()
    mounts: tuple[Mount, ...] = ()
    pre_stop: tuple[str, ...] = ()
    image: str | None = None

"""Volumes and mounts of pods."""

from collections.abc import Iterable

from stackroles import naming
from stackroles.config.owner import Owner
from stackroles.roles.container import (
    AgentMount,
    Container,
    DataMount,
    FileMount,
    HostMount,
    Mount,
    PodInfoMount,
    ScratchMount,
    SecretMount,
)
from stackroles.workloads.manifests.agents import config_map_items
from stackroles.workloads.manifests.metadata import Manifest
from stackroles.workloads.manifests.rendering import Rendering, file_key

FILES = "files"
AGENTS = "agents"
POD_INFO = "pod-info"
TMP = ScratchMount("tmp", "/tmp")  # noqa: S108 - the path inside the container


def mounts_of(container: Container) -> tuple[Mount, ...]:
    """Return a container's mounts, with a /tmp of its own where its root cannot be written."""
    has_tmp = any(getattr(mount, "path", None) == TMP.path for mount in container.mounts)
    if container.security.writable_root or has_tmp:
        return container.mounts
    return (*container.mounts, TMP)


def build_volume_mounts(
    container: Container, rendering: Rendering, claim: str | None
) -> list[Manifest]:
    """Return the volumeMounts of a container.

    Args:
        container: the container.
        rendering: the files of its pod.
        claim: name of the member's volume claim, None where there is none.
    """
    return [
        built for mount in mounts_of(container) for built in _volume_mount(mount, rendering, claim)
    ]


def _volume_mount(  # noqa: C901, PLR0911 - one arm per kind of mount
    mount: Mount, rendering: Rendering, claim: str | None
) -> list[Manifest]:
    match mount:
        case FileMount():
            return [
                {"name": FILES, "mountPath": path, "subPath": file_key(path), "readOnly": True}
                for path in sorted(rendering.files)
            ]
        case AgentMount():
            return [{"name": AGENTS, "mountPath": mount.path, "readOnly": True}]
        case DataMount():
            if claim is None:
                raise ValueError(f"{mount.path} needs a volume, and the role has none")
            built: Manifest = {"name": claim, "mountPath": mount.path}
            if mount.sub_path:
                built["subPath"] = mount.sub_path
            return [_read_only(built, mount.read_only)]
        case ScratchMount():
            return [{"name": mount.name, "mountPath": mount.path}]
        case SecretMount():
            return [{"name": _secret_volume(mount), "mountPath": mount.path, "readOnly": True}]
        case PodInfoMount():
            return [{"name": POD_INFO, "mountPath": mount.path, "readOnly": True}]
        case HostMount():
            host: Manifest = {"name": _host_volume(mount), "mountPath": mount.path}
            if mount.propagation:
                host["mountPropagation"] = mount.propagation
            return [_read_only(host, mount.read_only)]


def _read_only(built: Manifest, read_only: bool) -> Manifest:
    return built | {"readOnly": True} if read_only else built


def build_volumes(
    owner: Owner, containers: Iterable[Container], rendering: Rendering
) -> list[Manifest]:
    """Return the volumes of a pod, each once, sorted by name; claims are not among them."""
    volumes: dict[str, Manifest] = {}
    for container in containers:
        for mount in mounts_of(container):
            built = _volume(owner, mount, rendering)
            if built is None:
                continue
            known = volumes.setdefault(built["name"], built)
            if known != built:
                raise ValueError(f"two different volumes are called {built['name']}")
    return [volumes[name] for name in sorted(volumes)]


def _volume(  # noqa: C901, PLR0911 - one arm per kind of mount
    owner: Owner, mount: Mount, rendering: Rendering
) -> Manifest | None:
    match mount:
        case FileMount():
            if rendering.config_map is None:
                raise ValueError("files are mounted, but none are rendered")
            return {"name": FILES, "configMap": {"name": rendering.config_map}}
        case AgentMount():
            items = config_map_items(rendering.agents)
            return {"name": AGENTS, "configMap": {"name": rendering.agents_map, "items": items}}
        case DataMount():
            return None
        case ScratchMount():
            return {"name": mount.name, "emptyDir": _empty_dir(mount)}
        case SecretMount():
            return {"name": _secret_volume(mount), "secret": _secret(owner, mount)}
        case PodInfoMount():
            field = {"path": "annotations", "fieldRef": {"fieldPath": "metadata.annotations"}}
            return {"name": POD_INFO, "downwardAPI": {"items": [field]}}
        case HostMount():
            return {
                "name": _host_volume(mount),
                "hostPath": {"path": mount.host_path, "type": mount.type},
            }


def _empty_dir(mount: ScratchMount) -> Manifest:
    empty: Manifest = {}
    if mount.memory:
        empty["medium"] = "Memory"
    if mount.size:
        empty["sizeLimit"] = mount.size
    return empty


def _secret(owner: Owner, mount: SecretMount) -> Manifest:
    secret: Manifest = {
        "secretName": naming.child(owner.cloud_name, mount.suffix),
        "defaultMode": mount.mode,
    }
    if mount.keys:
        secret["items"] = [{"key": key, "path": key} for key in mount.keys]
    return secret


def _secret_volume(mount: SecretMount) -> str:
    return f"secret-{naming.digest([mount.suffix, mount.keys, mount.mode], 8)}"


def _host_volume(mount: HostMount) -> str:
    return f"host-{naming.digest([mount.host_path, mount.type], 8)}"

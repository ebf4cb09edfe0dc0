"""The operator's settings: read from the environment once, by main."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from stackroles.errors import OperatorError

_LEVELS: Final = ("debug", "info", "warning", "error")


@dataclass(frozen=True)
class Settings:
    """What an operator's installation decides.

    Attributes:
        namespaces: which namespaces are served; empty for all.
        node_rights: whether nodes may be read and labelled (the chart's node ClusterRole).
        image_registry: where role images come from when a resource does not say.
        image_tags: tag of each role image by its short name; "default" for all others.
        cluster_domain: the cluster's DNS domain.
        pod_name: this replica's pod, its identity in the Lease; "" outside a cluster.
        pod_ip: this replica's first address, whose family is the cluster's first; "" outside one.
        pod_namespace: where the Lease and this replica live.
        lease: the Lease's name.
        resync_seconds: least and most seconds between two full re-lists.
        workers: how many resources are reconciled at the same time.
        log_level: debug, info, warning or error.
        health_port: where /healthz, /readyz and /metrics are served.
        kubeconfig: a kubeconfig file, "" for the pod's service account or the default file.
    """

    namespaces: tuple[str, ...] = ()
    node_rights: bool = True
    image_registry: str = "localhost/stackroles"
    image_tags: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    cluster_domain: str = "cluster.local"
    pod_name: str = ""
    pod_ip: str = ""
    pod_namespace: str = "default"
    lease: str = "stackroles-leader"
    resync_seconds: tuple[float, float] = field(default=(600.0, 1800.0))
    workers: int = 32
    log_level: str = "info"
    health_port: int = 8080
    kubeconfig: str = ""


def from_environment(environment: Mapping[str, str], *, pod_namespace: str = "default") -> Settings:
    """Return the settings that environment variables ask for.

    Args:
        environment: such as os.environ.
        pod_namespace: where this process runs unless STACKROLES_NAMESPACE says it.

    Raises:
        OperatorError: a variable has a value that cannot be used; the message names it.
    """
    get = environment.get
    names = tuple(n.strip() for n in get("STACKROLES_WATCH_NAMESPACES", "").split(",") if n.strip())
    shortest = _number(environment, "STACKROLES_RESYNC_SECONDS", 600.0, least=1.0)
    level = get("STACKROLES_LOG_LEVEL", "info").lower()
    if level not in _LEVELS:
        raise OperatorError(f"STACKROLES_LOG_LEVEL={level}: use one of {', '.join(_LEVELS)}")
    return Settings(
        namespaces=names,
        node_rights=_flag(environment, "STACKROLES_NODE_RIGHTS", default=True),
        image_registry=get("STACKROLES_IMAGE_REGISTRY", "").rstrip("/") or "localhost/stackroles",
        image_tags=_tags(environment),
        cluster_domain=get("STACKROLES_CLUSTER_DOMAIN", "") or "cluster.local",
        pod_name=get("STACKROLES_POD_NAME", ""),
        pod_ip=get("STACKROLES_POD_IP", ""),
        pod_namespace=get("STACKROLES_NAMESPACE", "") or pod_namespace,
        resync_seconds=(shortest, shortest * 3),
        workers=int(_number(environment, "STACKROLES_WORKERS", 32, least=1)),
        log_level=level,
        health_port=int(_number(environment, "STACKROLES_HEALTH_PORT", 8080, least=0)),
        kubeconfig=get("KUBECONFIG", ""),
    )


def _tags(environment: Mapping[str, str]) -> Mapping[str, str]:
    text = environment.get("STACKROLES_IMAGE_TAGS", "") or "{}"
    try:
        tags = json.loads(text)
    except ValueError:
        tags = None
    if not isinstance(tags, dict) or not all(isinstance(tag, str) for tag in tags.values()):
        raise OperatorError(f'STACKROLES_IMAGE_TAGS={text}: an object such as {{"nova": "1"}}')
    default = environment.get("STACKROLES_IMAGE_TAG", "") or "latest"
    return MappingProxyType({"default": default, **tags})


def _number(environment: Mapping[str, str], name: str, default: float, *, least: float) -> float:
    text = environment.get(name, "")
    try:
        value = float(text) if text else default
    except ValueError:
        raise OperatorError(f"{name}={text}: a number is needed") from None
    if value < least:
        raise OperatorError(f"{name}={text}: at least {least:g} is needed")
    return value


def _flag(environment: Mapping[str, str], name: str, *, default: bool) -> bool:
    text = environment.get(name, "").lower()
    if text in ("true", "1", "yes", "false", "0", "no"):
        return text in ("true", "1", "yes")
    if text:
        raise OperatorError(f"{name}={text}: use true or false")
    return default

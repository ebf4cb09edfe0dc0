"""Names of children, in one place.

Every name is `<resource>-<part>`; one that would exceed what its kind allows is cut and closed with
a hash of the whole, so that two long names never meet.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

# A StatefulSet's pods carry "controller-revision-hash: <name>-<10 chars>", a label value (63).
MAX_WORKLOAD: Final = 52


def digest(value: Any, length: int = 10) -> str:
    """Return a short, stable hash of JSON-able data, lower-case hexadecimal."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:length]


def child(parent: str, *parts: str, limit: int = MAX_WORKLOAD) -> str:
    """Return the name of a child of `parent`, at most `limit` characters."""
    name = "-".join((parent, *parts))
    if len(name) <= limit:
        return name
    return f"{name[: limit - 9].rstrip('-')}-{digest(name, 8)}"


def step_job(parent: str, role: str, step: str, inputs: Any) -> str:
    """Return the name of the Job of one bootstrap step, bound to the hash of its inputs."""
    return f"{child(parent, role, step)}-{digest(inputs, 8)}"


def config(parent: str, role: str, files: Mapping[str, str]) -> str:
    """Return the name of a role's configuration, bound to its content.

    A pod that restarts in the middle of a roll finds the files it was made with, not the new ones.
    """
    return f"{child(parent, role, 'config')}-{digest(files, 8)}"


def credentials(parent: str, role: str) -> str:
    """Return the name of the Secret with a role's own passwords."""
    return child(parent, role, "credentials")


def credentials_in_use(parent: str, role: str) -> str:
    """Return the name of the Secret that pods read, with the values that accounts have."""
    return child(parent, role, "credentials-in-use")


def state(parent: str) -> str:
    """Return the name of the ConfigMap with the facts that data depends on."""
    return child(parent, "state")


def pod(workload: str, ordinal: int) -> str:
    """Return the name of a StatefulSet's pod."""
    return f"{workload}-{ordinal}"


def pod_host(workload: str, ordinal: int, namespace: str) -> str:
    """Return the stable DNS name of a StatefulSet's pod behind its headless Service.

    The Service has the workload's own name; names without the cluster's domain resolve through the
    pod's search path, whatever the domain is.
    """
    return f"{workload}-{ordinal}.{workload}.{namespace}.svc"


def service_host(workload: str, namespace: str) -> str:
    """Return the DNS name of a role's Service."""
    return f"{workload}.{namespace}.svc"

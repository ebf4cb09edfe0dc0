"""The cloud's APIs from this machine: openstacksdk through port-forwards of kubectl."""

from __future__ import annotations

import base64
import json
import re
import select
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from lab import shell
from lab.errors import LabError
from lab.kubectl import Kubectl

if TYPE_CHECKING:
    from openstack.connection import Connection

FORWARD_SECONDS = 30.0
REQUEST_SECONDS = 60.0
"""How long one answer may take; a cold API on busy cores needs tens of seconds."""
SERVICES: Mapping[str, tuple[str, str, int, str]] = {
    "image": ("image", "glance", 9292, ""),
    "compute": ("compute", "nova-api", 8774, "/v2.1"),
    "network": ("network", "neutron-api", 9696, ""),
}
"""What the SDK calls a service -> its name in options, the role, its port and its path."""
IDENTITY_PORT = 5000


@contextmanager
def connect(kubectl: Kubectl, cloud: str) -> Iterator[Connection]:
    """Yield a connection as the cloud's administrator.

    Args:
        kubectl: Bound to the cloud's namespace.
        cloud: Name of the CloudController.

    Raises:
        LabError: The cloud has no administrator yet, or kubectl could not forward.
    """
    import openstack  # noqa: PLC0415 - costs a third of a second, and only a guest needs it

    account = administrator(kubectl, cloud)
    with ExitStack() as open_forwards:
        identity = open_forwards.enter_context(forward(kubectl, f"{cloud}-keystone", IDENTITY_PORT))
        options: dict[str, Any] = {}
        for name, role, port, path in SERVICES.values():
            local = open_forwards.enter_context(forward(kubectl, f"{cloud}-{role}", port))
            options[f"{name}_endpoint_override"] = f"http://127.0.0.1:{local}{path}"
        connection = openstack.connect(
            auth={**account["auth"], "auth_url": f"http://127.0.0.1:{identity}/v3"},
            region_name=account["region_name"],
            api_timeout=REQUEST_SECONDS,
            load_yaml_config=False,
            load_envvars=False,
            **options,
        )
        open_forwards.callback(connection.close)
        yield connection


def administrator(kubectl: Kubectl, cloud: str) -> dict[str, dict[str, str]]:
    """Return the account in the cloud's clouds.yaml.

    Raises:
        LabError: There is no such Secret yet.
    """
    secret = kubectl.get("secret", f"{cloud}-admin")
    if secret is None:
        raise LabError(f"the Secret {cloud}-admin is not there", remedy="wait for the controllers")
    text = base64.b64decode(secret["data"]["clouds.yaml"]).decode()
    account: dict[str, dict[str, str]] = json.loads(text)["clouds"][cloud]
    return account


@contextmanager
def forward(kubectl: Kubectl, service: str, port: int) -> Iterator[int]:
    """Yield a port of this machine that leads to a Service for as long as the block runs.

    Raises:
        LabError: kubectl did not open one in time; the detail is what it said.
    """
    command = [str(kubectl.program), "--kubeconfig", str(kubectl.kubeconfig)]
    command += ["-n", kubectl.namespace, "port-forward", f"service/{service}", f":{port}"]
    process = subprocess.Popen(
        command,
        env=shell.environment(kubectl.env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        yield _opened(process, service)
    finally:
        process.terminate()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _opened(process: subprocess.Popen[bytes], service: str) -> int:
    """Return the local port that kubectl names."""
    if process.stdout is None:
        raise LabError(f"the forward to {service} has no output")
    said, deadline = b"", time.monotonic() + FORWARD_SECONDS
    while not (found := re.search(rb"Forwarding from 127\.0\.0\.1:(\d+) ", said)):
        left = deadline - time.monotonic()
        readable = left > 0 and select.select([process.stdout], [], [], left)[0]
        chunk = process.stdout.read1(4096) if readable else b""  # type: ignore[attr-defined]
        if not chunk:
            detail = said.decode(errors="replace").strip()
            raise LabError(f"kubectl did not forward to service {service}", detail=detail)
        said += chunk
    return int(found[1])

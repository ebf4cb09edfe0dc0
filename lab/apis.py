"""The cloud's APIs from this machine: openstacksdk through port-forwards of kubectl."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import IO, TYPE_CHECKING, Any

from lab import shell
from lab.errors import LabError
from lab.kubectl import Kubectl

if TYPE_CHECKING:
    from openstack.connection import Connection

FORWARD_SECONDS = 30.0
FORWARD_PAUSE = 0.05
_OUTPUT_LIMIT = 4096
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
        keystone = f"http://127.0.0.1:{identity}/v3"
        options: dict[str, Any] = {"identity_endpoint_override": keystone}
        for name, role, port, path in SERVICES.values():
            local = open_forwards.enter_context(forward(kubectl, f"{cloud}-{role}", port))
            options[f"{name}_endpoint_override"] = f"http://127.0.0.1:{local}{path}"
        connection = openstack.connect(
            auth={**account["auth"], "auth_url": keystone},
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
        LabError: kubectl did not open one in time; the detail is what it printed.
    """
    command = [str(kubectl.program), "--kubeconfig", str(kubectl.kubeconfig)]
    command += ["-n", kubectl.namespace, "port-forward", f"service/{service}", f":{port}"]
    # A file, not a pipe: kubectl writes a line for each connection, which nobody reads later.
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            env=shell.environment(kubectl.env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            yield _opened(process, log, service)
        finally:
            process.terminate()
            process.wait()


def _opened(process: subprocess.Popen[bytes], log: IO[bytes], service: str) -> int:
    """Return the local port that kubectl names."""
    deadline = time.monotonic() + FORWARD_SECONDS
    while True:
        ended = process.poll() is not None or time.monotonic() > deadline
        output = os.pread(log.fileno(), _OUTPUT_LIMIT, 0)
        if found := re.search(rb"Forwarding from 127\.0\.0\.1:(\d+) ", output):
            return int(found[1])
        if ended:
            detail = output.decode(errors="replace").strip()
            raise LabError(f"kubectl did not forward to service {service}", detail=detail)
        time.sleep(FORWARD_PAUSE)

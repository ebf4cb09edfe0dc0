"""A real S3 server on this machine, which the cluster's pods reach at the nodes' gateway."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lab import binaries
from lab.cluster import Cluster
from lab.errors import LabError
from lab.paths import Paths
from tests.support.ports import free_port

START_SECONDS = 30
END_SECONDS = 10


@dataclass
class S3:
    """A running server; its buckets are folders.

    Attributes:
        address: host and port, as pods reach them.
        access_key: the key's id.
        secret_key: the key.
    """

    address: tuple[str, int]
    access_key: str
    secret_key: str
    folder: Path
    process: "subprocess.Popen[bytes]"

    def bucket(self, name: str) -> str:
        """Make a bucket."""
        (self.folder / name).mkdir(exist_ok=True)
        return name

    def freeze(self) -> None:
        """Let connections open and nothing be answered."""
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)


def gateway(cluster: Cluster) -> str:
    """Return this machine's address in the nodes' first network."""
    shown = "{{range .IPAM.Config}}{{.Gateway}}{{end}}"
    return cluster.docker("network", "inspect", cluster.network, "--format", shown).strip()


@contextlib.contextmanager
def serving(host: str) -> Iterator[S3]:
    """Serve S3 at an address of this machine for as long as the block runs."""
    program = binaries.tool(Paths.from_environment(), "versitygw") / "versitygw"
    port = free_port()
    access_key, secret_key = secrets.token_hex(8), secrets.token_urlsafe(24)
    environment = {
        **os.environ,
        "ROOT_ACCESS_KEY": access_key,
        "ROOT_SECRET_KEY": secret_key,
    }
    with tempfile.TemporaryDirectory(prefix="stackroles-s3-") as folder:
        command = [str(program), "--port", f"{host}:{port}", "posix", folder]
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
            served = S3((host, port), access_key, secret_key, Path(folder), process)
            try:
                _wait(served)
                yield served
            finally:
                served.thaw()
                process.terminate()
                try:
                    process.wait(END_SECONDS)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()


def _wait(served: S3) -> None:
    end = time.monotonic() + START_SECONDS
    while True:
        with contextlib.suppress(OSError), socket.create_connection(served.address, timeout=1):
            return
        if served.process.poll() is not None or time.monotonic() > end:
            raise LabError("versitygw does not listen")
        time.sleep(0.1)

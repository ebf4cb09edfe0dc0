"""The node's libvirtd, asked through its command line client."""

import os
import subprocess
from pathlib import Path

from stackroles.agents.compute.node import AgentError

_PREFIXES = ("Failed to start domain", "Failed to define domain")


class Virsh:
    """The node's libvirtd, by its command line client.

    Args:
        uri: of the connection.
    """

    def __init__(self, uri: str = "qemu:///system") -> None:
        self._uri = uri

    def define(self, definition: Path) -> None:
        """Define a domain from a file; raises AgentError."""
        self._virsh("define", str(definition))

    def start(self, name: str) -> None:
        """Start a domain; raises AgentError."""
        self._virsh("start", name)

    def state(self, name: str) -> str:
        """Return state and reason, such as "shut off (shutdown)"; raises AgentError."""
        return self._virsh("domstate", name, "--reason").strip()

    def processor_seconds(self, name: str) -> float:
        """Return how long a domain's virtual CPU has run; 0 where it does not run now."""
        for line in self._virsh("domstats", "--vcpu", name).splitlines():
            key, _, value = line.strip().partition("=")
            if key == "vcpu.0.time":
                return int(value) / 1e9
        return 0.0

    def remove(self, name: str) -> None:
        """End and forget a domain, also one that does not exist."""
        if name not in self._virsh("list", "--all", "--name").split():
            return
        if not self.state(name).startswith("shut off"):
            try:
                self._virsh("destroy", name)
            except AgentError:
                # It may have ended by itself in between.
                if not self.state(name).startswith("shut off"):
                    raise
        self._virsh("undefine", name)

    def version(self) -> str:
        """Return the version of the QEMU that libvirtd runs; raises AgentError."""
        for line in self._virsh("version").splitlines():
            if line.startswith("Running hypervisor:"):
                return line.partition(":")[2].strip()
        raise AgentError("libvirt does not name its hypervisor's version")

    def answers(self) -> bool:
        """Return whether libvirtd answers, also one that finds no emulator."""
        try:
            self._virsh("list", "--name")
        except AgentError:
            return False
        return True

    def _virsh(self, *arguments: str) -> str:
        """Return what virsh printed.

        Raises:
            AgentError: it failed; the message is libvirt's own.
        """
        command = ("virsh", "--quiet", "--connect", self._uri, *arguments)
        environment = {**os.environ, "LC_ALL": "C"}
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=60, check=False, env=environment
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise AgentError(f"virsh could not be run: {error}") from error
        if done.returncode != 0:
            raise AgentError(message_of(done.stderr) or f"virsh {arguments[0]} failed silently")
        return done.stdout


def message_of(errors: str) -> str:
    """Return libvirt's own message from what virsh wrote to its standard error."""
    lines = [line.removeprefix("error:").strip() for line in errors.splitlines()]
    cause = [line for line in lines if line and not line.startswith(_PREFIXES)]
    return " ".join(cause or [line for line in lines if line])

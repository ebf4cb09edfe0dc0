"""Where the lab keeps its files: below the user's XDG cache directory, sockets below /run."""

from __future__ import annotations

import hashlib
import os
import pwd
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
RUN = Path("/run/stackroles")


@dataclass(frozen=True, slots=True)
class Paths:
    """The directories of one user's lab; everything follows from its cache directory."""

    cache: Path

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Paths:
        """Return the paths for this environment (``XDG_CACHE_HOME``, else ``~/.cache``)."""
        base = environment.get("XDG_CACHE_HOME") or str(
            Path(environment.get("HOME", "/root")) / ".cache"
        )
        return cls(cache=Path(base) / "stackroles")

    @property
    def run(self) -> Path:
        """Sockets and mounts of the project's own docker engine: each cache has its own engine.

        Another cache than root's usual one is named by a hash: a socket's path has at most 107
        characters.
        """
        usual = Path(pwd.getpwuid(0).pw_dir) / ".cache" / "stackroles"
        cache = self.cache.resolve()
        if cache == usual.resolve():
            return RUN
        return RUN.with_name(f"{RUN.name}-{hashlib.sha256(os.fsencode(cache)).hexdigest()[:8]}")

    @property
    def docker(self) -> Path:
        """Data, log and pid file of the project's own docker engine."""
        return self.cache / "docker"

    @property
    def docker_socket(self) -> Path:
        """The socket of the project's own docker engine."""
        return self.run / "docker.sock"

    @property
    def docker_exec(self) -> Path:
        """State of the project's own docker engine while it runs: its containerd, namespaces."""
        return self.run / "docker"

    @property
    def artifacts(self) -> Path:
        """Built files, one directory for each hash of their inputs."""
        return self.cache / "artifacts"

    @property
    def types(self) -> Path:
        """What mypy knows of files by their content: a fresh clone is as good as the last one."""
        return self.cache / "mypy"

    def cluster(self, name: str) -> Path:
        """Kubeconfig, configuration and audit log of one cluster."""
        return self.cache / "clusters" / name

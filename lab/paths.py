"""Where the lab keeps its files: below the user's XDG cache directory, sockets below /run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Paths:
    """The directories of one user's lab."""

    cache: Path
    run: Path = Path("/run/stackroles")

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Paths:
        """Return the paths for this environment (``XDG_CACHE_HOME``, else ``~/.cache``)."""
        base = environment.get("XDG_CACHE_HOME") or str(
            Path(environment.get("HOME", "/root")) / ".cache"
        )
        return cls(cache=Path(base) / "stackroles")

    @property
    def docker(self) -> Path:
        """Data, log and pid file of the project's own docker engine."""
        return self.cache / "docker"

    @property
    def docker_socket(self) -> Path:
        """The socket of the project's own docker engine."""
        return self.run / "docker.sock"

    @property
    def artifacts(self) -> Path:
        """Built files, one directory for each hash of their inputs."""
        return self.cache / "artifacts"

    def cluster(self, name: str) -> Path:
        """Kubeconfig, configuration and audit log of one cluster."""
        return self.cache / "clusters" / name

"""Removing what the project started, told apart by its own labels, names and process ids."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from lab import cluster, engine, shell
from lab.engine import Engine
from lab.errors import LabError
from lab.paths import Paths


def clean(paths: Paths, *, caches: bool) -> Iterator[str]:
    """Remove clusters, networks and the project's own engine; yield a line for each of them.

    Args:
        paths: The user's lab.
        caches: Also remove everything below the project's cache directory.

    Raises:
        LabError: Something could not be removed.
    """
    running = engine.find(paths)
    if running is not None:
        yield from _clusters(paths, running)
        yield from _networks(running)
        if engine.down(paths):
            yield "the project's own docker engine stopped"
    if paths.run.exists():
        shutil.rmtree(paths.run)
    if caches and paths.cache.exists():
        if engine.own_pid(paths) is not None:
            raise LabError(
                "the project's own docker engine still runs", remedy="run `make clean` again"
            )
        shutil.rmtree(paths.cache)
        yield f"{paths.cache} removed"


def _clusters(paths: Paths, running: Engine) -> Iterator[str]:
    """Remove the clusters this user's lab made: those with a folder of their own in the cache."""
    folders = sorted((paths.cache / "clusters").glob("*/kind.yaml"))
    for name in [file.parent.name for file in folders]:
        if cluster.down(cluster.describe(paths, running, name)):
            yield f"cluster {name} removed"


def _networks(running: Engine) -> Iterator[str]:
    command = [
        "docker",
        "network",
        "ls",
        "--filter",
        f"label={cluster.LABEL}",
        "--format",
        "{{.Name}}",
    ]
    for name in shell.output(command, env=running.env).split():
        shell.output(["docker", "network", "rm", name], env=running.env)
        yield f"network {name} removed"

"""Removing what the project started, told apart by its own labels, names and process ids."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

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
    if engine.own_pid(paths) is not None:
        raise LabError(
            "the project's own docker engine runs and does not answer",
            remedy="stop it (its pid is in docker/dockerd.pid of the cache) and clean again",
        )
    for folder in (paths.run, paths.docker):
        _unmount(folder)
    if paths.run.exists():
        shutil.rmtree(paths.run)
    if caches and paths.cache.exists():
        shutil.rmtree(paths.cache)
        yield f"{paths.cache} removed"


def mounts_below(mountinfo: str, folder: Path) -> list[str]:
    """Return what is mounted below a folder, the innermost first, from /proc/self/mountinfo."""
    targets = [line.split()[4].replace("\\040", " ") for line in mountinfo.splitlines()]
    found = [target for target in targets if target.startswith(f"{folder}/")]
    return sorted(found, key=len, reverse=True)


def _unmount(folder: Path) -> None:
    """Unmount what an engine that ended left behind: network namespaces, layers of containers."""
    for target in mounts_below(Path("/proc/self/mountinfo").read_text(), folder):
        shell.output(["umount", target])


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

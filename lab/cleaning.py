"""Removing what the project started, recognized by its own labels, names and process ids."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

from lab import cluster, docker, engine, images, leftovers, shell
from lab.engine import Engine
from lab.errors import LabError
from lab.paths import Paths


def clean(paths: Paths, *, caches: bool) -> Iterator[str]:
    """Remove clusters, networks and the project's own engine; yield a line for each of them.

    Args:
        paths: The user's lab.
        caches: Also remove everything below the project's cache directory, and its images from
            an engine that the machine runs.

    Raises:
        LabError: Something could not be removed; all that could be is gone.
    """
    failed: list[str] = []
    names = made_clusters(paths)
    yield from _guarded(_own_engine(paths, names, failed), failed)
    if machines := engine.find_machines(paths):
        yield from _guarded(_resources(paths, machines, names, failed), failed)
        if caches:
            yield from _guarded(_images(machines), failed)
    if _ended(paths, failed) and caches and paths.cache.exists():
        shutil.rmtree(paths.cache)
        yield f"{paths.cache} removed"
    if failed:
        raise LabError("not everything could be removed", detail="\n".join(failed))


def made_clusters(paths: Paths) -> list[str]:
    """Return the clusters this user's lab made: those with a configuration in the cache."""
    folder = paths.cache / "clusters"
    return [file.parent.name for file in sorted(folder.glob(f"*/{cluster.CONFIG}"))]


def _guarded(lines: Iterator[str], failed: list[str]) -> Iterator[str]:
    """Pass lines on until one cannot be had: its error is kept, so that the rest goes on."""
    try:
        yield from lines
    except LabError as error:
        failed.append(error.render())


def _own_engine(paths: Paths, names: list[str], failed: list[str]) -> Iterator[str]:
    """Remove what the project's own engine holds and stop it.

    One that was killed is started for that: only an engine can take apart what one has left.
    """
    own = engine.find_own(paths)
    left = engine.has_data(paths) and (paths.run.exists() or names)
    if own is None and engine.own_pid(paths) is None and left:
        yield "starting the project's own docker engine again, to remove what it left"
        own = engine.start(paths)
    if own is not None:
        yield from _guarded(_resources(paths, own, names, failed), failed)
    if engine.down(paths):
        yield "the project's own docker engine stopped"


def _resources(paths: Paths, running: Engine, names: list[str], failed: list[str]) -> Iterator[str]:
    """Remove clusters and networks from an engine, each whether or not another could be."""
    for name in names:
        yield from _guarded(_cluster(paths, running, name), failed)
    # on an engine that others use too, a network of another cache directory is not ours
    label = cluster.LABEL if running.own else f"{cluster.LABEL}={paths.cache}"
    command = ["docker", "network", "ls", "--filter", f"label={label}", "--format", "{{.Name}}"]
    for name in shell.output(command, env=running.env).split():
        yield from _guarded(_network(running, name), failed)


def _cluster(paths: Paths, running: Engine, name: str) -> Iterator[str]:
    if cluster.down(paths, running, name):
        yield f"cluster {name} removed"


def _network(running: Engine, name: str) -> Iterator[str]:
    shell.output(["docker", "network", "rm", name], env=running.env)
    yield f"network {name} removed"


def _images(running: Engine) -> Iterator[str]:
    for name in docker.listed(running, images.PREFIX):
        shell.output(["docker", "image", "rm", name], env=running.env)
        yield f"image {name} removed"


def _ended(paths: Paths, failed: list[str]) -> bool:
    """Remove what is left of the project's own engine if it ended, and say whether it did."""
    socket = f"unix://{paths.docker_socket}"
    if engine.own_pid(paths) is not None or (paths.run.exists() and engine.answers(socket)):
        failed.append(f"a docker engine still runs at {paths.docker_socket}: stop it, clean again")
        return False
    try:
        leftovers.unmount(paths.run, paths.docker)
    except LabError as error:
        failed.append(error.render())
        return False
    if paths.run.exists():
        shutil.rmtree(paths.run)
    return True

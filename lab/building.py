"""Everything that a cluster and its tests need built, side by side."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from lab import binaries, engine, images, node_image, shell, store
from lab.artifacts import Store
from lab.engine import Engine
from lab.images import Image
from lab.paths import Paths

GUEST_FILES = ("vmlinuz", "initrd", "disk.raw", "versions")


def everything(paths: Paths, notify: Callable[[str], None]) -> dict[str, Image]:
    """Build programs and node image beside the role images, then unpack the images for the nodes.

    Returns:
        Every image of this checkout by its short name.

    Raises:
        LabError: A build failed.
    """
    running = engine.up(paths)
    notify(f"docker answers at {running.host}")
    with ThreadPoolExecutor(max_workers=2) as pool:
        node = pool.submit(_programs_and_node, paths, running)
        roles = pool.submit(images.build, paths, running, notify)
        notify(f"node image {node.result()}")
        planned = roles.result()
    guest(paths, running)
    if not node_image.is_published(node.result()):
        filled = store.for_nodes(paths, running, node.result())
        notify(f"image store {filled.name}")
    if running.own:
        for name in images.prune(running, planned):
            notify(f"removed {name}, an image of an earlier checkout")
    Store(paths.artifacts).prune()
    return planned


def _programs_and_node(paths: Paths, running: Engine) -> str:
    """Build every program, also where the published node image holds its own: tests run them."""
    name = node_image.obtain(paths, running)
    binaries.every(paths)
    return name


def guest(paths: Paths, running: Engine) -> Path:
    """Return the folder with the test guest's kernel, initramfs and disk, out of its image.

    Raises:
        LabError: The image was not built.
    """
    image = images.plan()[images.GUEST]

    def make(work: Path) -> None:
        container = shell.output(
            ["docker", "create", image.reference, "none"], env=running.env
        ).strip()
        try:
            for name in GUEST_FILES:
                command = ["docker", "cp", f"{container}:/{name}", str(work / name)]
                shell.output(command, env=running.env)
        finally:
            shell.output(["docker", "rm", container], env=running.env)

    return Store(paths.artifacts).obtain("guest", image.tag, make)

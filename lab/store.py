"""A container runtime's image store, filled once and given to every node as hard links.

Importing 2 GB of layers into three nodes unpacks the same files three times. A store is unpacked
once; each node gets a tree of hard links to it, made before its container starts. Committed layers
are only ever the lower directories of overlay mounts, so no node writes to a file that it shares,
and the page cache holds them once. What a runtime does write, its two databases, is copied.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

from lab import docker, images, node_image, shell
from lab.artifacts import Store, digest
from lab.engine import Engine
from lab.errors import LabError
from lab.paths import Paths

NAME = "store"
ROOT = "containerd"
LIST = "images.json"
FILL = """\
containerd >/tmp/containerd.log 2>&1 & pid=$!
tries=0
until ctr version >/dev/null 2>&1; do
  tries=$((tries + 1)); [ $tries -lt 100 ] || { cat /tmp/containerd.log; exit 1; }
  sleep 0.2
done
status=0
[ $# -eq 0 ] || ctr -n k8s.io images rm --sync "$@" || status=$?
[ -z "$IMPORT" ] || ctr -n k8s.io images import - || status=$?
kill $pid; wait $pid
exit $status
"""


def obtain(paths: Paths, engine: Engine, runtime: str, images: list[str]) -> Path:
    """Return the folder of a store with exactly these images, filling one where there is none.

    A new store starts as links to the last one, so only images that are new are unpacked.

    Raises:
        LabError: An image is not in the engine, or the import failed.
    """
    wanted = docker.image_ids(engine, images)
    # by identity: an image that was built again under its name is another image
    key = digest({"images": json.dumps(wanted, sort_keys=True), "fill": FILL})
    artifacts = Store(paths.artifacts)

    def make(work: Path) -> None:
        present = _start_from(paths, work)
        gone = [name for name in present if name not in wanted]
        missing = [name for name, identity in wanted.items() if present.get(name) != identity]
        _fill(
            engine,
            runtime,
            work / ROOT,
            remove=gone,
            add=missing,
            log=paths.cache / "log" / "store.log",
        )
        (work / LIST).write_text(json.dumps(wanted, indent=1))

    return artifacts.obtain(NAME, key, make)


def for_nodes(paths: Paths, engine: Engine, node_image_name: str) -> Path:
    """Return the store that this checkout's nodes start with: the components and every built image.

    Raises:
        LabError: The images could not be unpacked.
    """
    wanted = [*node_image.component_images(), *images.built(engine)]
    return obtain(paths, engine, node_image_name, wanted)


def link(store: Path, target: Path) -> None:
    """Make ``target`` a container runtime's data folder with the store's images.

    Raises:
        LabError: The copy failed.
    """
    if target.exists():
        shutil.rmtree(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    shell.output(["cp", "--archive", "--link", store / ROOT, target])
    for database in target.glob("io.containerd.*/*.db"):
        copy = database.with_suffix(".copy")
        shutil.copy2(database, copy)
        copy.rename(database)


def _start_from(paths: Paths, work: Path) -> dict[str, str]:
    """Fill ``work`` with links to the newest store there is; return its images: name -> id."""
    stores = sorted(paths.artifacts.glob(f"{NAME}-*/{LIST}"), key=lambda file: file.stat().st_mtime)
    if not stores:
        (work / ROOT).mkdir()
        return {}
    link(stores[-1].parent, work / ROOT)
    present: dict[str, str] = json.loads(stores[-1].read_text())
    return present


def _fill(
    engine: Engine, runtime: str, root: Path, *, remove: list[str], add: list[str], log: Path
) -> None:
    """Run the node image's own runtime on ``root`` and stream images from the engine into it."""
    if not add and not remove:
        return
    log.parent.mkdir(parents=True, exist_ok=True)
    env = shell.environment(engine.env)
    mount = f"{root}:/var/lib/containerd"
    command = [
        "docker",
        "run",
        "--rm",
        "--privileged",
        "--interactive",
        "--network",
        "none",
        "--volume",
        mount,
    ]
    command += ["--env", f"IMPORT={'yes' if add else ''}"]
    command += ["--entrypoint", "sh", runtime, "-c", FILL, "fill", *remove]
    if add:
        unpacked = shell.piped(["docker", "save", *add], command, log, env=engine.env)
    else:
        with log.open("ab") as sink:
            done = subprocess.run(command, stdout=sink, stderr=sink, env=env, check=False)
        unpacked = done.returncode == 0
    if not unpacked:
        raise LabError("the images could not be unpacked for the nodes", remedy=f"read {log}")

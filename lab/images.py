"""The operator's image and the role images: built once for each hash of their inputs.

An image's tag is the hash of its folder and of its parent's tag, so a tag names one content on
every machine, and an image that did not change keeps its tag when its neighbour does.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from lab import docker, shell, tools, versions
from lab.artifacts import Store, digest, tree
from lab.docker import Layer
from lab.engine import Engine
from lab.errors import LabError
from lab.paths import REPOSITORY, Paths

PREFIX = "localhost/stackroles"
BOOTSTRAPPED = f"{PREFIX}/debian:13"
PUBLISHED = "debian:trixie-slim"
OPERATOR = "operator"
GUEST = "guest"
"""Four files for glance and no programs: it is built like a role image but no node runs it."""
OPERATOR_INPUTS = (
    "pyproject.toml",
    "README.md",
    "LICENSE",
    "requirements/build.txt",
    "requirements/operator.txt",
    "operator",
)
PARENT = re.compile(r"^FROM \$\{REGISTRY\}/([a-z0-9-]+):\$\{TAG\}$", re.MULTILINE)
BY_CONTENT = re.compile(r":[0-9a-f]{16}(-unchecked)?$")
UNCHECKED = "-unchecked"
BUILDERS = 2
KEPT_BYTES = 10**9
"""What images of earlier checkouts may take on disk besides this checkout's."""

Notify = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Image:
    """One image to build.

    Attributes:
        name: Short name, as in ``images/<name>``.
        parent: Short name of the image it is built on, None for those built on a Debian base.
        tag: Hash of everything it is built from.
    """

    name: str
    parent: str | None
    tag: str

    @property
    def reference(self) -> str:
        """Full name with the tag."""
        return f"{PREFIX}/{self.name}:{self.tag}"


def plan(root: Path = REPOSITORY) -> dict[str, Image]:
    """Return every image of this checkout by its short name, parents before children.

    Raises:
        LabError: Two images are built on each other, or one is built on an image that is not there.
    """
    folders = {
        file.parent.name: file.parent for file in sorted((root / "images").glob("*/Dockerfile"))
    }
    parents = {name: _parent(folder) for name, folder in folders.items()}
    planned: dict[str, Image] = {}
    while remaining := [name for name in folders if name not in planned]:
        possible = [name for name in remaining if parents[name] is None or parents[name] in planned]
        if not possible:
            raise LabError(
                f"built on each other or on an image that is not there: {', '.join(remaining)}",
                remedy="look at the FROM lines of their Dockerfiles",
            )
        for name in possible:
            parent = parents[name]
            made_of = planned[parent].tag if parent else f"{BOOTSTRAPPED} {versions.ROLE_SUITE}"
            planned[name] = Image(name, parent, digest({**tree(folders[name]), "FROM": made_of}))
    if (root / "Dockerfile").is_file():
        planned[OPERATOR] = Image(OPERATOR, None, digest(_operator_inputs(root)))
    return planned


def tags(planned: Mapping[str, Image]) -> dict[str, str]:
    """Return short name -> tag of the role images, as the chart's ``roleImages.tags`` takes it."""
    return {name: item.tag for name, item in planned.items() if name not in {OPERATOR, GUEST}}


def built(engine: Engine) -> list[str]:
    """Return the names of this checkout's images that the engine has and that pods run."""
    references = [item.reference for item in plan().values() if item.name != GUEST]
    return [reference for reference in references if docker.has_image(engine, reference)]


def build(paths: Paths, engine: Engine, notify: Notify) -> dict[str, Image]:
    """Build what is missing, side by side where one does not need the other; return all images.

    Raises:
        LabError: A build failed.
    """
    planned = plan()
    done = {item.name for item in planned.values() if docker.has_image(engine, item.reference)}
    if len(done) == len(planned):
        return planned
    base = _debian(paths, engine, notify)
    running: dict[Future[None], Image] = {}
    with ThreadPoolExecutor(max_workers=BUILDERS) as pool:
        while len(done) < len(planned):
            started = done | {item.name for item in running.values()}
            for item in [item for item in planned.values() if item.name not in started]:
                if item.parent is None or item.parent in done:
                    running[pool.submit(_build, paths, engine, item, planned, base)] = item
            finished, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in finished:
                item = running.pop(future)
                future.result()
                done.add(item.name)
                notify(f"built {item.name} ({len(done)}/{len(planned)})")
    return planned


def prune(engine: Engine, planned: Mapping[str, Image], keep: int = KEPT_BYTES) -> list[str]:
    """Remove images of earlier checkouts from the project's own engine; return their names.

    The newest stay as long as what they add to this checkout's fits in ``keep`` bytes. What a
    container uses stays too.
    """
    # what nothing names is the cache of recent builds, maybe of one that is going on
    command = ["docker", "image", "prune", "--force", "--filter", "until=2h"]
    shell.output(command, env=engine.env)
    ages = docker.listed(engine, PREFIX)
    current = {item.reference for item in planned.values()}
    earlier = [name for name in ages if name not in current and BY_CONTENT.search(name)]
    if not earlier:
        return []
    layers = {name: docker.layers(engine, name) for name in (*earlier, *(current & ages.keys()))}
    held = {layer for name in current & ages.keys() for layer in layers[name]}
    stale = stale_tags(
        sorted(earlier, key=lambda name: (ages[name], name)), layers, held=held, keep=keep
    )
    return [tag for tag in stale if shell.succeeds(["docker", "image", "rm", tag], env=engine.env)]


def stale_tags(
    earlier: Sequence[str],
    layers: Mapping[str, Sequence[Layer]],
    *,
    held: Collection[Layer],
    keep: int,
) -> list[str]:
    """Return the images of earlier checkouts that do not fit any more.

    Args:
        earlier: Their names, the newest first.
        layers: Image name -> its layers.
        held: The layers of this checkout's images, which cost nothing more.
        keep: How many bytes the others may add.
    """
    kept, total = set(held), 0
    for number, name in enumerate(earlier):
        added = set(layers[name]) - kept
        total += sum(layer.size for layer in added)
        if total > keep:
            return list(earlier[number:])
        kept |= added
    return []


def _build(
    paths: Paths, engine: Engine, item: Image, planned: Mapping[str, Image], base: str
) -> None:
    log = paths.cache / "log" / f"image-{item.name}.log"
    if item.parent is not None:
        arguments = {"REGISTRY": PREFIX, "TAG": planned[item.parent].tag}
    else:
        arguments = {"BASE": base}
        if base == BOOTSTRAPPED:
            arguments["APT_URI"] = tools.archive_uri(tools.apt_sources())
    if item.name != OPERATOR:
        _build_role(engine, item, log, arguments)
        return
    arguments["PIP_ARGS"] = "--no-index --find-links requirements/wheels"
    files = {name: REPOSITORY / name for name in OPERATOR_INPUTS if (REPOSITORY / name).exists()}
    files["requirements/wheels"] = wheels(paths)
    docker.build_from(
        engine,
        item.reference,
        (REPOSITORY / "Dockerfile").read_text(),
        files,
        log,
        arguments=arguments,
    )


def _build_role(engine: Engine, item: Image, log: Path, arguments: Mapping[str, str]) -> None:
    """Build an image of a role; it gets its name once its own check has passed."""
    folder = REPOSITORY / "images"
    candidate = f"{item.tag}{UNCHECKED}"
    name = f"{PREFIX}/{item.name}:{candidate}"
    docker.build(engine, name, folder / item.name, log, arguments=arguments)
    if item.name != GUEST:  # it holds no programs: booting it is its check
        env = {**engine.env, "REGISTRY": PREFIX, "TAG": candidate}
        shell.logged([folder / "check.sh", item.name], log, env=env)
    shell.output(["docker", "tag", name, item.reference], env=engine.env)
    shell.output(["docker", "image", "rm", name], env=engine.env)


def wheels(paths: Paths) -> Path:
    """Return a folder with the operator's wheels, fetched by the hashes its requirements hold.

    They are fetched on this machine: a build container does not have the certificates or the proxy
    settings that pip may need here.

    Raises:
        LabError: A wheel could not be fetched.
    """
    requirements = [REPOSITORY / "requirements" / name for name in ("build.txt", "operator.txt")]

    def make(work: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"]
        command += ["--dest", str(work)]
        command += ["--only-binary=:all:", "--python-version=3.13", "--implementation=cp"]
        command += [f"--platform={tag}" for tag in _platforms()]
        for file in requirements:
            shell.logged([*command, "--requirement", file], paths.cache / "log" / "wheels.log")

    return Store(paths.artifacts).obtain("wheels", digest(tree(REPOSITORY, requirements)), make)


def _platforms() -> list[str]:
    """Return the platform tags that Debian 13 (glibc 2.41) takes, newest first."""
    machine = platform.machine()
    return [
        *(f"manylinux_2_{minor}_{machine}" for minor in range(41, 4, -1)),
        f"manylinux2014_{machine}",
    ]


def _debian(paths: Paths, engine: Engine, notify: Notify) -> str:
    """Return the Debian 13 image to build on: the published one, else a bootstrapped one."""
    if not engine.own and docker.can_have(engine, PUBLISHED):
        return PUBLISHED
    if not docker.has_image(engine, BOOTSTRAPPED):
        notify("bootstrapping Debian 13 from this machine's package archive")
        uri = tools.archive_uri(tools.apt_sources())
        docker.bootstrap(
            engine,
            BOOTSTRAPPED,
            suite=versions.ROLE_SUITE,
            packages=(),
            uri=uri,
            log=paths.cache / "log" / "debian.log",
        )
    return BOOTSTRAPPED


def _parent(folder: Path) -> str | None:
    found = PARENT.search((folder / "Dockerfile").read_text())
    return found.group(1) if found else None


def _operator_inputs(root: Path) -> dict[str, bytes]:
    files = [root / "Dockerfile"]
    for name in OPERATOR_INPUTS:
        path = root / name
        files += path.rglob("*") if path.is_dir() else [path]
    return tree(root, files)

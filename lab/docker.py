"""The docker commands the lab uses."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lab import shell
from lab.engine import Engine
from lab.errors import LabError

KEY_LABEL = "dev.stackroles.key"
"""Image label with the hash of what the image was built from."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One line of an image's history: images that share a layer have the same one."""

    created: str
    by: str
    size: int


def has_image(engine: Engine, tag: str) -> bool:
    """Return whether the engine has an image of this name."""
    return shell.succeeds(["docker", "image", "inspect", tag], env=engine.env)


def image_key(engine: Engine, tag: str) -> str:
    """Return the hash of what an image was built from, or an empty string where there is none."""
    try:
        command = [
            "docker",
            "image",
            "inspect",
            "--format",
            f'{{{{index .Config.Labels "{KEY_LABEL}"}}}}',
            tag,
        ]
        return shell.output(command, env=engine.env).strip()
    except LabError:
        return ""


def image_ids(engine: Engine, tags: Sequence[str]) -> dict[str, str]:
    """Return image name -> image id.

    Raises:
        LabError: One of them is not there.
    """
    listed = shell.output(
        ["docker", "image", "inspect", "--format", "{{.Id}}", *tags], env=engine.env
    ).split()
    return dict(zip(tags, listed, strict=True))


def listed(engine: Engine, prefix: str, now: datetime | None = None) -> dict[str, float]:
    """Return the engine's images whose name starts with ``prefix``: name -> age in days."""
    command = ["docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}\t{{.CreatedAt}}"]
    found = {}
    for line in shell.output(command, env=engine.env).splitlines():
        name, created = line.split("\t")
        if name.startswith(f"{prefix}/"):
            made = datetime.strptime(" ".join(created.split()[:3]), "%Y-%m-%d %H:%M:%S %z")
            found[name] = ((now or datetime.now(UTC)) - made).total_seconds() / 86400
    return found


def layers(engine: Engine, tag: str) -> tuple[Layer, ...]:
    """Return the layers of an image.

    Raises:
        LabError: There is no such image.
    """
    command = ["docker", "history", "--no-trunc", "--human=false", "--format", "{{json .}}", tag]
    entries = map(json.loads, shell.output(command, env=engine.env).splitlines())
    return tuple(
        Layer(entry["CreatedAt"], entry["CreatedBy"], int(entry["Size"])) for entry in entries
    )


def can_have(engine: Engine, tag: str) -> bool:
    """Return whether the engine has a published image or can pull it, pulling it."""
    if has_image(engine, tag):
        return True
    return shell.succeeds(["docker", "pull", "--quiet", tag], env=engine.env, timeout=600)


def build(
    engine: Engine,
    tag: str,
    context: Path,
    log: Path,
    *,
    arguments: Mapping[str, str],
    file: Path | None = None,
) -> None:
    """Build an image from a folder.

    Raises:
        LabError: The build failed; the detail holds its last lines.
    """
    command = ["docker", "build", "--network", "host", "--tag", tag]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    if file is not None:
        command += ["--file", str(file)]
    shell.logged([*command, str(context)], log, env=engine.env)


def build_from(
    engine: Engine,
    tag: str,
    dockerfile: str,
    files: Mapping[str, Path],
    log: Path,
    *,
    arguments: Mapping[str, str] | None = None,
) -> None:
    """Build an image from a Dockerfile's text and what it copies: name in the context -> path.

    Raises:
        LabError: The build failed; the detail holds its last lines.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="stackroles-", dir=log.parent) as name:
        context = Path(name)
        (context / "Dockerfile").write_text(dockerfile)
        for target, source in files.items():
            (context / target).parent.mkdir(parents=True, exist_ok=True)
            if source.is_dir():
                ignore = shutil.ignore_patterns("__pycache__")
                shutil.copytree(source, context / target, symlinks=True, ignore=ignore)
            else:
                shutil.copy2(source, context / target)
        build(engine, tag, context, log, arguments=arguments or {})


def bootstrap(
    engine: Engine, tag: str, *, suite: str, packages: tuple[str, ...], uri: str, log: Path
) -> None:
    """Make an image of a minimal Debian with some packages, from a Debian archive alone.

    Raises:
        LabError: mmdebstrap or the import failed.
    """
    command = ["mmdebstrap", "--variant=minbase", "--format=tar"]
    if packages:
        command.append(f"--include={','.join(packages)}")
    log.parent.mkdir(parents=True, exist_ok=True)
    maker, taker = [*command, suite, "-", uri], ["docker", "import", "-", tag]
    if not shell.piped(maker, taker, log, env=engine.env):
        shell.succeeds(["docker", "image", "rm", tag], env=engine.env)
        raise LabError(f"making {tag} from Debian's {suite} packages failed", remedy=f"read {log}")

"""The docker commands the lab uses."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from lab import shell
from lab.engine import Engine
from lab.errors import LabError


def has_image(engine: Engine, tag: str) -> bool:
    """Say whether the engine has an image of this name."""
    return shell.succeeds(["docker", "image", "inspect", tag], env=engine.env)


def build(
    engine: Engine,
    tag: str,
    dockerfile: str,
    files: Mapping[str, Path],
    log: Path,
) -> None:
    """Build an image from a Dockerfile's text and the files it copies (name in the context -> file or folder).

    Raises:
        LabError: The build failed; the detail holds its last lines.
    """
    with tempfile.TemporaryDirectory(prefix="stackroles-", dir=log.parent) as name:
        context = Path(name)
        (context / "Dockerfile").write_text(dockerfile)
        for target, source in files.items():
            if source.is_dir():
                shutil.copytree(source, context / target)
            else:
                shutil.copy2(source, context / target)
        command = ["docker", "build", "--network", "host", "--tag", tag, str(context)]
        shell.logged(command, log, env=engine.env)


def bootstrap(engine: Engine, tag: str, suite: str, packages: tuple[str, ...], uri: str, log: Path) -> None:
    """Make an image of a minimal Debian with some packages, from a Debian archive alone.

    Raises:
        LabError: mmdebstrap or the import failed.
    """
    command = ["mmdebstrap", "--variant=minbase", "--format=tar"]
    if packages:
        command.append(f"--include={','.join(packages)}")
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        maker = subprocess.Popen(
            [*command, suite, "-", uri], stdout=subprocess.PIPE, stderr=sink, env=shell.environment()
        )
        taker = subprocess.run(
            ["docker", "import", "-", tag],
            stdin=maker.stdout,
            stdout=sink,
            stderr=sink,
            env=shell.environment(engine.env),
            check=False,
        )
        made = maker.wait()
    if made or taker.returncode:
        shell.succeeds(["docker", "image", "rm", tag], env=engine.env)
        raise LabError(f"making {tag} from Debian's {suite} packages failed", remedy=f"read {log}")

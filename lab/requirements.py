"""The hash-pinned requirement files, made from what pyproject.toml asks for."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path
from typing import Any

from lab import shell
from lab.paths import REPOSITORY

TOOLS = ("pip-tools>=7.5", "hatchling==1.33.0", "editables>=0.5")
"""What makes the environment: this command, and the build of the project without isolation."""


def wanted(project: dict[str, Any]) -> list[str]:
    """Return the requirement lines of the development environment, from pyproject.toml."""
    listed = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *TOOLS]
    return sorted(listed, key=str.lower)


def compile_dev(target: Path = REPOSITORY / "requirements" / "dev.txt") -> None:
    """Write the development environment's requirement file; versions in it stay while they fit.

    Raises:
        LabError: The versions do not fit together.
    """
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    command = [
        sys.executable,
        "-m",
        "piptools",
        "compile",
        "--quiet",
        "--generate-hashes",
        "--allow-unsafe",
    ]
    command += [
        "--strip-extras",
        "--no-header",
        "--no-annotate",
        "--no-emit-index-url",
        "--no-emit-options",
    ]
    command += ["--no-emit-trusted-host", "--no-emit-find-links", "--output-file", str(target), "-"]
    shell.output(command, stdin="\n".join(wanted(project)), cwd=REPOSITORY)

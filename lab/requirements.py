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


_FOLDER = REPOSITORY / "requirements"


def wanted(project: dict[str, Any]) -> list[str]:
    """Return the requirement lines of the development environment, from pyproject.toml."""
    listed = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"], *TOOLS]
    return sorted(listed, key=str.lower)


def compile_all() -> None:
    """Write the requirement files; versions in them stay while they fit.

    What tests mutants is not part of the environment, and has the same versions of what both need.

    Raises:
        LabError: The versions do not fit together.
    """
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    _compile(_FOLDER / "dev.txt", wanted(project))
    lines = [f"--constraint {_FOLDER / 'dev.txt'}", *project["dependency-groups"]["mutants"]]
    _compile(_FOLDER / "mutants.txt", lines)


def _compile(target: Path, lines: list[str]) -> None:
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
    shell.output(command, stdin="\n".join(lines), cwd=REPOSITORY)

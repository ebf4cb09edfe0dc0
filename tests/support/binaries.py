"""Where the real programs are that tests run: helm, etcd, the Kubernetes servers."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class BinaryMissingError(Exception):
    """A program that a test needs is not on this machine."""


@functools.cache
def binary(name: str) -> Path:
    """Return a program: from the folders in STACKROLES_BIN, else from the lab, else from PATH.

    Raises:
        BinaryMissingError: it is in none of them.
    """
    if found := shutil.which(name, path=os.environ.get("STACKROLES_BIN", "")):
        return Path(found)
    if found := shutil.which(name, path=_lab_folders()):
        return Path(found)
    if found := shutil.which(name):
        return Path(found)
    raise BinaryMissingError(
        f"{name} is not here: run `.venv/bin/python -m lab bin`, or set STACKROLES_BIN"
    )


@functools.cache
def _lab_folders() -> str:
    """Return the lab's folders of programs, joined as in PATH; empty when it has none."""
    command = [sys.executable, "-m", "lab", "bin"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if result.returncode:
        return ""
    return os.pathsep.join(result.stdout.replace(os.pathsep, "\n").split())

"""What the lab's files take on disk."""

from __future__ import annotations

import subprocess
from pathlib import Path

from lab import binaries, shell
from lab.errors import LabError
from lab.paths import Paths

LIMIT_GB = 25


def line(paths: Paths) -> str:
    """Return one line that says how much disk the lab uses.

    Raises:
        LabError: It could not be counted.
    """
    own, go = taken(paths.cache), taken(binaries.go_cache())
    text = f"on disk: {own / 1e9:.1f} GB in {paths.cache}, {go / 1e9:.1f} GB in Go's build cache"
    if own + go > LIMIT_GB * 1e9:
        text += f"; more than {LIMIT_GB} GB: `make clean CACHES=1`, `go clean -cache`"
    return text


def taken(folder: Path) -> int:
    """Return the bytes below a folder; a file with several names counts once, mounts do not.

    Raises:
        LabError: du counted nothing.
    """
    if not folder.exists():
        return 0
    # it ends with a failure when a file goes while it counts, as those of containers do
    command = ["du", "--one-file-system", "--summarize", "--block-size=1", str(folder)]
    done = subprocess.run(
        command, capture_output=True, text=True, env=shell.environment(), check=False
    )
    if not done.stdout:
        raise LabError(f"the size of {folder} is not known", detail=done.stderr)
    return int(done.stdout.split()[0])

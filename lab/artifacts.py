"""Built files kept by the hash of what they were built from: the same inputs are built once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

KEPT = 2
"""How many results of one name are kept: the present one and the one before."""
KEPT_SECONDS = 24 * 3600
"""How long the one before is kept without being used: for those who go back and forth."""


def digest(inputs: Mapping[str, str | bytes]) -> str:
    """Return 16 hexadecimal digits for these inputs; names matter, their order does not."""
    total = hashlib.sha256()
    for name, value in sorted(inputs.items()):
        data = value.encode() if isinstance(value, str) else value
        total.update(f"{name}\0{len(data)}\0".encode())
        total.update(data)
    return total.hexdigest()[:16]


def tree(root: Path, paths: Iterable[Path] | None = None) -> dict[str, bytes]:
    """Return the files below ``root`` as inputs of a digest: name and mode -> content.

    Args:
        root: The folder that names are relative to.
        paths: The files to take; all below ``root`` if not given.
    """
    found = sorted(path for path in (root.rglob("*") if paths is None else paths) if path.is_file())
    ignored = {"__pycache__"}
    return {
        f"{path.relative_to(root)} {'x' if os.access(path, os.X_OK) else '-'}": path.read_bytes()
        for path in found
        if not ignored.intersection(path.parts)
    }


class Store:
    """A folder of results, one folder each, named after the result and the hash of its inputs."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def location(self, name: str, key: str) -> Path:
        """Return where a result is or will be."""
        return self.root / f"{name}-{key}"

    def obtain(self, name: str, key: str, make: Callable[[Path], None]) -> Path:
        """Return the folder of a result, letting ``make`` fill an empty folder if it is not there.

        A result appears whole or not at all; two commands at once build it once.
        """
        target = self.location(name, key)
        if target.is_dir():
            target.touch()
            return target
        self.root.mkdir(parents=True, exist_ok=True)
        with self._lock(name):
            if target.is_dir():
                return target
            work = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=self.root))
            try:
                make(work)
                work.chmod(0o755)
                work.rename(target)
            finally:
                shutil.rmtree(work, ignore_errors=True)
            self._prune(name)
        return target

    def prune(self) -> None:
        """Remove results of earlier checkouts, and what makers that were killed have left."""
        for lock in sorted(self.root.glob(".*.lock")):
            name = lock.name[1 : -len(".lock")]
            with self._lock(name):
                self._prune(name)

    def _prune(self, name: str) -> None:
        """Do it for one name, whose lock is held: nobody makes a result of it now."""
        results = [path for path in self.root.glob(f"{name}-*") if _is_of(path, name)]
        results.sort(key=lambda path: path.stat().st_mtime, reverse=True)
        oldest = time.time() - KEPT_SECONDS
        for number, old in enumerate(results):
            if number >= KEPT or (number and old.stat().st_mtime < oldest):
                shutil.rmtree(old)
        for work in [path for path in self.root.glob(f".{name}-*") if _is_of(path, f".{name}")]:
            shutil.rmtree(work)

    @contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        with (self.root / f".{name}.lock").open("w") as handle:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield


def _is_of(path: Path, name: str) -> bool:
    """Tell a folder of this name from one of a name that starts with it."""
    return path.is_dir() and "-" not in path.name[len(name) + 1 :]

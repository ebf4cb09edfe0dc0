"""The docker engine: one that runs already, else the project's own with its own socket."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lab import shell, tools
from lab.errors import LabError
from lab.paths import REPOSITORY, Paths

CAP_SYS_RESOURCE = 24
START_SECONDS = 60
STOP_SECONDS = 60
WRAPPER = REPOSITORY / "lab" / "node" / "usr" / "local" / "sbin" / "runc-restricted"


@dataclass(frozen=True, slots=True)
class Engine:
    """A docker engine and how to reach it."""

    host: str
    own: bool

    @property
    def env(self) -> dict[str, str]:
        """What every program that talks to this engine needs in its environment."""
        return {"DOCKER_HOST": self.host, "DOCKER_BUILDKIT": "0"}


def find(paths: Paths) -> Engine | None:
    """Return the engine that answers: the project's own, else the one the environment names."""
    own = Engine(f"unix://{paths.docker_socket}", own=True)
    if paths.docker_socket.exists() and answers(own.host):
        return own
    host = os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")
    return Engine(host, own=False) if host != own.host and answers(host) else None


def get(paths: Paths) -> Engine:
    """Return the engine that answers.

    Raises:
        LabError: None does.
    """
    engine = find(paths)
    if engine is None:
        raise LabError("no docker engine answers", remedy="run `python -m lab docker up`")
    return engine


def answers(host: str) -> bool:
    """Say whether a docker engine answers at ``host``."""
    return shell.succeeds(["docker", "version"], env={"DOCKER_HOST": host}, timeout=10)


def has_capability(status: str, capability: int) -> bool:
    """Say whether the text of /proc/<pid>/status grants an effective capability."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def dockerd_arguments(paths: Paths, *, restricted: bool) -> list[str]:
    """Return the command line of the project's own engine."""
    arguments = [
        "dockerd",
        f"--host=unix://{paths.docker_socket}",
        f"--data-root={paths.docker / 'data'}",
        f"--exec-root={paths.run / 'docker'}",
        f"--pidfile={paths.docker / 'dockerd.pid'}",
        "--storage-driver=overlay2",
    ]
    if restricted:
        arguments += [
            f"--add-runtime=restricted={paths.docker / 'runc-restricted'}",
            "--default-runtime=restricted",
        ]
    return arguments


def up(paths: Paths) -> Engine:
    """Return a docker engine that answers, starting the project's own where there is none.

    Raises:
        LabError: Its packages could not be installed or it did not start.
    """
    engine = find(paths)
    if engine is not None:
        return engine
    paths.docker.mkdir(parents=True, exist_ok=True)
    with _lock(paths.docker / "lock"):
        tools.ensure(tools.PROGRAMS, paths.docker / "apt.log")
        engine = find(paths)  # another command may just have started it
        if engine is None and own_pid(paths) is not None:
            raise LabError(
                "the project's own docker engine runs and does not answer",
                detail=shell.tail(_log(paths).read_text(errors="replace")),
                remedy="`python -m lab docker down`, then again",
            )
        return engine or _start(paths)


def down(paths: Paths) -> bool:
    """Stop the project's own engine and return whether one ran.

    Raises:
        LabError: It did not end.
    """
    pid = own_pid(paths)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + STOP_SECONDS
    while own_pid(paths) is not None:
        if time.monotonic() > deadline:
            raise LabError(
                f"dockerd (pid {pid}) did not end in {STOP_SECONDS} s", remedy=f"read {_log(paths)}"
            )
        time.sleep(0.2)
    return True


def own_pid(paths: Paths) -> int | None:
    """Return the process id of the project's own engine while it runs.

    The pid file alone is not believed: the process must have it on its command line.
    """
    file = paths.docker / "dockerd.pid"
    try:
        pid = int(file.read_text())
        command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (FileNotFoundError, ProcessLookupError, ValueError):
        return None
    return pid if f"--pidfile={file}".encode() in command else None


def _start(paths: Paths) -> Engine:
    paths.run.mkdir(parents=True, exist_ok=True)
    # one left by a crash may name a process of somebody else's by now, and dockerd would refuse
    (paths.docker / "dockerd.pid").unlink(missing_ok=True)
    restricted = not has_capability(Path("/proc/self/status").read_text(), CAP_SYS_RESOURCE)
    if restricted:
        wrapper = paths.docker / "runc-restricted"
        wrapper.write_text(WRAPPER.read_text())
        wrapper.chmod(0o755)
    with _log(paths).open("ab") as log:
        process = subprocess.Popen(
            dockerd_arguments(paths, restricted=restricted),
            env=shell.environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            cwd="/",
        )
    engine = Engine(f"unix://{paths.docker_socket}", own=True)
    deadline = time.monotonic() + START_SECONDS
    while not answers(engine.host):
        if process.poll() is not None or time.monotonic() > deadline:
            raise LabError(
                "dockerd did not start",
                detail=shell.tail(_log(paths).read_text(errors="replace")),
                remedy=f"read {_log(paths)}",
            )
        time.sleep(0.2)
    return engine


def _log(paths: Paths) -> Path:
    return paths.docker / "dockerd.log"


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield

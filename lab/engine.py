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

from lab import leftovers, shell, tools
from lab.errors import LAB, LabError
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
    return find_own(paths) or find_machines(paths)


def find_own(paths: Paths) -> Engine | None:
    """Return the project's own engine of this cache directory, if it answers."""
    own = _own(paths)
    return own if own_pid(paths) is not None and answers(own.host) else None


def find_machines(paths: Paths) -> Engine | None:
    """Return the engine that the environment names or this machine runs, if it answers."""
    host = os.environ.get("DOCKER_HOST", leftovers.USUAL_HOST)
    return Engine(host, own=False) if host != _own(paths).host and answers(host) else None


def get(paths: Paths) -> Engine:
    """Return the engine that answers.

    Raises:
        LabError: None does.
    """
    engine = find(paths)
    if engine is None:
        raise LabError("no docker engine answers", remedy=f"run `{LAB} docker up`")
    return engine


def has_data(paths: Paths) -> bool:
    """Return whether the project's own engine was ever started here."""
    return _data(paths).exists()


def answers(host: str) -> bool:
    """Return whether a docker engine answers at ``host``."""
    return shell.succeeds(["docker", "version"], env={"DOCKER_HOST": host}, timeout=10)


def has_capability(status: str, capability: int) -> bool:
    """Return whether the text of /proc/<pid>/status grants an effective capability."""
    for line in status.splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> capability & 1)
    return False


def dockerd_arguments(paths: Paths, *, restricted: bool) -> list[str]:
    """Return the command line of the project's own engine."""
    arguments = [
        "dockerd",
        f"--host=unix://{paths.docker_socket}",
        f"--data-root={_data(paths)}",
        f"--exec-root={paths.docker_exec}",
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

    The Debian packages that builds need are installed in either case.

    Raises:
        LabError: The packages could not be installed or the engine did not start.
    """
    paths.docker.mkdir(parents=True, exist_ok=True)
    with _lock(paths.docker / "lock"):
        tools.ensure(tools.needed(engine_answers=find(paths) is not None), paths.docker / "apt.log")
        engine = find(paths)  # the program that asks it may just have been installed
        if engine is None and own_pid(paths) is not None:
            raise LabError(
                "the project's own docker engine runs and does not answer",
                detail=shell.tail(_log(paths).read_text(errors="replace")),
                remedy=f"`{LAB} docker down`, then again",
            )
        return engine or start(paths)


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


def start(paths: Paths) -> Engine:
    """Start the project's own engine, which does not run.

    Raises:
        LabError: It did not start.
    """
    _make_room(paths)
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
    engine = _own(paths)
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


def _make_room(paths: Paths) -> None:
    """Remove what an engine of this cache directory that was killed has left.

    Raises:
        LabError: An engine that is not ours answers at the socket.
    """
    if answers(_own(paths).host):
        raise LabError(
            f"another docker engine answers at {paths.docker_socket}",
            remedy="stop it: its process names that socket on its command line",
        )
    # one left by a crash may name a process of somebody else's by now, and dockerd would refuse
    (paths.docker / "dockerd.pid").unlink(missing_ok=True)
    alive = [line for line in leftovers.command_lines() if leftovers.names(paths.docker_exec, line)]
    if not alive:
        leftovers.unmount(paths.run, paths.docker)
    # where containers outlived it, the new engine takes them over and ends them in order; its
    # containerd it would wait for in vain when the pid is one that is not that any more
    if not any(Path(line[0]).name == "containerd" for line in alive):
        (paths.docker_exec / "containerd" / "containerd.pid").unlink(missing_ok=True)
    paths.run.mkdir(parents=True, exist_ok=True)


def _data(paths: Paths) -> Path:
    return paths.docker / "data"


def _own(paths: Paths) -> Engine:
    return Engine(f"unix://{paths.docker_socket}", own=True)


def _log(paths: Paths) -> Path:
    return paths.docker / "dockerd.log"


@contextmanager
def _lock(file: Path) -> Iterator[None]:
    with file.open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield

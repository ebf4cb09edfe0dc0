"""Running other programs: output to a log, and an error that shows its last lines."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab.errors import LAB, LabError

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
TAIL_LINES = 25


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return this environment with the administrators' folders in PATH and ``extra`` on top."""
    merged = dict(os.environ)
    merged["PATH"] = f"{merged.get('PATH', '')}:{SYSTEM_PATH}".lstrip(":")
    merged.update(extra or {})
    return merged


def tail(text: str, lines: int = TAIL_LINES) -> str:
    """Return the last ``lines`` lines of ``text``."""
    return "\n".join(text.rstrip().splitlines()[-lines:])


def output(
    command: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: str | None = None,
    timeout: float | None = None,
) -> str:
    """Run a command and return its standard output.

    Raises:
        LabError: The command is not there, failed (its last lines are the detail) or did not end
            in time.
    """
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=environment(env),
            cwd=cwd,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise LabError(
            f"{command[0]} is not on this machine",
            remedy=f"install it; `{LAB} docker up` brings Debian's",
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LabError(f"`{shown(command)}` did not end in {timeout:.0f} s") from error
    if done.returncode != 0:
        raise LabError(
            f"`{shown(command)}` ended with status {done.returncode}",
            detail=tail(done.stdout + done.stderr),
        )
    return done.stdout


def logged(
    command: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: Path | None = None,
) -> None:
    """Run a command whose output is appended to ``log``.

    Raises:
        LabError: The command failed; the detail holds its last lines and the log's path.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink, (stdin or Path(os.devnull)).open("rb") as source:
        start = sink.tell()
        sink.write(f"$ {shown(command)}\n".encode())
        sink.flush()
        try:
            done = subprocess.run(
                [str(part) for part in command],
                env=environment(env),
                cwd=cwd,
                stdin=source,
                stdout=sink,
                stderr=subprocess.STDOUT,
                check=False,
            )
        except FileNotFoundError as error:
            raise LabError(
                f"{command[0]} is not on this machine",
                remedy=f"install it; `{LAB} docker up` brings Debian's",
            ) from error
    if done.returncode != 0:
        with log.open("rb") as written:
            written.seek(start)
            lines = tail(written.read().decode(errors="replace"))
        raise LabError(
            f"`{shown(command)}` ended with status {done.returncode}",
            detail=lines,
            remedy=f"read {log}",
        )


def piped(
    first: Sequence[str | Path],
    second: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
) -> bool:
    """Run two commands, the first's output as the second's input; say whether both succeeded.

    What else they write is appended to ``log``.
    """
    with log.open("ab") as sink:
        source = subprocess.Popen(
            [str(part) for part in first],
            stdout=subprocess.PIPE,
            stderr=sink,
            env=environment(env),
        )
        done = subprocess.run(
            [str(part) for part in second],
            stdin=source.stdout,
            stdout=sink,
            stderr=sink,
            env=environment(env),
            check=False,
        )
        # With our end open the first would wait for ever where the second ended before it.
        if source.stdout is not None:
            source.stdout.close()
        return source.wait() == 0 and done.returncode == 0


def succeeds(
    command: Sequence[str | Path], *, env: Mapping[str, str] | None = None, timeout: float = 30
) -> bool:
    """Return whether a command ends with success; a missing program or a timeout is a no."""
    try:
        done = subprocess.run(
            [str(part) for part in command],
            env=environment(env),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=timeout,
            check=False,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def shown(command: Sequence[str | Path]) -> str:
    """Return a command as it is shown in messages: at most 160 characters."""
    text = " ".join(str(part) for part in command)
    return text if len(text) <= 160 else f"{text[:157]}..."

"""What the agents of a compute node share: settings, running programs, termination messages."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from stackroles.agents import wire
from stackroles.agents.text import shorten

T = TypeVar("T")

SETTINGS = Path("/etc/stackroles/compute.json")
# Shown by the API as the container's termination message; the operator repeats it in a condition.
TERMINATION_LOG = Path("/dev/termination-log")
TERMINATION_LOG_LIMIT = 4000
# libvirt's name of the guest by which a node shows that it runs guests (probe_guest.py).
PROBE_GUEST = "stackroles-probe"


class AgentError(Exception):
    """What is wrong on this node, in a sentence for people."""


def settings(kind: type[T]) -> T:
    """Return the settings mounted into this pod.

    A pod gets those that its agents read and no others, so that a changed one rolls only the pods
    that read it.

    Args:
        kind: what the agent's protocol module declares.

    Raises:
        AgentError: they are of another form.
        OSError: there are none.
    """
    try:
        return wire.loads(kind, SETTINGS.read_bytes())
    except wire.WireError as error:
        raise AgentError(f"the settings in {SETTINGS} cannot be read: {error}") from error


def node_name() -> str:
    """Return the Kubernetes name of this node."""
    return os.environ["NODE_NAME"]


def run(*command: str) -> str:
    """Return what a program printed.

    Raises:
        AgentError: it failed or did not end; the message holds its output.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"{command[0]} could not be run: {error}") from error
    if done.returncode != 0:
        output = (done.stderr or done.stdout).strip()
        raise AgentError(f"`{' '.join(command)}` failed: {output}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Return whether a program ends with 0."""
    try:
        run(*command)
    except AgentError:
        return False
    return True


def become(*command: str) -> NoReturn:
    """Turn this process into another program, which then gets the signals itself."""
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


def vsctl(*arguments: str, wait: bool = False) -> str:
    """Return what ovs-vsctl printed; `wait` for vswitchd to have applied it."""
    options = ("--timeout=10",) if wait else ("--timeout=10", "--no-wait")
    return run("ovs-vsctl", *options, *arguments)


def wait_for(what: str, ready: Callable[[], Any], deadline: float = 120.0) -> Any:
    """Return the first true value of `ready`, tried every 0.2 seconds.

    Raises:
        AgentError: there was none within `deadline` seconds.
    """
    end = time.monotonic() + deadline
    while not (value := ready()):
        if time.monotonic() > end:
            raise AgentError(f"{what} was not there after {deadline:.0f} s")
        time.sleep(0.2)
    return value


def log(message: str) -> None:
    """Print a line at once."""
    print(message, flush=True)


def write_termination_message(message: str) -> None:
    """Leave a message for the pod's status."""
    if TERMINATION_LOG.exists():
        TERMINATION_LOG.write_text(shorten(message, TERMINATION_LOG_LIMIT))


def main(program: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run an agent: what it cannot do becomes its termination message and exit code 1."""
    try:
        program(sys.argv[1:])
    except (AgentError, OSError) as error:
        write_termination_message(str(error))
        print(error, file=sys.stderr, flush=True)
        sys.exit(1)
    sys.exit(0)

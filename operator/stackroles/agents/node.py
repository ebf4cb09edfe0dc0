"""What the agents of a compute node share: settings, running programs, last words."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

SETTINGS = Path("/etc/stackroles/compute.json")
# Shown by the API as the container's termination message; the operator repeats it in a condition.
LAST_WORDS = Path("/dev/termination-log")
LAST_WORDS_LIMIT = 4000


class AgentError(Exception):
    """What is wrong on this node, in a sentence for people."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the operator says of all nodes of a pool.

    Attributes:
        cloud: namespace and name of the cloud, "<namespace>/<name>".
        interface: the node's interface for tunnels and the provider network, or None.
        physical_network: neutron's name of the provider network.
        gateway: whether this node may carry router gateways.
        southbound: OVN's southbound database, "tcp:<host>:<port>" of each member, comma-separated.
        virt_type: Auto, kvm or qemu.
    """

    cloud: str
    interface: str | None
    physical_network: str
    gateway: bool
    southbound: str
    virt_type: str

    @classmethod
    def from_json(cls, text: str) -> "Settings":
        """Return the settings of a compute.json."""
        data = json.loads(text)
        return cls(
            cloud=data["cloud"],
            interface=data["interface"],
            physical_network=data["physicalNetwork"],
            gateway=data["gateway"],
            southbound=data["southbound"],
            virt_type=data["virtType"],
        )


def settings() -> Settings:
    """Return the settings mounted into this pod."""
    return Settings.from_json(SETTINGS.read_text())


def node_name() -> str:
    """Return the Kubernetes name of this node."""
    return os.environ["NODE_NAME"]


def run(*command: str) -> str:
    """Return what a program printed.

    Raises:
        AgentError: it failed or did not end; the message holds its own words.
    """
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise AgentError(f"{command[0]} could not be run: {error}") from error
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip()
        raise AgentError(f"`{' '.join(command)}` failed: {words}")
    return done.stdout


def succeeds(*command: str) -> bool:
    """Tell whether a program ends with 0."""
    try:
        run(*command)
    except AgentError:
        return False
    return True


def become(*command: str) -> NoReturn:
    """Turn this process into another program, which then gets the signals itself."""
    os.execvp(command[0], command)  # noqa: S606 - no shell is wanted


def vsctl(*arguments: str, wait: bool = False) -> str:
    """Return what ovs-vsctl printed; `wait` for vswitchd to have obeyed."""
    options = ("--timeout=10",) if wait else ("--timeout=10", "--no-wait")
    return run("ovs-vsctl", *options, *arguments)


def wait_for(what: str, ready: Callable[[], Any], deadline: float = 120.0) -> Any:
    """Return the first true value of `ready`, looked for every 0.2 seconds.

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


def last_words(message: str) -> None:
    """Leave a message for the pod's status."""
    if LAST_WORDS.exists():
        LAST_WORDS.write_text(message[:LAST_WORDS_LIMIT])


def main(program: Callable[[Sequence[str]], None]) -> NoReturn:
    """Run an agent: what it cannot do becomes its last words and exit code 1."""
    try:
        program(sys.argv[1:])
    except (AgentError, OSError) as error:
        last_words(str(error))
        print(error, file=sys.stderr, flush=True)
        sys.exit(1)
    sys.exit(0)

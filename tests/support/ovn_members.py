"""Members of an OVN database in containers: the role's image, the real agent, names as in a cloud.

A container stands for a pod, a volume of the engine for its claim. Standard library and the agents
only: `python -m tests.containers.ovn_campaign` runs without the rest of the tests.
"""

import json
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from stackroles.agents import wire
from stackroles.agents.ovsdb.protocol import (
    DECISION_ANNOTATION,
    Mode,
    OvsdbDecision,
    OvsdbSettings,
    OvsdbStatus,
    State,
)
from stackroles.roles import ovn
from tests.support.binaries import ROOT
from tests.support.clouds import cloud

AGENTS = ROOT / "operator" / "stackroles" / "agents"
_SETTINGS = "/etc/stackroles-test/ovsdb.json"
_SIZE = 3


class EngineError(Exception):
    """The container engine refused; its text says why."""


def docker(*arguments: str, check: bool = True) -> str:
    """Return what the container engine prints. Raises EngineError."""
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    if check and done.returncode:
        raise EngineError(f"docker {' '.join(arguments)}: {done.stderr.strip()}")
    return done.stdout.strip()


def image(role: str = "ovn") -> str:
    """Return the image of a role that was built last, empty where there is none."""
    try:
        found = docker("images", "--format", "{{.Repository}}:{{.Tag}}")
    except (OSError, EngineError, subprocess.TimeoutExpired):
        return ""
    named = [line for line in found.splitlines() if f"/{role}:" in line and "unchecked" not in line]
    return named[0] if named else ""


def await_until(
    what: str, seconds: float, check: Callable[[], bool], say: Callable[[], object]
) -> float:
    """Return after how many seconds a check passed.

    Args:
        what: is waited for.
        seconds: within which it must pass.
        check: the check.
        say: returns what is the case, for the error.

    Raises:
        TimeoutError: it did not.
    """
    began = time.monotonic()
    while not check():
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"not within {seconds:g} s: {what}; {say()}")
        time.sleep(0.1)
    return time.monotonic() - began


@dataclass
class OvnMembers:
    """Three members of the northbound database and a client of them.

    Attributes:
        prefix: what the names of containers, volumes and the network begin with.
        image: the role's.
        size: how many members the settings name.
    """

    prefix: str
    image: str
    size: int = _SIZE

    def __post_init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
        self._folder.chmod(0o755)
        self._network = f"{self.prefix}-net"
        self._client = f"{self.prefix}-client"
        self._written: list[str] = []

    def settings(self) -> OvsdbSettings:
        """Return the members' settings, as the role has them."""
        made = cloud(roles={"ovn-nb": {"clustering": {"replicas": self.size}}})
        settings = wire.loads(OvsdbSettings, ovn.NORTH.settings(made))
        return replace(settings, annotations="/etc/stackroles-test/annotations")

    def name(self, member: int) -> str:
        """Return the name of a member's container."""
        return f"{self.prefix}-{member}"

    def __enter__(self) -> "OvnMembers":
        """Start the members and the client."""
        self.remove()
        docker("network", "create", self._network)
        docker("run", "-d", "--name", self._client, "--network", self._network,
               "--entrypoint", "sleep", self.image, "infinity")  # fmt: skip
        for member in range(self.size):
            self.start(member)
        self.decide(0, Mode.CREATE)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was made."""
        self.remove()

    def remove(self) -> None:
        """Remove containers, volumes and the network of these names."""
        members = [self.name(member) for member in range(7)]
        docker("rm", "-f", self._client, *members, check=False)
        docker("volume", "rm", "-f", *members, check=False)
        docker("network", "rm", self._network, check=False)

    def start(self, member: int) -> None:
        """Start a new container of a member with the volume that it has."""
        host = self.settings().host(member)
        pod = f"demo-ovn-nb-{member}"
        folder = self._folder / str(member)
        folder.mkdir(exist_ok=True)
        (folder / "ovsdb.json").write_text(wire.dumps(self.settings()))
        (folder / "annotations").touch()
        docker("run", "-d", "--name", self.name(member), "--network", self._network,
               "--network-alias", host, "-e", f"POD_NAME={pod}", "-e", f"POD_UID=uid-{member}",
               "-e", "PYTHONPATH=/usr/local/lib",
               "-v", f"{AGENTS}:/usr/local/lib/stackroles/agents:ro",
               "-v", f"{folder}:{Path(_SETTINGS).parent}:ro",
               "-v", f"{self.name(member)}:/var/lib/ovn",
               "--entrypoint", "python3", self.image,
               "-B", "-m", "stackroles.agents.ovsdb.agent", _SETTINGS)  # fmt: skip

    def annotate(self, member: int, text: str) -> None:
        """Set a member's annotations, as the downward API writes them."""
        (self._folder / str(member) / "annotations").write_text(text)

    def decide(self, member: int, mode: Mode, incident: str = "") -> None:
        """Tell a member what to do, as the operator does."""
        await_until(f"{member} answers", 30, lambda: self.status(member) is not None, self.report)
        status = self.status(member)
        attempt = status.attempt if status else ""
        decided = wire.dumps(OvsdbDecision(attempt=attempt, mode=mode, incident=incident))
        self.annotate(member, f"{DECISION_ANNOTATION}={json.dumps(decided)}\n")

    def kill(self, *members: int) -> None:
        """Kill members, as the end of their nodes would, and start them again in this order."""
        docker("rm", "-f", *(self.name(member) for member in members))
        for member in members:
            self.start(member)

    def remove_member(self, member: int) -> None:
        """Take a member's container and volume for good."""
        docker("rm", "-f", self.name(member))
        docker("volume", "rm", "-f", self.name(member))

    def replace(self, *members: int) -> None:
        """End members in order, and start them again in this order; their volumes stay."""
        docker("stop", "--time", "30", *(self.name(member) for member in members))
        self.kill(*members)

    def wipe(self, member: int) -> None:
        """Take a member's volume and pod: what comes again has neither."""
        self.remove_member(member)
        self.start(member)

    def damage(self, member: int, program: str) -> None:
        """Run a shell program on a member's volume, in /var/lib/ovn, while the member is away."""
        docker("rm", "-f", self.name(member))
        docker("run", "--rm", "-v", f"{self.name(member)}:/var/lib/ovn", "-w", "/var/lib/ovn",
               "--entrypoint", "sh", self.image, "-euc", program)  # fmt: skip
        self.start(member)

    def status(self, member: int) -> OvsdbStatus | None:
        """Return what a member's agent answers, None where it does not."""
        form = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
        address = docker("inspect", "-f", form, self.name(member), check=False)
        if not address:
            return None
        url = f"http://{address}:{self.settings().agent_port}/status"
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return wire.loads(OvsdbStatus, answer.read())
        except (OSError, urllib.error.URLError, wire.WireError):
            return None

    def write(self, seconds: float) -> float:
        """Write a name that is new once it can be; return after how many seconds it was.

        Raises:
            TimeoutError: it could not be in time.
        """
        name = f"written-{len(self._written)}"
        command = ("set", "nb_global", ".", f"options:{name}=yes")
        took = await_until(
            "a write", seconds, lambda: self._nbctl(*command) is not None, self.report
        )
        self._written.append(name)
        return took

    def lost(self) -> list[str]:
        """Return the acknowledged writes that are not in the database."""
        found = self._nbctl("get", "nb_global", ".", "options") or ""
        return [name for name in self._written if f"{name}=yes" not in found.replace('"', "")]

    def _nbctl(self, *command: str) -> str | None:
        """Return what ovn-nbctl prints, None where it fails within two seconds."""
        remotes = ",".join(f"tcp:{h}:{self.settings().port}" for h in self.settings().members)
        done = subprocess.run(
            ["docker", "exec", self._client, "ovn-nbctl", f"--db={remotes}", "--timeout=2",
             *command],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        return done.stdout if done.returncode == 0 else None

    def are_members(self, members: Iterable[int]) -> bool:
        """Return whether these and no others are in the cluster, by the account of each of them."""
        wanted = {self.settings().raft(member) for member in members}
        for member in members:
            status = self.status(member)
            if status is None or status.state is not State.MEMBER or not status.connected:
                return False
            view = status.view
            if view is None or sorted(s.address for s in view.servers) != sorted(wanted):
                return False
        return True

    def await_members(self, seconds: float, members: Iterable[int] | None = None) -> float:
        """Return after how many seconds these (all) are the members. Raises TimeoutError."""
        listed = list(range(self.size) if members is None else members)
        what = f"{listed} are the members"
        return await_until(what, seconds, lambda: self.are_members(listed), self.report)

    def report(self) -> str:
        """Return how all members stand, for an error."""
        answers = {m: self.status(m) for m in range(self.size)}
        return json.dumps({m: wire.encode(s) if s else None for m, s in answers.items()})

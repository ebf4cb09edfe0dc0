"""Brokers in containers: the role's image and files, the real agent, names as in a cloud.

A container stands for a pod, a volume of the engine for its claim. A client publishes from a
container of nova's image, which has the driver that OpenStack uses.
"""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stackroles.agents import wire
from stackroles.agents.broker.protocol import (
    DECISION_ANNOTATION,
    BrokerDecision,
    BrokerMode,
    BrokerStatus,
    State,
)
from stackroles.agents.leaving_protocol import LEAVE_ANNOTATION
from stackroles.roles import rabbitmq
from tests.support.binaries import ROOT
from tests.support.clouds import cloud
from tests.support.ovn_members import await_until, docker

ACCOUNT = "nova"
PASSWORD = "secret"
_AGENTS = ROOT / "operator" / "stackroles" / "agents"
_PROGRAM = ROOT / "tests" / "support" / "broker_client.py"
_HOME = "/var/lib/rabbitmq"
_ASK = (
    "import urllib.request as u;"
    "print(u.urlopen('http://localhost:15691/status', timeout=3).read().decode())"
)
# A broker that knows of no other one.
_ALONE = (
    "cp /etc/rabbitmq/cookie/erlang-cookie $HOME/.erlang.cookie && chmod 400 $HOME/.erlang.cookie;"
    "sed '/classic_config.nodes/d; /target_cluster/d' /etc/rabbitmq/rabbitmq.conf >/tmp/alone.conf;"
    "exec rabbitmq-server"
)
_FILES = {
    "/etc/rabbitmq/rabbitmq.conf": "rabbitmq.conf",
    "/etc/rabbitmq/rabbitmq-env.conf": "rabbitmq-env.conf",
    "/etc/rabbitmq/enabled_plugins": "enabled_plugins",
    "/etc/rabbitmq/definitions": "definitions",
    "/etc/rabbitmq/cookie": "cookie",
    "/etc/stackroles/broker.json": "broker.json",
}


@dataclass
class BrokerMembers:
    """The brokers of one cloud and a client of them.

    Attributes:
        prefix: what the names of containers, volumes and the network begin with.
        image: the role's.
        client: the client's image.
        size: how many members there are.
    """

    prefix: str
    image: str
    client: str
    size: int = 3

    def __post_init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
        self._folder.chmod(0o755)
        self._network = f"{self.prefix}-net"

    def name(self, member: int) -> str:
        """Return the name of a member's container."""
        return f"{self.prefix}-{member}"

    def __enter__(self) -> "BrokerMembers":
        """Start the members and the client."""
        self.remove()
        docker("network", "create", self._network)
        hosts = ",".join(self._host(member) for member in range(self.size))
        docker("run", "-d", "--name", f"{self.prefix}-client", "--network", self._network,
               "-v", f"{_PROGRAM}:/broker_client.py:ro", "-e", f"BROKER_HOSTS={hosts}",
               "-e", f"BROKER_USER={ACCOUNT}", "-e", f"BROKER_PASSWORD={PASSWORD}",
               "--entrypoint", "sleep", self.client, "infinity")  # fmt: skip
        for member in range(self.size):
            self.start(member)
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was made."""
        self.remove()

    def remove(self) -> None:
        """Remove containers, volumes and the network of these names."""
        members = [self.name(member) for member in range(9)]
        docker("rm", "-f", f"{self.prefix}-client", *members, check=False)
        docker("volume", "rm", "-f", *members, check=False)
        docker("network", "rm", self._network, check=False)

    def _host(self, member: int) -> str:
        return f"demo-rabbitmq-{member}.demo-rabbitmq.ns.svc"

    def _write_files(self, size: int) -> Path:
        """Write the role's files for so many members, once; return where they are."""
        folder = self._folder / f"of-{size}"
        if not folder.exists():
            (folder / "definitions").mkdir(parents=True)
            (folder / "cookie").mkdir()
            made = cloud(roles={"rabbitmq": {"clustering": {"replicas": size}}})
            for path, text in rabbitmq.files(made).items():
                (folder / Path(path).name).write_text(text)
            accounts = rabbitmq.definitions({ACCOUNT: PASSWORD})
            (folder / "definitions" / rabbitmq.DEFINITIONS_KEY).write_text(accounts)
            (folder / "cookie" / "erlang-cookie").write_text("BROKERMEMBERS")
        return folder

    def start(self, member: int, size: int = 0) -> None:
        """Start a new container of a member with the volume that it has.

        Args:
            member: its ordinal.
            size: how many members its files name; all of them where none is given.
        """
        folder = self._write_files(size or self.size)
        notes = self._folder / f"podinfo-{member}"
        notes.mkdir(exist_ok=True)
        (notes / "annotations").touch()
        mounts = [f"-v={folder / name}:{path}:ro" for path, name in _FILES.items()]
        docker("run", "-d", "--name", self.name(member), "--network", self._network,
               "--hostname", f"demo-rabbitmq-{member}", "--network-alias", self._host(member),
               "--user", str(rabbitmq.USER), *mounts, "-v", f"{notes}:/etc/podinfo:ro",
               "-v", f"{self.name(member)}:{_HOME}",
               "-v", f"{_AGENTS}:/usr/local/lib/stackroles/agents:ro",
               "-e", "PYTHONPATH=/usr/local/lib", "-e", f"POD_NAME=demo-rabbitmq-{member}",
               "-e", f"POD_UID=uid-{member}",
               "-e", f"HOME={_HOME}", "-e", "RABBITMQ_LOGS=-",
               "--entrypoint", "python3", self.image,
               "-B", "-m", "stackroles.agents.broker.agent",
               "/etc/stackroles/broker.json")  # fmt: skip

    def form_apart(self, member: int, messages: int) -> None:
        """Give a member without a volume that of a cluster of its own, with so many messages.

        Raises:
            TimeoutError: its broker does not start.
        """
        folder, name = self._write_files(self.size), self.name(member)
        mounts = [f"-v={folder / file}:{path}:ro" for path, file in _FILES.items()]
        docker("run", "-d", "--name", name, "--network", "none", "--hostname",
               f"demo-rabbitmq-{member}", "--add-host", f"{self._host(member)}:127.0.0.1",
               "--user", str(rabbitmq.USER), *mounts, "-v", f"{name}:{_HOME}",
               "-e", f"HOME={_HOME}", "-e", "RABBITMQ_LOGS=-",
               "-e", "RABBITMQ_CONFIG_FILE=/tmp/alone.conf",
               "--entrypoint", "sh", self.image, "-c", _ALONE)  # fmt: skip
        asked = ("exec", name, "rabbitmqctl", "--longnames", "await_startup")
        docker(*asked, "-n", f"rabbit@{self._host(member)}", "--timeout", "100")
        if messages:
            docker("run", "--rm", "--network", f"container:{name}",
                   "-v", f"{_PROGRAM}:/broker_client.py:ro", "-e", "BROKER_HOSTS=localhost",
                   "-e", f"BROKER_USER={ACCOUNT}", "-e", f"BROKER_PASSWORD={PASSWORD}",
                   "--entrypoint", "python3", self.client,
                   "/broker_client.py", "publish", "apart", str(messages), "500")  # fmt: skip
        docker("stop", "--time", "30", name)
        docker("rm", "-f", name)

    def stop(self, *members: int) -> None:
        """Kill members that stay away, as the end of their nodes would."""
        docker("rm", "-f", *(self.name(member) for member in members))

    def kill(self, *members: int) -> None:
        """Kill members at once, and start them again."""
        docker("kill", *(self.name(member) for member in members))
        docker("start", *(self.name(member) for member in members))

    def lose(self, *members: int) -> None:
        """Take volumes and pods of members: what comes again has neither."""
        self.stop(*members)
        docker("volume", "rm", "-f", *(self.name(member) for member in members))

    def freeze(self, member: int, *, frozen: bool) -> None:
        """Stop all processes of a member, or let them go on."""
        docker("pause" if frozen else "unpause", self.name(member))

    def publish_decision(self, member: int, mode: BrokerMode, incident: str) -> None:
        """Annotate a member's pod as the operator does, for its present attempt.

        Raises:
            TimeoutError: its agent does not answer.
        """
        await_until(f"an answer of {member}", 30, lambda: bool(self.status(member)), self.report)
        status = self.status(member)
        attempt = status.attempt if status else ""
        decision = wire.dumps(BrokerDecision(attempt=attempt, mode=mode, incident=incident))
        self._annotate(member, DECISION_ANNOTATION, decision)

    def ask_to_leave(self, member: int) -> None:
        """Annotate a member's pod as the operator does where there are to be fewer."""
        self._annotate(member, LEAVE_ANNOTATION, f"uid-{member}")

    def _annotate(self, member: int, name: str, value: str) -> None:
        path = self._folder / f"podinfo-{member}" / "annotations"
        path.write_text(f"{name}={json.dumps(value)}\n")

    def status(self, member: int) -> BrokerStatus | None:
        """Return what a member's agent answers, None where it does not."""
        answer = docker("exec", self.name(member), "python3", "-c", _ASK, check=False)
        try:
            return wire.loads(BrokerStatus, answer)
        except wire.WireError:
            return None

    def log(self, member: int) -> str:
        """Return the lines of a member's agent."""
        done = subprocess.run(
            ["docker", "logs", self.name(member)],
            capture_output=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return "\n".join(line for line in done.stderr.splitlines() if line.startswith("broker:"))

    def are_whole(self, members: Iterable[int]) -> bool:
        """Return whether these serve together, and every queue has a member on each of them."""
        wanted = {f"rabbit@{self._host(member)}" for member in members}
        for member in members:
            status = self.status(member)
            if status is None or status.state is not State.RUNNING or status.message:
                return False
            lacking = any(queues.small or queues.silent for queues in status.queues.values())
            if status.members != wanted or status.running != wanted or lacking:
                return False
        return True

    def await_whole(self, seconds: float, members: Iterable[int] | None = None) -> float:
        """Return after how many seconds these (all) are whole. Raises TimeoutError."""
        listed = list(range(self.size) if members is None else members)
        what = f"brokers {listed} serve with all queues whole"
        return await_until(what, seconds, lambda: self.are_whole(listed), self.report)

    def publish(self, queue: str, count: int, rate: float = 500, seconds: float = 600) -> Any:
        """Publish confirmed messages; return how many, in how long, with the longest gap."""
        return self._client("publish", queue, str(count), str(rate), seconds=seconds)

    def begin_publishing(self, queue: str, count: int, rate: float) -> "subprocess.Popen[bytes]":
        """Publish beside what comes next; `published` is what it said."""
        command = ("exec", f"{self.prefix}-client", "python3", "/broker_client.py")
        with self._record.open("w") as record:
            return subprocess.Popen(
                ["docker", *command, "publish", queue, str(count), str(rate)], stdout=record
            )

    def published(self) -> list[dict[str, Any]]:
        """Return the lines of the publishers that were begun, the last one with the result."""
        return [json.loads(line) for line in self._record.read_text().splitlines()]

    @property
    def _record(self) -> Path:
        return self._folder / "published"

    def fetch(self, queue: str, count: int, seconds: float = 600) -> Any:
        """Take all messages; return how many were delivered, were distinct, and are lost."""
        return self._client("fetch", queue, str(count), seconds=seconds)

    def _client(self, *arguments: str, seconds: float) -> Any:
        done = subprocess.run(
            ["docker", "exec", f"{self.prefix}-client", "python3", "/broker_client.py", *arguments],
            capture_output=True, text=True, check=True, timeout=seconds,
        )  # fmt: skip
        return json.loads(done.stdout.splitlines()[-1])

    def report(self) -> str:
        """Return how all members stand, for an error."""
        answers = {member: self.status(member) for member in range(self.size)}
        return json.dumps({m: wire.encode(s) if s else None for m, s in answers.items()})

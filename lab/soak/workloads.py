"""The clients of a campaign: they run all the time, and records account for each cycle."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from lab.errors import LabError
from lab.kubectl import Object
from lab.soak import accounting
from lab.soak.accounting import Attempt
from lab.soak.plan import Group
from lab.soak.record import Record
from lab.soak.testbed import ACTIVE_PASSIVE, Testbed
from stackroles.agents import wire
from stackroles.agents.ovsdb.protocol import OvsdbSettings
from tests.support import client as rows
from tests.support.client import CALLS, FOLDER, Client, from_secret, placed_on, pod_spec
from tests.support.cloud import wait_gone
from tests.support.clustering import active, change, taking_turns

PUBLISHER, WRITER = "soak-publisher", "soak-ovn-writer"
QUEUE = "stackroles-soak"
RATE = 10
"""Messages a second."""
TAKE_SECONDS = 120
START_SECONDS = 90
STREAM = "/record/stream.jsonl"
ASKED = {ACTIVE_PASSIVE: f"{ACTIVE_PASSIVE}:8778/resource_providers"}
PRIMARY: Mapping[Group, str] = {
    Group.GALERA_ALL: "rows",
    Group.GALERA: "rows",
    Group.RABBITMQ: "messages",
    Group.OVN: "networks",
    Group.ACTIVE_PASSIVE: "calls",
    Group.NODE: "rows",
}
"""Group -> the client whose times a result of it has."""
_PROGRAMS = Path(rows.__file__).parent


class Workload(Protocol):
    """One client."""

    record: Record

    def lost(self, attempts: Sequence[Attempt]) -> list[int]:
        """Return which of all its acknowledged attempts are gone."""
        ...


@dataclass(slots=True)
class Rows:
    """Rows of the database, on every member."""

    bed: Testbed
    client: Client
    record: Record

    def lost(self, attempts: Sequence[Attempt]) -> list[int]:
        """Return the acknowledged rows that some member does not have."""
        stored = [self.client.stored(member) for member in self.bed.cloud.members("mariadb")]
        return accounting.lost(attempts, set.intersection(*stored))


@dataclass(slots=True)
class Calls:
    """Calls of the role whose members take turns: answers, of which none is kept."""

    record: Record

    def lost(self, attempts: Sequence[Attempt]) -> list[int]:
        """Return nothing: an answer is not kept."""
        del attempts
        return []


class Messages:
    """Messages that a broker confirmed; those of a cycle are taken from the queue at its end."""

    def __init__(self, bed: Testbed) -> None:
        self._bed = bed
        self._taken: set[int] = set()
        self._next = 0
        self.record = Record(bed.kubectl, PUBLISHER, STREAM)

    def lost(self, attempts: Sequence[Attempt]) -> list[int]:
        """Return the confirmed messages that did not come out of the queue.

        Raises:
            LabError: the queue could not be read.
        """
        confirmed = {attempt.identity for attempt in attempts if attempt.good}
        last = max(confirmed, default=-1)
        if last >= self._next:
            program = f"{FOLDER}/broker_client.py"
            command = ("python3", "-B", program, "take", QUEUE)
            limits = (str(self._next), str(last), str(TAKE_SECONDS))
            text = self._bed.kubectl.run(
                "exec", PUBLISHER, "--", *command, *limits, timeout=2 * TAKE_SECONDS
            )
            self._taken |= set(json.loads(text.splitlines()[-1])["taken"])
            self._next = last + 1
        return accounting.lost(attempts, self._taken)


@dataclass(slots=True)
class Networks:
    """Writes to OVN's northbound database that reached the southbound one."""

    record: Record

    def lost(self, attempts: Sequence[Attempt]) -> list[int]:
        """Return the acknowledged writes after which an older one was found."""
        return accounting.reverted(attempts)


@contextmanager
def running(bed: Testbed) -> Iterator[dict[str, Workload]]:
    """Run the clients, with the members of one role taking turns.

    Nothing is left behind, but for an error: then all stays as it is, to be looked at.

    Raises:
        LabError: a client did not start.
    """
    declared = (bed.cloud.resource()["spec"].get("roles") or {}).get(ACTIVE_PASSIVE)
    client = Client(bed.cloud, bed.client_node)
    if not active(bed.cloud, ACTIVE_PASSIVE):
        change(bed.cloud, ACTIVE_PASSIVE, taking_turns(ACTIVE_PASSIVE))
    else:
        declared = None  # a campaign that was killed has left them taking turns
    kept = False
    try:
        client.start()
        client.start_calls(ASKED)
        _start(bed, _publisher(bed), "broker_client.py")
        _start(bed, _ovn_writer(bed), "ovn_writer.py")
        yield {
            "rows": Rows(bed, client, Record(bed.kubectl, rows.NAME, rows.RECORD)),
            "messages": Messages(bed),
            "networks": Networks(Record(bed.kubectl, WRITER, STREAM)),
            "calls": Calls(Record(bed.kubectl, rows.NAME, CALLS)),
        }
    except LabError:
        kept = True
        raise
    finally:
        if not kept:
            for name in (PUBLISHER, WRITER):
                _stop(bed, name)
            client.stop()
            change(bed.cloud, ACTIVE_PASSIVE, declared)


def _start(bed: Testbed, pod: Object, program: str) -> None:
    name = pod["metadata"]["name"]
    _stop(bed, name)
    data = {program: (_PROGRAMS / program).read_text()}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": data}
    bed.kubectl.apply(config, pod)
    record = Record(bed.kubectl, name, STREAM)

    def check() -> tuple[bool, str]:
        try:
            attempts = record.attempts()
        except LabError as error:
            return False, error.render()
        good = any(attempt.good for attempt in attempts)
        return good, f"{len(attempts)} attempts, none acknowledged"

    bed.kubectl.wait(f"an acknowledged attempt of {name}", check, seconds=START_SECONDS)


def _stop(bed: Testbed, name: str) -> None:
    for kind in ("pod", "configmap"):
        bed.kubectl.run(
            "delete", kind, name, "--ignore-not-found", "--wait=false", "--grace-period=2"
        )
    wait_gone(bed.kubectl, "pod", name, START_SECONDS)


def _pod(bed: Testbed, name: str, image: str, script: str, environment: list[Object]) -> Object:
    command = ["sh", "-ec", f"exec {script} > {STREAM}"]
    spec = pod_spec(name, image, command, environment, memory="128Mi")
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": bed.cloud.name}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": labels},
        "spec": {**spec, **placed_on(bed.client_node)},
    }


def _publisher(bed: Testbed) -> Object:
    """Return the publisher: nova's account and image, which has the driver OpenStack uses."""
    image = bed.cloud.pods("nova-conductor")[0]["spec"]["containers"][0]["image"]
    members = bed.cloud.members("rabbitmq")
    secret = f"{bed.cloud.name}-nova-credentials-in-use"
    environment = [
        {
            "name": "BROKER_HOSTS",
            "value": ",".join(f"{member}.{bed.cloud.name}-rabbitmq" for member in members),
        },
        {"name": "BROKER_USER", "value": "nova"},
        from_secret("BROKER_PASSWORD", secret, "broker-password"),
    ]
    # What a campaign before this one has left in the queue is not of this one.
    bed.cloud.exec(
        members[0], "sh", "-c",
        f"rabbitmqctl --vhost nova delete_queue {QUEUE} || "
        f"! rabbitmqctl --quiet --vhost nova list_queues name | grep -qx {QUEUE}",
        timeout=120,
    )  # fmt: skip
    script = f"python3 -B {FOLDER}/broker_client.py stream {QUEUE} {RATE}"
    return _pod(bed, PUBLISHER, image, script, environment)


def _ovn_writer(bed: Testbed) -> Object:
    member = bed.cloud.pods("ovn-nb")[0]
    text = bed.cloud.exec(member["metadata"]["name"], "cat", "/etc/ovn/ovsdb.json")
    settings = wire.loads(OvsdbSettings, text)
    remotes = ",".join(f"tcp:{host}:{settings.port}" for host in settings.members)
    image = member["spec"]["containers"][0]["image"]
    script = f"python3 -B {FOLDER}/ovn_writer.py"
    return _pod(bed, WRITER, image, script, [{"name": "OVN_REMOTES", "value": remotes}])

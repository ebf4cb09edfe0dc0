"""100,000 messages that brokers confirmed are all there after whatever befell the brokers."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lab.install import Site
from lab.kubectl import Kubectl, Object
from lab.soak import testbed
from lab.soak.faults import heal, part
from tests.support.broker_status import lacking
from tests.support.client import FOLDER, from_secret, pod_spec
from tests.support.cloud import Cloud, wait_gone
from tests.support.measurements import Measurements

NAME = "e2e-publisher"
QUEUE = "e2e-acknowledged"
PROGRAM = Path(__file__).parents[2] / "support" / "broker_client.py"
RESULT = "/record/published"
COUNT = 100_000
# As long as the faults take, one after the other.
RATE = 200
WHOLE_SECONDS = 300
FROZEN_SECONDS = 45
PARTED_SECONDS = 45
# More than any disk has, and what the operator sets.
DISK_LIMITS = ("100000GB", "100MB")
ALARM_SECONDS = 60
STAGGER_SECONDS = 5
PUBLISHED_SECONDS = 1800
KILL = ("pkill", "--signal", "KILL", "--exact", "beam.smp")


def wait_whole(cloud: Cloud, members: list[str]) -> None:
    """Wait until all brokers serve together, and every queue has a member on each."""

    def check() -> tuple[bool, str]:
        found = lacking(cloud, members)
        return not found, str(found)

    cloud.kubectl.wait("brokers whole", check, seconds=WHOLE_SECONDS)


def pod(cloud: Cloud, members: list[str]) -> Object:
    """Return the publisher: nova's account and image, which has the driver OpenStack uses."""
    image = cloud.pods("nova-conductor")[0]["spec"]["containers"][0]["image"]
    hosts = [f"{member}.{cloud.name}-rabbitmq" for member in members]
    environment = [
        {"name": "BROKER_HOSTS", "value": ",".join(hosts)},
        {"name": "BROKER_USER", "value": "nova"},
        from_secret("BROKER_PASSWORD", f"{cloud.name}-nova-credentials-in-use", "broker-password"),
    ]
    labels = {"app.kubernetes.io/name": NAME, "app.kubernetes.io/part-of": cloud.name}
    spec = pod_spec(NAME, image, ["sleep", "infinity"], environment, memory="256Mi")
    metadata = {"name": NAME, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@pytest.fixture
def publisher(cloud: Cloud) -> Iterator[Kubectl]:
    """A pod that can publish; its queue goes with it."""
    kubectl, members = cloud.kubectl, cloud.members("rabbitmq")
    metadata = {"name": NAME}
    data = {PROGRAM.name: PROGRAM.read_text()}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
    kubectl.apply(config, pod(cloud, members))
    kubectl.run("wait", f"pod/{NAME}", "--for=condition=Ready", "--timeout=90s")
    yield kubectl
    cloud.exec(members[0], "rabbitmqctl", "--vhost", "nova", "delete_queue", QUEUE)
    for kind in ("pod", "configmap"):
        kubectl.run("delete", kind, NAME, "--ignore-not-found", "--wait=false")
    wait_gone(kubectl, "pod", NAME, 60)


def client(kubectl: Kubectl, command: str, timeout: float = 60) -> str:
    """Run a shell command in the publisher's pod."""
    return kubectl.run("exec", NAME, "--", "sh", "-ec", command, timeout=timeout)


@dataclass
class Faults:
    """What befalls the brokers."""

    bed: testbed.Testbed
    members: list[str]

    def of(self) -> dict[str, Callable[[], None]]:
        """Return all of it, in order."""
        return {
            "one killed": lambda: self.kill(1),
            "two killed": lambda: self.kill(0, 1),
            "all killed": lambda: self.kill(0, 1, 2),
            "all killed one after the other": self.stagger,
            "one frozen": self.freeze,
            "one parted": self.part_one,
            "one without room on its disk": self.fill_disk,
            "one volume lost": self.lose,
        }

    def kill(self, *which: int) -> None:
        for number in which:
            self.run(number, *KILL)

    def stagger(self) -> None:
        for number in range(len(self.members)):
            self.kill(number)
            time.sleep(STAGGER_SECONDS)

    def freeze(self) -> None:
        self.run(2, "pkill", "--signal", "STOP", "--exact", "beam.smp")
        time.sleep(FROZEN_SECONDS)
        self.run(2, "pkill", "--signal", "CONT", "--exact", "beam.smp")

    def part_one(self) -> None:
        part("rabbitmq")(self.bed, self.members[:1])
        time.sleep(PARTED_SECONDS)
        heal("rabbitmq")(self.bed, self.members[:1])

    def fill_disk(self) -> None:
        unlimited, limit = DISK_LIMITS
        self.run(2, "rabbitmqctl", "set_disk_free_limit", unlimited)
        try:
            self.bed.cloud.wait_reason(
                "MessagingDegraded", "BrokerAlarm", status="True", seconds=ALARM_SECONDS
            )
        finally:
            self.run(2, "rabbitmqctl", "set_disk_free_limit", limit)

    def lose(self) -> None:
        cloud, member = self.bed.cloud, self.members[1]
        cloud.kubectl.run("delete", "pvc", f"data-{member}", "--wait=false")
        cloud.kubectl.run("delete", "pod", member, "--force", "--grace-period=0")
        cloud.kubectl.wait(
            f"{member} again",
            lambda: (member in cloud.members("rabbitmq"), "no new pod"),
            seconds=WHOLE_SECONDS,
        )
        cloud.wait_ready(WHOLE_SECONDS)

    def run(self, number: int, *command: str) -> None:
        self.bed.cloud.exec(self.members[number], *command)


def test_no_confirmed_message_is_lost(
    site: Site, cloud: Cloud, publisher: Kubectl, measurements: Measurements
) -> None:
    cloud.wait_ready()
    members = cloud.members("rabbitmq")
    wait_whole(cloud, members)
    program = f"python3 -B {FOLDER}/{PROGRAM.name}"
    # Detached: exec ends, the publishers go on.
    client(publisher, f"{program} publish {QUEUE} {COUNT} {RATE} > {RESULT} 2>&1 &")
    for name, fault in Faults(testbed.Testbed(site, cloud), members).of().items():
        began = time.monotonic()
        fault()
        wait_whole(cloud, members)
        seconds = time.monotonic() - began
        measurements.record(f"brokers: {name}", whole_seconds=seconds)

    def published() -> tuple[bool, str]:
        last = client(publisher, f"tail -n 1 {RESULT}")
        return '"confirmed"' in last, last

    publisher.wait("all messages confirmed", published, seconds=PUBLISHED_SECONDS)
    result = json.loads(client(publisher, f"tail -n 1 {RESULT}"))
    fetched = client(publisher, f"{program} fetch {QUEUE} {COUNT} | tail -n 1", timeout=900)
    found = json.loads(fetched)
    measurements.record(
        "confirmed messages over all faults",
        confirmed=result["confirmed"],
        lost=found["lost"],
        longest_gap_seconds=result["longest"],
    )
    assert result["confirmed"] == COUNT
    assert found["lost"] == 0, found

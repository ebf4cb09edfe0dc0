"""100,000 messages that brokers confirmed are all there after kills, a freeze and a lost volume."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lab.kubectl import Kubectl, Object
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
RATE = 350
WHOLE_SECONDS = 300
FROZEN_SECONDS = 45
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


def faults(cloud: Cloud, members: list[str]) -> dict[str, Callable[[], None]]:
    """Return what befalls the brokers, in order."""

    def kill(*which: int) -> None:
        for number in which:
            cloud.exec(members[number], *KILL)

    def stagger() -> None:
        for number in range(len(members)):
            kill(number)
            time.sleep(STAGGER_SECONDS)

    def freeze() -> None:
        cloud.exec(members[2], "pkill", "--signal", "STOP", "--exact", "beam.smp")
        time.sleep(FROZEN_SECONDS)
        cloud.exec(members[2], "pkill", "--signal", "CONT", "--exact", "beam.smp")

    def lose() -> None:
        cloud.kubectl.run("delete", "pvc", f"data-{members[1]}", "--wait=false")
        cloud.kubectl.run("delete", "pod", members[1], "--force", "--grace-period=0")
        cloud.kubectl.wait(
            f"{members[1]} again",
            lambda: (members[1] in cloud.members("rabbitmq"), "no new pod"),
            seconds=WHOLE_SECONDS,
        )
        cloud.wait_ready(WHOLE_SECONDS)

    return {
        "one killed": lambda: kill(1),
        "two killed": lambda: kill(0, 1),
        "all killed": lambda: kill(0, 1, 2),
        "all killed one after the other": stagger,
        "one frozen": freeze,
        "one volume lost": lose,
    }


def test_no_confirmed_message_is_lost(
    cloud: Cloud, publisher: Kubectl, measurements: Measurements
) -> None:
    cloud.wait_ready()
    members = cloud.members("rabbitmq")
    wait_whole(cloud, members)
    program = f"python3 -B {FOLDER}/{PROGRAM.name}"
    # Detached: exec ends, the publishers go on.
    client(publisher, f"{program} publish {QUEUE} {COUNT} {RATE} > {RESULT} 2>&1 &")
    for name, fault in faults(cloud, members).items():
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

"""RabbitMQ members that are killed, or come back with an empty volume, join the others again."""

import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from lab.errors import LabError
from tests.support.broker_status import status
from tests.support.client import Client, longest_gap
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

MEMBER = "demo-rabbitmq-1"
BACK_SECONDS = 180
FILLED_SECONDS = 60
SERVE_SECONDS = 300
BROKERS_SECONDS = 240


def test_a_member_without_its_volume_rejoins_and_makes_no_second_cluster(
    cloud: Cloud, measurements: Measurements
) -> None:
    cloud.wait_ready()
    members = cloud.members("rabbitmq")
    [before] = [
        p["metadata"]["uid"] for p in cloud.pods("rabbitmq") if p["metadata"]["name"] == MEMBER
    ]
    cloud.kubectl.run("delete", "pvc", f"data-{MEMBER}", "--wait=false")
    cloud.kubectl.run("delete", "pod", MEMBER, "--force", "--grace-period=0")

    def back() -> tuple[bool, str]:
        pods = {p["metadata"]["name"]: p for p in cloud.pods("rabbitmq")}
        fresh = pods.get(MEMBER)
        if fresh is None or fresh["metadata"]["uid"] == before:
            return False, "no new pod"
        conditions = {c["type"]: c["status"] for c in fresh["status"].get("conditions", [])}
        return conditions.get("Ready") == "True", str(conditions)

    lost = time.monotonic()
    cloud.kubectl.wait(f"{MEMBER} with a new volume", back, seconds=BACK_SECONDS)
    seconds = time.monotonic() - lost
    for member in members:
        answer = status(cloud, member)
        assert answer["state"] == "running"
        assert len(answer["members"]) == len(members), f"{member} sees {answer['members']}"

    def filled() -> tuple[bool, str]:
        queues = {member: status(cloud, member)["queues"] for member in members}
        small = {
            m: {vhost: q["small"] for vhost, q in found.items()} for m, found in queues.items()
        }
        return all(f and not any(f.values()) for f in small.values()), str(small)

    cloud.kubectl.wait("queues with a member on each broker", filled, seconds=FILLED_SECONDS)
    log = cloud.kubectl.run("logs", MEMBER)
    assert "is to forget" in log
    assert "inconsistent_cluster" not in log
    cloud.wait_ready()
    cloud.wait_reason("MessagingDegraded", "BrokersSound", seconds=60)
    measurements.record("broker_volume_lost", rejoined_seconds=seconds)


def running_brokers(cloud: Cloud, member: str) -> list[str]:
    """Return the brokers that a broker counts as running, empty while it does not answer."""
    try:
        text = cloud.exec(
            member, "rabbitmqctl", "--quiet", "cluster_status", "--formatter", "json", timeout=60
        )
    except LabError:
        return []
    return sorted(json.loads(text)["running_nodes"])


def wait_brokers(cloud: Cloud, members: Sequence[str]) -> None:
    """Wait until every broker counts all of them as running."""

    def check() -> tuple[bool, str]:
        seen = {member: running_brokers(cloud, member) for member in members}
        done = all(len(running) == len(members) for running in seen.values())
        return done, json.dumps(seen)

    cloud.kubectl.wait("all brokers running", check, seconds=BROKERS_SECONDS)


def wait_reports(cloud: Cloud, client: Client, moment: float) -> None:
    """Wait until nova's services are up and each compute host reported after a moment.

    A compute host reports through the conductor and the broker, so its report is a message that
    went all the way; the others write to the database themselves.
    """
    after = datetime.fromtimestamp(moment, UTC).replace(tzinfo=None).isoformat()

    def check() -> tuple[bool, str]:
        services = client.compute_services()
        states = {f"{s['binary']} {s['host']}": (s["state"], s["updated_at"]) for s in services}
        fresh = all(
            state == "up" and (updated > after or not name.startswith("nova-compute "))
            for name, (state, updated) in states.items()
        )
        return bool(states) and fresh, json.dumps(states)

    cloud.kubectl.wait("nova's services up", check, seconds=SERVE_SECONDS)


def test_a_killed_broker_comes_back_and_the_services_stay_usable(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    cloud.wait_ready()
    members = cloud.members("rabbitmq")
    before = cloud.server_process(members[0], "beam.smp")
    wait_brokers(cloud, members)
    killed = time.time()
    cloud.exec(members[0], "pkill", "--signal", "KILL", "--exact", "beam.smp")
    assert running_brokers(cloud, members[1]), "the others do not serve while one is gone"
    wait_reports(cloud, client, killed)
    reported = time.time()
    wait_brokers(cloud, members)
    whole = time.time()
    # Its agent has started it again: the container is the same.
    assert cloud.server_process(members[0], "beam.smp") != before, "the broker was never killed"
    # Fails where some queue would lose its majority with this broker: all are whole again.
    cloud.exec(members[0], "rabbitmq-queues", "check_if_node_is_quorum_critical", timeout=120)
    cloud.wait_ready(SERVE_SECONDS)
    gap = longest_gap(client.rows(), killed)
    measurements.record(
        "kill -9 of a broker",
        services_up_seconds=reported - killed,
        all_brokers_seconds=whole - killed,
        longest_write_gap_seconds=gap,
    )

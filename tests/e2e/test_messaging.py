"""A RabbitMQ member that comes back with an empty volume joins the others again."""

import time

from tests.support.broker_status import status
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

MEMBER = "demo-rabbitmq-1"
BACK_SECONDS = 180
FILLED_SECONDS = 60


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

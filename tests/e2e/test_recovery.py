"""What is killed comes back by itself, and what the database acknowledged is kept."""

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from lab.errors import LabError
from tests.support.client import Client, longest_gap
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

WRITES_SECONDS = 120
SYNCED_SECONDS = 300
SERVE_SECONDS = 300
BROKER_SECONDS = 240


@pytest.fixture(autouse=True)
def settled(cloud: Cloud) -> None:
    """Every case begins with a cloud on which nothing is under way."""
    cloud.wait_ready()


def kill_database(cloud: Cloud, member: str) -> None:
    """Kill a member's server as a crash would: without a word to anybody."""
    cloud.exec(member, "pkill", "--signal", "KILL", "--exact", "mariadbd")


def check_nothing_lost(cloud: Cloud, client: Client, members: Sequence[str]) -> int:
    """Assert that every member holds every acknowledged row; return how many there are."""
    acknowledged = {row.identity for row in client.rows() if row.acknowledged}
    for member in members:
        lost = acknowledged - client.stored(member)
        assert not lost, f"{member} lost {len(lost)} acknowledged rows: {sorted(lost)[:10]}"
    return len(acknowledged)


def recover_database(
    cloud: Cloud, client: Client, victims: Sequence[str], case: str, measurements: Measurements
) -> None:
    """Kill members' servers at once, wait until all serves again, and check that no row is lost."""
    members = cloud.members("mariadb")
    processes = {member: server_process(cloud, member) for member in victims}
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)
    with ThreadPoolExecutor(max_workers=len(victims)) as pool:
        killed = time.time()
        list(pool.map(lambda member: kill_database(cloud, member), victims))
    gone = time.time()
    # A row begun before the last server was gone may have been taken by one that still lived.
    first = client.wait_acknowledged(gone, seconds=WRITES_SECONDS)
    cloud.wait_synced(members, SYNCED_SECONDS)
    synced = time.time()
    for member in victims:
        assert server_process(cloud, member) != processes[member], f"{member} was never killed"
    cloud.wait_ready(SERVE_SECONDS)
    rows = check_nothing_lost(cloud, client, members)
    measurements.record(
        case,
        writes_again_seconds=first.at - killed,
        longest_gap_seconds=longest_gap(client.rows(), killed),
        all_synced_seconds=synced - killed,
        rows_acknowledged=rows,
        rows_lost=0,
    )


def server_process(cloud: Cloud, member: str, program: str = "mariadbd") -> str:
    """Return the start time of a member's server, which is another after a kill."""
    asked = f"stat --format=%Y.%i /proc/$(pidof {program})"
    return cloud.exec(member, "sh", "-c", asked).strip()


def test_the_proxies_agree_on_the_writer_that_the_status_names(
    cloud: Cloud, client: Client
) -> None:
    status = cloud.resource()["status"]
    ordinal = cloud.members("mariadb").index(status["writer"]) + 1
    answers = {}
    for proxy in cloud.pods("haproxy"):
        url = f"http://{proxy['status']['podIP']}:8404/writer"
        answers[proxy["metadata"]["name"]] = client.ask({}, [url])[url]["body"]
    assert len(answers) == 2
    assert set(answers.values()) == {ordinal}
    hosts = {row.host for row in client.rows()[-20:] if row.acknowledged}
    assert hosts == {status["writer"]}


def test_a_killed_writer_is_replaced_and_rejoins(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    writer = cloud.resource()["status"]["writer"]
    recover_database(cloud, client, [writer], "kill -9 of the writer", measurements)


def test_a_killed_member_that_is_not_the_writer_rejoins(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    writer = cloud.resource()["status"]["writer"]
    other = next(member for member in cloud.members("mariadb") if member != writer)
    recover_database(cloud, client, [other], "kill -9 of another member", measurements)


def test_three_members_killed_at_once_form_their_cluster_again(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    members = cloud.members("mariadb")
    recover_database(cloud, client, members, "kill -9 of all three members", measurements)


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

    cloud.kubectl.wait("all brokers running", check, seconds=BROKER_SECONDS)


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
    members = cloud.members("rabbitmq")
    before = server_process(cloud, members[0], "beam.smp")
    wait_brokers(cloud, members)
    killed = time.time()
    cloud.exec(members[0], "pkill", "--signal", "KILL", "--exact", "beam.smp")
    assert running_brokers(cloud, members[1]), "the others do not serve while one is gone"
    wait_reports(cloud, client, killed)
    reported = time.time()
    wait_brokers(cloud, members)
    whole = time.time()
    # Its agent has started it again: the container is the same.
    assert server_process(cloud, members[0], "beam.smp") != before, "the broker was never killed"
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

"""What is killed comes back by itself, and what the database acknowledged is kept."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.client import Client, longest_gap
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

WRITES_SECONDS = 120
SYNCED_SECONDS = 300
SERVE_SECONDS = 300


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
    processes = {member: cloud.server_process(member, "mariadbd") for member in victims}
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
        started = cloud.server_process(member, "mariadbd")
        assert started != processes[member], f"{member} was never killed"
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

    records = cloud.resource()["status"]["recoveries"]
    record = next(found for found in records if set(found["members"]) == set(members))
    assert record["role"] == "mariadb"
    assert any("starts at" in decision for decision in record["decisions"]), record
    assert not record["served"]
    assert record["durationSeconds"] > 0

"""Two database volumes lost while nobody serves: by consent the third goes on, and all join it."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support import consents
from tests.support.client import Client
from tests.support.cloud import Cloud

ROLE = "mariadb"
LOST_SECONDS = 240
SYNCED_SECONDS = 420


@pytest.fixture
def withdrawn(cloud: Cloud) -> Iterator[None]:
    """No consent is left behind."""
    with consents.withdrawn(cloud, ROLE):
        yield


def lose(cloud: Cloud, lost: list[str]) -> None:
    """Kill all servers at once, and take the volumes and pods of some members before any joins."""
    members = cloud.members(ROLE)
    kill = ("pkill", "--signal", "KILL", "--exact", "mariadbd")
    with ThreadPoolExecutor(max_workers=len(members)) as pool:
        list(pool.map(lambda member: cloud.exec(member, *kill), members))
    consents.lose(cloud, lost)


@pytest.mark.usefixtures("withdrawn")
def test_what_two_lost_volumes_held_is_given_up_by_consent_alone(
    cloud: Cloud, client: Client
) -> None:
    # Only the writer has committed all that was acknowledged when its server is killed.
    survivor = cloud.wait_ready()["status"]["writer"]
    lost = [member for member in cloud.members(ROLE) if member != survivor]
    client.wait_acknowledged(time.time(), seconds=60)

    lose(cloud, lost)
    condition = cloud.wait_reason("Progressing", "DatabaseBlocked", seconds=LOST_SECONDS)

    for named in (*lost, "bring the volume back"):
        assert named in condition["message"]
    member, incident = consents.proposed(condition["message"])
    assert member == survivor
    consents.give(cloud, ROLE, survivor, "00000000")
    cloud.wait_reason(
        "Progressing", "DatabaseBlocked", seconds=LOST_SECONDS, contains="another incident"
    )
    consents.give(cloud, ROLE, survivor, incident)
    again = client.wait_acknowledged(time.time(), seconds=SYNCED_SECONDS)
    cloud.wait_synced(cloud.members(ROLE), SYNCED_SECONDS)

    acknowledged = {row.identity for row in client.rows() if row.acknowledged}
    assert again.identity in acknowledged
    for each in cloud.members(ROLE):
        assert acknowledged <= client.stored(each)
    cloud.wait_ready(SYNCED_SECONDS)

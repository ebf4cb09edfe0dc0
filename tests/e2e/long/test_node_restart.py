"""A compute node that lost power comes back with its guest, at another address."""

import time

import pytest
from openstack.connection import Connection

from lab.guest import Guest
from lab.install import Site
from tests.support.client import Client
from tests.support.cloud import Cloud, wait_reason
from tests.support.guests import answers_as_itself
from tests.support.measurements import Measurements
from tests.support.power import cut, restore

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

POOL = "compute"
NOTICED_SECONDS = 150
BACK_SECONDS = 420


def test_a_node_that_lost_power_comes_back_with_its_guest(
    site: Site, cloud: Cloud, connection: Connection, booted: Guest, measurements: Measurements
) -> None:
    node = booted.host
    before = answers_as_itself(site, booted)
    cut(site.cluster, [node])
    wait_reason(
        site.cloud, "computepool", POOL, "Available", "NodesServe",
        status="True", seconds=NOTICED_SECONDS, contains=f"these do not: {node}",
    )  # fmt: skip

    started = time.time()
    restore(site.cluster, [node])
    site.cloud.wait_condition("computenode", node, seconds=BACK_SECONDS)
    site.cloud.wait_condition("computepool", POOL, seconds=BACK_SECONDS)
    serving = time.time()
    cloud.wait_ready(BACK_SECONDS)
    whole = time.time()
    after = answers_as_itself(site, booted)
    measurements.record(
        "a compute node restarted",
        compute_ready_seconds=serving - started,
        cloud_ready_seconds=whole - started,
        guest_answered_seconds=time.time() - started,
    )
    assert int(after["boots"]) == int(before["boots"]) + 1


def test_what_the_database_acknowledges_afterwards_is_on_every_member(cloud: Cloud) -> None:
    client = Client(cloud)
    client.start()
    members = cloud.members("mariadb")
    row = client.wait_acknowledged(time.time(), seconds=60)
    stored = {member: row.identity in client.stored(member) for member in members}
    client.stop()
    assert all(stored.values()), stored

"""All nodes lose power at once and come back in another order: the cloud serves again by itself."""

import time

import pytest
from openstack.connection import Connection

from lab.guest import Guest
from lab.install import Site
from tests.support.client import Client
from tests.support.cloud import Cloud
from tests.support.guests import answers_as_itself
from tests.support.measurements import Measurements
from tests.support.power import cut, restore

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

BACK_SECONDS = 600


def test_the_cloud_and_its_guest_come_back_and_no_acknowledged_row_is_lost(
    site: Site, cloud: Cloud, connection: Connection, booted: Guest, measurements: Measurements
) -> None:
    client = Client(cloud)
    client.start()
    before = answers_as_itself(site, booted)
    acknowledged = {row.identity for row in client.rows() if row.acknowledged}
    assert acknowledged
    nodes = site.cluster.nodes
    cut(site.cluster, nodes)

    started = time.time()
    restore(site.cluster, [nodes[0], *reversed(nodes[1:])])
    cluster_ready = time.time()
    members = cloud.members("mariadb")
    cloud.wait_synced(members, BACK_SECONDS)
    synced = time.time()
    cloud.wait_ready(BACK_SECONDS)
    site.cloud.wait_condition("computepool", "compute", seconds=BACK_SECONDS)
    whole = time.time()
    after = answers_as_itself(site, booted)
    answered = time.time()
    lost = {member: acknowledged - client.stored(member) for member in members}
    client.stop()
    measurements.record(
        "all nodes lost power",
        cluster_ready_seconds=cluster_ready - started,
        database_synced_seconds=synced - started,
        cloud_ready_seconds=whole - started,
        guest_answered_seconds=answered - started,
        rows_acknowledged=len(acknowledged),
        rows_lost=max(map(len, lost.values())),
    )
    assert not any(lost.values()), lost
    assert int(after["boots"]) == int(before["boots"]) + 1

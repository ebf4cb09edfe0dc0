"""Roles take turns: a stateless one under load, a worker, and glance on one volume.

Whoever is active is replaced within seconds, and all serve again when the model is changed back.
"""

import json
import time
from collections.abc import Iterator

import pytest
from openstack.connection import Connection

from tests.support.client import Client
from tests.support.cloud import Cloud
from tests.support.clustering import (
    WORKER,
    WRITER,
    active,
    change,
    fail_over,
    failures,
    other_active,
    programs,
    taking_turns,
)
from tests.support.measurements import Measurements

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

FAILOVER_SECONDS = 15
STATELESS = "placement"
IMAGE = "e2e-clustering"


@pytest.fixture(autouse=True, scope="module")
def restored(cloud: Cloud) -> Iterator[None]:
    """Leave the roles as they were."""
    before = cloud.resource()["spec"].get("roles", {})
    yield
    for role in (STATELESS, WORKER, WRITER):
        if cloud.resource()["spec"].get("roles", {}).get(role) != before.get(role):
            change(cloud, role, before.get(role))


def test_a_stateless_role_takes_turns_and_all_serve_again_under_load(
    cloud: Cloud, loaded: Client, measurements: Measurements
) -> None:
    started = time.time()
    change(cloud, STATELESS, taking_turns(STATELESS))
    first = active(cloud, STATELESS)
    assert first in cloud.members(STATELESS)
    assert failures(loaded.load(), started) == []

    seconds = fail_over(cloud, STATELESS, first, within=2 * FAILOVER_SECONDS)
    measurements.record("failover of a hot standby", seconds=seconds)
    assert seconds <= FAILOVER_SECONDS

    cloud.wait_ready()
    moved, second = time.time(), active(cloud, STATELESS)
    cloud.kubectl.run(
        "annotate", "lease", f"{cloud.name}-{STATELESS}", "stackroles.io/switchover=a test"
    )
    cloud.kubectl.wait(
        f"a switchover of {STATELESS}",
        other_active(cloud, STATELESS, second),
        seconds=2 * FAILOVER_SECONDS,
    )
    lease = cloud.kubectl.get("lease", f"{cloud.name}-{STATELESS}") or {}
    assert "stackroles.io/switchover" not in lease["metadata"]["annotations"]
    last = json.loads(lease["metadata"]["annotations"]["stackroles.io/last-switchover"])
    assert (last["from"], last["reason"]) == (second, "a test")

    change(cloud, STATELESS, None)
    assert failures(loaded.load(), moved) == []


def test_a_worker_runs_once_and_the_standby_takes_over(
    cloud: Cloud, measurements: Measurements
) -> None:
    change(cloud, WORKER, taking_turns(WORKER))
    first = active(cloud, WORKER)
    running = programs(cloud, WORKER)
    assert {pod for pod, count in running.items() if count} == {first}

    seconds = fail_over(cloud, WORKER, first, within=2 * FAILOVER_SECONDS)
    measurements.record("failover of a cold standby", seconds=seconds)
    change(cloud, WORKER, None)
    assert all(programs(cloud, WORKER).values())


def test_images_on_one_volume_have_one_writer_and_outlast_it(
    cloud: Cloud, connection: Connection, measurements: Measurements
) -> None:
    content = b"stackroles" * 100_000
    connection.create_image(
        IMAGE, data=content, container_format="bare", disk_format="raw", wait=True
    )
    image = connection.image.find_image(IMAGE, ignore_missing=False).id
    change(cloud, WRITER, taking_turns(WRITER))
    first = active(cloud, WRITER)
    assert {pod for pod, count in programs(cloud, WRITER).items() if count} == {first}
    assert connection.image.download_image(image).content == content

    seconds = fail_over(cloud, WRITER, first, within=3 * FAILOVER_SECONDS)
    measurements.record("failover of glance on one volume", seconds=seconds)
    assert connection.image.download_image(image).content == content

    change(cloud, WRITER, None)
    assert connection.image.download_image(image).content == content
    connection.delete_image(IMAGE, wait=True)

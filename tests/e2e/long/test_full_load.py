"""Both cores are busy all the time, a client writes, and no database member is dropped."""

import multiprocessing
import os
import time
from collections.abc import Iterator

import pytest

from tests.support.client import Client, longest_gap
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

# The figure of docs/adr/0021 is of half an hour: FULL_LOAD_SECONDS=1800.
SECONDS = float(os.environ.get("FULL_LOAD_SECONDS", "420"))
LOOK_SECONDS = 15
# What is here takes turns with all that the cloud runs.
PROCESSES = 2 * (os.cpu_count() or 1)
VIEW = (
    "SELECT variable_value FROM information_schema.global_status "
    "WHERE variable_name = 'wsrep_cluster_conf_id'"
)


def burn(ended: "multiprocessing.synchronize.Event") -> None:
    """Use a core until all of it is over."""
    while not ended.is_set():
        for _ in range(100_000):
            pass


@pytest.fixture
def busy() -> Iterator[None]:
    """Every core is wanted by two processes more."""
    context = multiprocessing.get_context("spawn")
    ended = context.Event()
    processes = [context.Process(target=burn, args=(ended,), daemon=True) for _ in range(PROCESSES)]
    for process in processes:
        process.start()
    yield
    ended.set()
    for process in processes:
        process.join()


@pytest.mark.usefixtures("busy")
def test_no_member_is_dropped_under_full_load(
    cloud: Cloud, client: Client, measurements: Measurements
) -> None:
    members = cloud.members("mariadb")
    cloud.wait_synced(members, seconds=300)
    before = {member: cloud.sql(member, VIEW).strip() for member in members}
    began = time.time()
    highest = 0.0

    def over() -> tuple[bool, str]:
        nonlocal highest
        highest = max(highest, os.getloadavg()[0])
        return time.time() - began > SECONDS, "the load goes on"

    cloud.kubectl.wait("the end of the load", over, seconds=SECONDS + 60, period=LOOK_SECONDS)

    rows = client.rows()
    measurements.record(
        "database under full load",
        seconds=time.time() - began,
        load=highest,
        rows=sum(row.acknowledged for row in rows),
        failed=sum(not row.acknowledged for row in rows),
        longest_gap_seconds=longest_gap(rows, began),
    )
    assert {member: cloud.sql(member, VIEW).strip() for member in members} == before

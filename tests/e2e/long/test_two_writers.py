"""One of two proxies cut off from the writer: how long two members take writes, and at what cost.

It sends its clients to another member and the proxies' shared entry follows, while the sessions of
the other proxy go on where they are. Galera certifies what both write: nothing acknowledged is
lost, and two writes of one row at a time cost one of them an error.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from lab.install import Site
from lab.soak import testbed
from lab.soak.faults import in_network_of
from tests.support.client import Client, Row, first_after
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

# [database] connection_recycle_time of every service.
RECYCLE_SECONDS = 280
MOVED_SECONDS = 60
# Recycled when it is used next; the rest is this machine's.
AGREED_SECONDS = RECYCLE_SECONDS + 60


@dataclass(frozen=True)
class Path:
    """A client that reaches the database through one proxy."""

    client: Client
    proxy: str

    @property
    def record(self) -> str:
        """The file of its rows."""
        return f"/record/{self.proxy}.jsonl"

    def start(self, first: int) -> None:
        """Write from now on by ids after `first`."""
        cloud = self.client.cloud
        host = f"{self.proxy}.{cloud.name}-haproxy"
        self.client.start_rows(
            self.record, first, DATABASE_HOST=host, RECYCLE_SECONDS=str(RECYCLE_SECONDS)
        )

    def rows(self) -> list[Row]:
        """Return its rows."""
        return self.client.rows(self.record)

    def wait_host(self, hosts: set[str], since: float, seconds: float) -> Row:
        """Wait for a row begun after a moment and acknowledged by one of some members."""
        found: list[Row] = []

        def check() -> tuple[bool, str]:
            row = first_after((row for row in self.rows() if row.host in hosts), since)
            found[:] = [row] if row else []
            return row is not None, f"no row by {hosts} through {self.proxy}"

        self.client.cloud.kubectl.wait(f"a row through {self.proxy}", check, seconds=seconds)
        return found[0]


@pytest.fixture
def paths(cloud: Cloud) -> Iterator[list[Path]]:
    """A client through each proxy."""
    client = Client(cloud)
    client.start()
    found = [Path(client, proxy) for proxy in cloud.members("haproxy")]
    for number, path in enumerate(found, start=1):
        path.start(number * 1_000_000)
    yield found
    client.stop()


def test_a_proxy_cut_off_from_the_writer_makes_two_writers_for_a_bounded_time(
    site: Site, cloud: Cloud, paths: list[Path], measurements: Measurements
) -> None:
    writer = cloud.wait_ready()["status"]["writer"]
    others = {*cloud.members("mariadb")} - {writer}
    cut, kept = paths
    for path in paths:
        path.wait_host({writer}, 0.0, MOVED_SECONDS)
    bed = testbed.Testbed(site, cloud)
    network = in_network_of(bed, cut.proxy)
    address = bed.pod(writer)["status"]["podIP"]

    began = time.time()
    site.cluster.docker(*network, "ip", "route", "add", "blackhole", f"{address}/32")
    try:
        moved = cut.wait_host(others, began, MOVED_SECONDS)
        followed = kept.wait_host(others, began, AGREED_SECONDS)
    finally:
        site.cluster.docker(*network, "ip", "route", "flush", "type", "blackhole")
    agreed = cloud.wait_ready()["status"]["writer"]

    rows = [row for path in paths for row in path.rows()]
    acknowledged = {row.identity for row in rows if row.acknowledged}
    lost = {
        member: acknowledged - paths[0].client.stored(member) for member in cloud.members("mariadb")
    }
    measurements.record(
        "a proxy cut off from the writer",
        moved_seconds=moved.at - began,
        two_writers_seconds=followed.at - moved.at,
        rows_acknowledged=len(acknowledged),
        rows_lost=max(map(len, lost.values())),
        rows_refused=sum(not row.acknowledged for row in rows if row.sent > began),
    )
    assert agreed == moved.host == followed.host
    assert not any(lost.values()), lost

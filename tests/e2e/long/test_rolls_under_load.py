"""Each API role and the endpoint are rolled in turn, and a steady load sees no failure."""

import time
from collections.abc import Iterator

import pytest

from tests.support.client import Client
from tests.support.cloud import Cloud
from tests.support.clustering import change, failures
from tests.support.measurements import Measurements

# glance with its own volume is left out: its one member is away while it is replaced.
ROLLED = ("keystone", "placement", "nova-api", "nova-novncproxy", "neutron-api", "endpoint")


@pytest.fixture(autouse=True, scope="module")
def restored(cloud: Cloud) -> Iterator[None]:
    """Leave the roles as they were."""
    before = cloud.resource()["spec"].get("roles", {})
    yield
    for role in ROLLED:
        if cloud.resource()["spec"].get("roles", {}).get(role) != before.get(role):
            change(cloud, role, before.get(role))


@pytest.mark.parametrize("role", ROLLED)
def test_a_roll_loses_no_call(
    cloud: Cloud, loaded: Client, measurements: Measurements, role: str
) -> None:
    cloud.wait_ready()
    before, started = set(cloud.members(role)), time.time()
    change(cloud, role, {"resources": {"requests": {"cpu": "21m"}}})
    assert not before & set(cloud.members(role)), "the role was not rolled"
    calls = [call for call in loaded.load() if call["at"] >= started]
    assert failures(calls) == []
    longest = max(call["seconds"] for call in calls)
    measurements.record(f"longest of {len(calls)} calls while {role} rolls", seconds=longest)

"""Roles change and fail over under load: what is behind the endpoint loses no call to a roll.

A stateless role is switched to ActivePassive and back; a worker and glance on one volume take
turns, and whoever is active is replaced within seconds.
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from openstack.connection import Connection

from lab.kubectl import Object
from tests.support.client import Client
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

# What a client asks all the time: a list that needs a token and a database, and what needs neither.
LISTS = (
    "keystone:5000/v3/projects",
    "glance:9292/v2/images?limit=5",
    "placement:8778/resource_providers",
    "nova-api:8774/v2.1/servers",
    "neutron-api:9696/v2.0/networks",
)
PLAIN = (
    "keystone:5000/v3",
    "glance:9292/",
    "placement:8778/",
    "nova-api:8774/",
    "neutron-api:9696/",
    "nova-novncproxy:6080/vnc_lite.html",
)
ROLLED = ("keystone", "placement", "nova-api", "nova-novncproxy", "neutron-api", "endpoint")
ROLL_SECONDS = 300
FAILOVER_SECONDS = 15
STATELESS, WORKER, WRITER = "placement", "nova-conductor", "glance"
IMAGE = "e2e-clustering"
ARGUMENTS = {WORKER: b"nova-conductor\0--config-file", WRITER: b"uwsgi\0--ini"}


def change(cloud: Cloud, role: str, spec: dict[str, Any] | None) -> None:
    """Set one role in the spec, as `kubectl edit` would, and wait until that is in force."""
    patch = {"spec": {"roles": {role: spec}}}
    cloud.kubectl.run(
        "patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={json.dumps(patch)}"
    )
    cloud.wait_ready(ROLL_SECONDS)


def taking_turns(role: str) -> dict[str, Any]:
    """Return the spec of a role whose members take turns."""
    return {"clustering": {"model": "ActivePassive", "replicas": 2}}


def active(cloud: Cloud, role: str) -> str:
    """Return the active member by the cloud's status, empty while there is none."""
    roles = cloud.resource()["status"]["roles"]
    return str(next(item for item in roles if item["name"] == role).get("active") or "")


def other_active(cloud: Cloud, role: str, former: str) -> Callable[[], tuple[bool, str]]:
    """Return a check whether a member other than a former one is active."""

    def check() -> tuple[bool, str]:
        found = active(cloud, role)
        return found not in ("", former), f"active: {found or 'none'}"

    return check


def programs(cloud: Cloud, role: str) -> dict[str, int]:
    """Return how many processes of the role's program each member runs, by an argument of it."""
    script = (
        "import glob; lines = [open(f, 'rb').read() for f in glob.glob('/proc/[0-9]*/cmdline')];"
        f" print(sum({ARGUMENTS[role]!r} in line for line in lines))"
    )
    return {
        pod: int(cloud.exec(pod, "python3", "-c", script).strip()) for pod in cloud.members(role)
    }


def failures(calls: list[Object], since: float = 0.0) -> list[Object]:
    """Return the calls begun after a moment that got no answer, or one of a failing server."""
    late = [call for call in calls if call["at"] >= since]
    assert late, "no call was made"
    return [call for call in late if not 200 <= call["status"] < 400]


@pytest.fixture(scope="module")
def loaded(client: Client) -> Client:
    """A client that asks all APIs all the time."""
    client.start_load(LISTS, PLAIN)
    return client


@pytest.fixture(autouse=True, scope="module")
def restored(cloud: Cloud) -> Iterator[None]:
    """Leave the roles as they were."""
    before = cloud.resource()["spec"].get("roles", {})
    yield
    for role in {*ROLLED, STATELESS, WORKER, WRITER}:
        if cloud.resource()["spec"].get("roles", {}).get(role) != before.get(role):
            change(cloud, role, before.get(role))


@pytest.mark.parametrize("role", ROLLED)
def test_a_roll_loses_no_call(cloud: Cloud, loaded: Client, role: str) -> None:
    cloud.wait_ready()
    before, started = set(cloud.members(role)), time.time()
    change(cloud, role, {"resources": {"requests": {"cpu": "21m"}}})
    assert not before & set(cloud.members(role)), "the role was not rolled"
    assert failures(loaded.load(), started) == []


def test_a_stateless_role_takes_turns_and_all_serve_again_under_load(
    cloud: Cloud, loaded: Client, measurements: Measurements
) -> None:
    started = time.time()
    change(cloud, STATELESS, taking_turns(STATELESS))
    first = active(cloud, STATELESS)
    assert first in cloud.members(STATELESS)
    assert failures(loaded.load(), started) == []

    killed = time.monotonic()
    cloud.kubectl.run("delete", "pod", first, "--force", "--grace-period=0")
    cloud.kubectl.wait(
        f"another active member of {STATELESS}",
        other_active(cloud, STATELESS, first),
        seconds=2 * FAILOVER_SECONDS,
    )
    measurements.record("failover of a hot standby", seconds=time.monotonic() - killed)
    assert time.monotonic() - killed <= FAILOVER_SECONDS

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

    killed = time.monotonic()
    cloud.kubectl.run("delete", "pod", first, "--force", "--grace-period=0")
    cloud.kubectl.wait(
        f"another active member of {WORKER}",
        other_active(cloud, WORKER, first),
        seconds=2 * FAILOVER_SECONDS,
    )
    measurements.record("failover of a cold standby", seconds=time.monotonic() - killed)
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

    killed = time.monotonic()
    cloud.kubectl.run("delete", "pod", first, "--force", "--grace-period=0")
    cloud.kubectl.wait(
        f"another active member of {WRITER}",
        other_active(cloud, WRITER, first),
        seconds=3 * FAILOVER_SECONDS,
    )
    measurements.record("failover of glance on one volume", seconds=time.monotonic() - killed)
    assert connection.image.download_image(image).content == content

    change(cloud, WRITER, None)
    assert connection.image.download_image(image).content == content
    connection.delete_image(IMAGE, wait=True)

"""All brokers cut off from clients for 35 minutes: calls are answered again within a minute."""

import os
import time
from collections.abc import Iterator

import pytest
from openstack.connection import Connection

from lab.guest import Guest
from lab.install import Site
from lab.soak import testbed
from lab.soak.faults import in_network_of
from stackroles.roles.common import BROKER_PORT
from tests.support.cloud import Cloud
from tests.support.guests import is_called
from tests.support.measurements import Measurements

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

# A queue that nobody uses for 30 minutes is deleted by the broker ([oslo_messaging_rabbit]
# rabbit_transient_queues_ttl), so that clients find theirs gone.
AWAY_SECONDS = float(os.environ.get("BROKERS_AWAY_SECONDS", "2100"))
BACK_SECONDS = 60
WHOLE_SECONDS = 300
CALLERS = ("nova-api", "nova-conductor", "nova-scheduler", "nova-compute", "neutron-api")


def rule(action: str) -> tuple[str, ...]:
    """Return the command that adds ("-I") or removes ("-D") what drops every client's packets."""
    port = ("-p", "tcp", "--dport", str(BROKER_PORT))
    return ("iptables", "-w", "10", action, "INPUT", "!", "-i", "lo", *port, "-j", "DROP")


@pytest.fixture
def bed(site: Site, cloud: Cloud) -> Iterator[testbed.Testbed]:
    """The cloud, whose brokers can be reached at the end."""
    made = testbed.Testbed(site, cloud)
    yield made
    if any(is_dropped(made, member) for member in cloud.members("rabbitmq")):
        for member in cloud.members("rabbitmq"):
            site.cluster.docker(*in_network_of(made, member), *rule("-D"))


def is_dropped(bed: testbed.Testbed, member: str) -> bool:
    """Return whether a broker drops what clients send."""
    listed = bed.cluster.docker(*in_network_of(bed, member), "iptables", "-w", "10", "-S", "INPUT")
    return f"--dport {BROKER_PORT} -j DROP" in listed


def restarts(cloud: Cloud) -> dict[str, int]:
    """Return how often the container of each caller's pod was started again, by the pod's UID."""
    return {
        pod["metadata"]["uid"]: sum(s["restartCount"] for s in pod["status"]["containerStatuses"])
        for role in CALLERS
        for pod in cloud.kubectl.items("pods", f"app.kubernetes.io/name={role}")
        if "containerStatuses" in pod["status"]
    }


def wait_call(cloud: Cloud, connection: Connection, booted: Guest, seconds: float) -> None:
    """Wait until nova's API gets an answer from the guest's nova-compute through the brokers."""

    cloud.kubectl.wait(
        "a call from nova's API to nova-compute",
        lambda: is_called(connection, booted),
        seconds=seconds,
    )


def wait_services(cloud: Cloud, connection: Connection, seconds: float) -> None:
    """Wait until nova counts every one of its services as up."""

    def check() -> tuple[bool, str]:
        found = list(connection.compute.services())
        down = [f"{one.binary} on {one.host}" for one in found if one.state != "up"]
        return bool(found) and not down, f"down: {down}"

    cloud.kubectl.wait("all services of nova up", check, seconds=seconds)


def test_clients_of_brokers_that_were_away_for_long_serve_again(
    bed: testbed.Testbed, connection: Connection, booted: Guest, measurements: Measurements
) -> None:
    cloud = bed.cloud
    cloud.wait_ready()
    wait_call(cloud, connection, booted, WHOLE_SECONDS)
    members, before = cloud.members("rabbitmq"), restarts(cloud)

    for member in members:
        bed.cluster.docker(*in_network_of(bed, member), *rule("-I"))
    until = time.monotonic() + AWAY_SECONDS
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 30.0))
        assert all(is_dropped(bed, member) for member in members), "a broker was replaced meanwhile"

    began = time.monotonic()
    for member in members:
        bed.cluster.docker(*in_network_of(bed, member), *rule("-D"))
    wait_call(cloud, connection, booted, BACK_SECONDS)
    answered = time.monotonic()
    wait_services(cloud, connection, BACK_SECONDS)
    counted = time.monotonic()
    cloud.wait_ready(WHOLE_SECONDS)
    after = restarts(cloud)
    measurements.record(
        "brokers away",
        away_seconds=AWAY_SECONDS,
        call_answered_seconds=answered - began,
        services_up_seconds=counted - began,
        restarted=sum(before.get(uid) != count for uid, count in after.items()),
    )

"""Two of three brokers' volumes lost: by consent the third goes on, and RPC calls are answered."""

import time

import pytest
from openstack.connection import Connection

from lab.guest import Guest
from tests.support import consents
from tests.support.broker_status import lacking
from tests.support.cloud import Cloud
from tests.support.guests import is_called
from tests.support.measurements import Measurements

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

ROLE = "rabbitmq"
BLOCKED_SECONDS = 300
WHOLE_SECONDS = 420
CALL_SECONDS = 120


def test_what_two_lost_volumes_held_is_given_up_by_consent_alone(
    cloud: Cloud, connection: Connection, booted: Guest, measurements: Measurements
) -> None:
    cloud.wait_ready()
    members = cloud.members(ROLE)

    with consents.withdrawn(cloud, ROLE):
        member, incident = consents.lose_majority(cloud, ROLE, "MessagingBlocked", BLOCKED_SECONDS)
        given = time.time()
        consents.give(cloud, ROLE, member, incident)
        cloud.wait_ready(WHOLE_SECONDS)

    def together() -> tuple[bool, str]:
        found = lacking(cloud, members)
        return not found, str(found)

    cloud.kubectl.wait("all brokers together", together, seconds=WHOLE_SECONDS)
    whole = time.time()
    cloud.kubectl.wait(
        "a call from nova's API to nova-compute",
        lambda: is_called(connection, booted),
        seconds=CALL_SECONDS,
    )
    measurements.record(
        "a majority of the brokers lost, by consent",
        whole_seconds=whole - given,
        call_answered_seconds=time.time() - given,
    )

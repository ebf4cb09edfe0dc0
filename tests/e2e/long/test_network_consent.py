"""Two of three volumes of an OVN database lost: by consent the third goes on, and guests with it.

The guest's traffic does not stop, and no ovn-controller stays with what was before.
"""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from openstack.connection import Connection

from lab import guest
from lab.guest import Guest
from lab.install import Site
from lab.outside import Answer, ping
from tests.support import consents
from tests.support.cloud import Cloud, wait_reason
from tests.support.guests import answers_as_itself
from tests.support.measurements import Measurements

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

BLOCKED_SECONDS = 240
# A guest under emulation on a busy machine answers late; what takes longer was lost.
ANSWER_SECONDS = 10.0
WHOLE_SECONDS = 420
FOLLOWS_SECONDS = 60


@dataclass
class Pings:
    """Echo requests to a guest, one after the other."""

    answers: list[Answer] = field(default_factory=list)

    @property
    def lost(self) -> int:
        """How many got no answer."""
        return sum(answer.milliseconds is None for answer in self.answers)


@contextmanager
def pinging(address: str) -> Iterator[Pings]:
    """Ask a guest for an echo for as long as the context lasts."""
    pings, ended = Pings(), threading.Event()

    def run() -> None:
        while not ended.is_set():
            pings.answers += ping(address, 5, timeout=ANSWER_SECONDS)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield pings
    finally:
        ended.set()
        thread.join()


@pytest.mark.parametrize("role", ["ovn-sb", "ovn-nb"])
def test_what_two_lost_volumes_held_is_given_up_by_consent_alone(
    site: Site, cloud: Cloud, booted: Guest, measurements: Measurements, role: str
) -> None:
    before = answers_as_itself(site, booted)
    cloud.wait_ready()

    with consents.withdrawn(cloud, role), pinging(booted.floating) as pings:
        member, incident = consents.lose_majority(cloud, role, "OvnBlocked", BLOCKED_SECONDS)
        given = time.time()
        consents.give(cloud, role, member, incident)
        cloud.wait_ready(WHOLE_SECONDS)
        whole = time.time()
        for node in site.cluster.nodes[1:]:
            wait_reason(
                cloud.kubectl, "computenode", node, "NetworkFollows", "ControllerConnected",
                status="True", seconds=FOLLOWS_SECONDS,
            )  # fmt: skip
        followed = time.time()
        site.cloud.wait_condition("computepool", "compute", seconds=WHOLE_SECONDS)

    after = answers_as_itself(site, booted)
    measurements.record(
        f"a majority of {role} lost, by consent",
        whole_seconds=whole - given,
        followed_seconds=followed - given,
        pings=len(pings.answers),
        pings_lost=pings.lost,
    )
    assert after["boots"] == before["boots"]
    assert pings.lost == 0


def test_networks_still_change_afterwards(connection: Connection, booted: Guest) -> None:
    # An address of the guest taken away and given back is a change of both databases.
    floating = connection.network.find_ip(booted.floating, ignore_missing=False)
    port = floating.port_id
    connection.network.update_ip(floating, port_id=None)
    try:
        assert not any(answer.milliseconds for answer in settled(booted.floating, answers=False))
    finally:
        connection.network.update_ip(floating, port_id=port)
    assert guest.wait_ping(booted) > 0


def settled(address: str, *, answers: bool) -> list[Answer]:
    """Return the first five echoes of an address that agree on whether it answers, or the last."""
    end = time.monotonic() + FOLLOWS_SECONDS
    while True:
        found = ping(address, 5)
        agree = all((answer.milliseconds is not None) is answers for answer in found)
        if agree or time.monotonic() > end:
            return found

"""A pool with a guest is not deleted; an empty one goes whole and can be made again."""

import pytest
from openstack.connection import Connection

from lab import install
from lab.guest import Guest
from lab.install import Site
from lab.kubectl import Kubectl
from tests.support.cloud import Cloud, wait_gone, wait_reason
from tests.support.guests import answers_as_itself, boot

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

POOL = "compute"
LABEL = "compute.stackroles.io/pool"
AGENTS = f"app.kubernetes.io/instance={POOL},stackroles.io/owner-kind=ComputePool"
TOLD_SECONDS = 90
GONE_SECONDS = 300
READY_SECONDS = 300


def test_a_pool_with_a_guest_stays_and_says_where_the_guest_is(
    site: Site, kubectl: Kubectl, booted: Guest
) -> None:
    kubectl.run("delete", "computepool", POOL, "--wait=false")

    condition = wait_reason(
        kubectl, "computepool", POOL, "Reconciled", "DeletionBlocked",
        seconds=TOLD_SECONDS, contains=booted.host,
    )  # fmt: skip
    assert "Move or delete the guests" in condition["message"]
    answers_as_itself(site, booted)


def test_it_goes_when_the_guest_has_gone(
    kubectl: Kubectl, connection: Connection, booted: Guest
) -> None:
    connection.compute.delete_server(booted.id)
    wait_gone(kubectl, "computepool", POOL, GONE_SECONDS)

    assert kubectl.items("computenodes") == []
    assert kubectl.items("nodes", LABEL) == []
    services = [service.binary for service in connection.compute.services()]
    assert "nova-conductor" in services
    assert "nova-compute" not in services
    assert not [agent.binary for agent in connection.network.agents() if agent.is_alive]
    kubectl.wait(
        "the end of its agents",
        lambda: (not (left := kubectl.items("pods,daemonsets", AGENTS)), str(len(left))),
        seconds=GONE_SECONDS,
    )


def test_it_can_be_made_again_and_runs_a_guest(
    site: Site, cloud: Cloud, connection: Connection
) -> None:
    site.cloud.apply(install.SAMPLES / "pool.yaml")
    site.cloud.wait_condition("computepool", POOL, seconds=READY_SECONDS)
    cloud.wait_ready()
    answers_as_itself(site, boot(site, connection))

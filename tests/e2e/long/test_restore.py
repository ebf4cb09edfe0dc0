"""A recovery set comes back by one resource, row for row, while guests run on."""

import time
from collections.abc import Iterator

import pytest
from openstack.connection import Connection

from lab import apis, guest, install
from lab.guest import Guest
from lab.install import Site
from lab.kubectl import Kubectl, Object
from lab.outside import ping
from stackroles.constants import LABEL_OWNER_KIND, LABEL_OWNER_NAME
from tests.support.client import Client
from tests.support.cloud import Cloud, wait_gone, wait_reason
from tests.support.measurements import Measurements
from tests.support.resources import resource
from tests.support.restores import check_rows, phase_seconds

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

WRITES_SECONDS = 60
PREFLIGHT_SECONDS = 120
RESTORE_SECONDS = 900
READY_SECONDS = 300
GONE_SECONDS = 120
NAME = "e2e-restore"
KEPT, LOST = "e2e-restore-kept", "e2e-restore-lost"


@pytest.fixture(scope="module")
def backup(
    site: Site, cloud: Cloud, connection: Connection, booted: Guest, client: Client
) -> Iterator[Object]:
    """A recovery set of a cloud with a guest, a network and rows; more of each comes after it."""
    cloud.wait_ready()
    for name in (KEPT, LOST):
        for found in connection.network.networks(name=name):
            connection.network.delete_network(found)
    connection.network.create_network(name=KEPT)
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)
    name = f"{NAME}-{int(time.time())}"
    yield install.backup(site, name, lambda _: None)
    # The sets go with their Backups.
    site.cloud.run("delete", "backup", name, "--ignore-not-found", "--wait=false")
    labels = f"{LABEL_OWNER_KIND}=Restore,{LABEL_OWNER_NAME}={NAME}"
    site.cloud.run("delete", "backup", "-l", labels, "--ignore-not-found", "--wait=false")


def switches(cloud: Cloud) -> set[str]:
    """Return the names that neutron gave to the networks in OVN's northbound database."""
    text = cloud.exec(
        cloud.members("ovn-nb")[0],
        *("ovn-nbctl", "--no-leader-only", "--format=json", "--data=json", "--bare"),
        *("--columns=external_ids", "list", "Logical_Switch"),
    )
    return {name for name in (KEPT, LOST) if name in text}


def test_a_restore_brings_back_what_the_set_holds(  # noqa: PLR0917 - fixtures
    site: Site,
    kubectl: Kubectl,
    cloud: Cloud,
    connection: Connection,
    booted: Guest,
    client: Client,
    backup: Object,
    measurements: Measurements,
) -> None:
    before = guest.wait_console(connection, booted)
    connection.network.create_network(name=LOST)
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)
    servers = {m: cloud.server_process(m, "mariadbd") for m in cloud.members("mariadb")}
    cloud.sql(cloud.resource()["status"]["writer"], "DROP DATABASE neutron")
    assert switches(cloud) == {KEPT, LOST}

    spec = {"backup": backup["metadata"]["name"]}
    kubectl.run("delete", "restore", NAME, "--ignore-not-found")
    kubectl.apply(resource("Restore", NAME, spec))
    wait_reason(kubectl, "restore", NAME, "Complete", "ConsentRequired", seconds=PREFLIGHT_SECONDS)
    assert {m: cloud.server_process(m, "mariadbd") for m in servers} == servers
    kubectl.apply(resource("Restore", NAME, {**spec, "overwrite": cloud.name}))
    found = kubectl.wait_condition("restore", NAME, "Complete", seconds=RESTORE_SECONDS)

    restored = time.time()
    cloud.wait_ready(READY_SECONDS)
    check_rows(cloud, client, backup, found)
    with apis.connect(site.cloud, "demo") as opened:
        names = {network.name for network in opened.network.networks()}
        assert KEPT in names
        assert LOST not in names
        after = guest.wait_console(opened, booted)
    assert switches(cloud) == {KEPT}
    assert after["boots"] == before["boots"]
    assert int(after["uptime"]) > int(before["uptime"])
    assert any(answer.milliseconds for answer in ping(booted.floating, 5))
    client.wait_acknowledged(restored, seconds=WRITES_SECONDS)
    measurements.record(
        "restore, in place",
        seconds=found["status"]["recoverySeconds"],
        **phase_seconds(found),
    )
    kubectl.run("delete", "restore", NAME)
    wait_gone(kubectl, "restore", NAME, GONE_SECONDS)

"""Deleted rows are counted, then removed by the services' tools; live rows stay."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from openstack.connection import Connection
from openstack.identity.v3._proxy import Proxy as Identity

from lab.kubectl import Object
from tests.support.cloud import Cloud, wait_gone, wait_until
from tests.support.measurements import Measurements

# openstacksdk warns of deprecated calls that its own code makes.
pytestmark = pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")

DECLARED = {"schedule": "@yearly", "olderThanDays": 90}
CRON_JOB = "demo-housekeeping"
NAME = "e2e-housekeeping"
SERVICES = ["glance", "keystone", "nova"]
# More than glance keeps the rows of images for.
AGO = "INTERVAL 400 DAY"
# No host has so much, and no quota counts it: a server of it is one of cell0's.
DISK_GIB = 10_000_000
ACTED_SECONDS = 120
SERVER_SECONDS = 180
# Three Jobs, one after the other; those of nova start nova-manage twice for each batch.
RUN_SECONDS = 600


@dataclass(frozen=True)
class Deleted:
    """What was made and deleted, by its id."""

    image: str
    server: str
    trust: str


def declare(cloud: Cloud, housekeeping: dict[str, Any] | None) -> None:
    """Set spec.housekeeping of the cloud, as `kubectl edit` would."""
    patch = json.dumps({"spec": {"housekeeping": housekeeping}})
    cloud.kubectl.run("patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={patch}")


def query(cloud: Cloud, statement: str) -> list[str]:
    return cloud.sql(cloud.resource()["status"]["writer"], statement).split()


def number(cloud: Cloud, source: str) -> int:
    return int(query(cloud, f"SELECT COUNT(*) FROM {source}")[0])  # noqa: S608 - the test's own


def make_server(connection: Connection, image: str) -> str:
    """Return a server that no host took."""
    flavor = connection.compute.create_flavor(name=NAME, ram=64, vcpus=1, disk=DISK_GIB)
    try:
        server = connection.compute.create_server(
            name=NAME, image_id=image, flavor_id=flavor.id, networks="none"
        )
        connection.compute.wait_for_server(
            server, status="ERROR", failures=["ACTIVE"], wait=SERVER_SECONDS
        )
        return str(server.id)
    finally:
        connection.compute.delete_flavor(flavor.id)


def identity(connection: Connection) -> Identity:
    """Return keystone's API in its version 3."""
    found = connection.identity
    assert isinstance(found, Identity)
    return found


def make_trust(connection: Connection) -> str:
    user, project = connection.current_user_id, connection.current_project_id
    role = identity(connection).find_role("admin", ignore_missing=False)
    trust = identity(connection).create_trust(
        trustor_user_id=user,
        trustee_user_id=user,
        project_id=project,
        is_impersonation=False,
        roles=[{"id": role.id}],
    )
    return str(trust.id)


def make_image(connection: Connection, name: str) -> str:
    image = connection.image.create_image(
        name=name, disk_format="raw", container_format="bare", data=b"e2e", e2e="yes"
    )
    return str(image.id)


def backdate(cloud: Cloud, found: Deleted) -> None:
    """Let it all be deleted long ago: rows of the image, of the server and of its actions."""
    ago = f"SET deleted_at = deleted_at - {AGO}"
    statements = [f"UPDATE glance.images {ago} WHERE id = '{found.image}'"]
    statements += [
        f"UPDATE glance.{table} {ago} WHERE image_id = '{found.image}'"
        for table in ("image_properties", "image_locations", "image_tags")
    ]
    of_server, made = f"instance_uuid = '{found.server}'", f"SET created_at = created_at - {AGO}"
    actions = f"SELECT id FROM nova_cell0.instance_actions WHERE {of_server}"  # noqa: S608
    tables = query(
        cloud,
        "SELECT t.table_name FROM information_schema.columns t JOIN information_schema.columns d"
        " USING (table_schema, table_name) WHERE t.table_schema = 'nova_cell0'"
        " AND t.column_name = 'instance_uuid' AND d.column_name = 'deleted_at'"
        " AND t.table_name NOT LIKE 'shadow%'",
    )
    assert "instance_extra" in tables
    statements += [f"UPDATE nova_cell0.{table} {ago} WHERE {of_server}" for table in tables]
    statements += [
        f"UPDATE nova_cell0.instances {ago} WHERE uuid = '{found.server}'",
        f"UPDATE nova_cell0.instance_id_mappings {ago} WHERE uuid = '{found.server}'",
        f"UPDATE nova_cell0.instance_actions_events {made} WHERE action_id IN ({actions})",
        f"UPDATE nova_cell0.instance_actions {made} WHERE {of_server}",
    ]
    query(cloud, "; ".join(statements))


@pytest.fixture(scope="module")
def live(connection: Connection) -> Iterator[Deleted]:
    """An image and a trust that stay until the end of the test."""
    found = Deleted(make_image(connection, f"{NAME}-live"), "", make_trust(connection))
    yield found
    connection.image.delete_image(found.image)
    identity(connection).delete_trust(found.trust)


@pytest.fixture(scope="module")
def deleted(cloud: Cloud, connection: Connection, live: Deleted) -> Iterator[Deleted]:
    """An image, a server and a trust that were deleted long ago, beside such that are there."""
    cloud.wait_ready()
    image = make_image(connection, NAME)
    found = Deleted(image, make_server(connection, image), make_trust(connection))
    server = connection.compute.get_server(found.server)
    connection.compute.delete_server(server)
    connection.compute.wait_for_delete(server, wait=SERVER_SECONDS)
    connection.image.delete_image(found.image)
    identity(connection).delete_trust(found.trust)
    backdate(cloud, found)
    yield found
    declare(cloud, None)
    wait_gone(cloud.kubectl, "cronjob", CRON_JOB, ACTED_SECONDS)


def rows(cloud: Cloud, found: Deleted) -> dict[str, int]:
    """Return the rows of what was deleted, by table."""
    sources = {
        "glance.images": f"id = '{found.image}'",
        "glance.image_properties": f"image_id = '{found.image}'",
        "nova_cell0.instances": f"uuid = '{found.server}'",
        "nova_cell0.instance_actions": f"instance_uuid = '{found.server}'",
        "nova_cell0.shadow_instances": f"uuid = '{found.server}'",
        "nova_cell0.shadow_instance_actions": f"instance_uuid = '{found.server}'",
        "keystone.trust": f"id = '{found.trust}'",
    }
    return {
        table: number(cloud, f"{table} WHERE {condition}") for table, condition in sources.items()
    }


def live_rows(cloud: Cloud) -> dict[str, int]:
    """Return the rows that nobody deleted, by table."""
    tables = ("glance.images", "glance.image_properties", "nova.instances", "nova.services")
    found = {table: number(cloud, f"{table} WHERE deleted = 0") for table in tables}
    return found | {"keystone.trust": number(cloud, "keystone.trust WHERE deleted_at IS NULL")}


def run(cloud: Cloud, mode: str) -> dict[str, Object]:
    """Leave a mark as a person would, and return the last run of each service by it."""
    name = f"{NAME}-{mode.lower()}-{int(time.time())}"
    before = statuses(cloud)
    cloud.kubectl.run("create", "job", f"--from=cronjob/{CRON_JOB}", name)

    def fresh() -> list[str]:
        return sorted(
            service
            for service, found in statuses(cloud).items()
            if found["mode"] == mode and found != before.get(service)
        )

    wait_until(
        cloud.kubectl, f"a {mode} of each service", fresh, wanted=SERVICES, seconds=RUN_SECONDS
    )
    return statuses(cloud)


def statuses(cloud: Cloud) -> dict[str, Object]:
    return {found["service"]: found for found in cloud.resource()["status"].get("housekeeping", [])}


def test_nothing_is_removed_before_it_was_counted(cloud: Cloud, deleted: Deleted) -> None:
    before = rows(cloud, deleted)
    assert before["glance.images"] == before["nova_cell0.instances"] == 1
    assert before["keystone.trust"] == 1
    declare(cloud, {**DECLARED, "mode": "Purge"})

    condition = cloud.wait_reason(
        "HousekeepingFailing", "ReportRequired", status="True", seconds=ACTED_SECONDS
    )

    assert all(service in condition["message"] for service in SERVICES)
    assert rows(cloud, deleted) == before


def test_a_report_counts_and_changes_nothing(
    cloud: Cloud, deleted: Deleted, measurements: Measurements
) -> None:
    before, others = rows(cloud, deleted), live_rows(cloud)
    declare(cloud, {**DECLARED, "mode": "Report"})
    wait_until(
        cloud.kubectl,
        "the schedule",
        lambda: cloud.kubectl.get("cronjob", CRON_JOB) is not None,
        wanted=True,
        seconds=ACTED_SECONDS,
    )

    found = run(cloud, "Report")

    assert {service: item["result"] for service, item in found.items()} == dict.fromkeys(
        SERVICES, "Succeeded"
    ), found
    # The image with its property and its location; the server and its action.
    assert found["glance"]["rows"] >= 3
    assert found["nova"]["rows"] >= 2
    assert found["keystone"]["rows"] >= 1
    assert rows(cloud, deleted) == before
    assert live_rows(cloud) == others
    measurements.record(
        "report of deleted rows",
        **{service: item["seconds"] for service, item in found.items()},
    )


def test_a_purge_removes_them_and_nothing_else(
    cloud: Cloud, deleted: Deleted, live: Deleted, connection: Connection,
    measurements: Measurements,
) -> None:  # fmt: skip
    others = live_rows(cloud)
    declare(cloud, {**DECLARED, "mode": "Purge"})
    cloud.wait_reason(
        "HousekeepingFailing", "HousekeepingSound", status="False", seconds=ACTED_SECONDS
    )

    found = run(cloud, "Purge")

    assert {service: item["result"] for service, item in found.items()} == dict.fromkeys(
        SERVICES, "Succeeded"
    ), found
    assert all(item["rows"] >= 1 for item in found.values()), found
    assert set(rows(cloud, deleted).values()) == {0}
    assert live_rows(cloud) == others
    assert connection.image.get_image(live.image).status == "active"
    assert identity(connection).get_trust(live.trust).id == live.trust
    measurements.record(
        "purge of deleted rows", **{service: item["seconds"] for service, item in found.items()}
    )


def test_its_pods_have_no_token(cloud: Cloud, deleted: Deleted) -> None:
    jobs = cloud.kubectl.items("jobs", "app.kubernetes.io/component=housekeeping")
    assert jobs
    for job in jobs:
        assert job["spec"]["template"]["spec"]["automountServiceAccountToken"] is False

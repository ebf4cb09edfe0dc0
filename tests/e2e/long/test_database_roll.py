"""A changed option rolls the database's members, the writer last, and no write fails."""

import json
import time
from collections.abc import Iterator

import pytest

from lab.kubectl import Kubectl
from tests.support.client import Client, longest_gap
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements

OPTION = "max_connections"
ROLL_SECONDS = 300
WRITES_SECONDS = 30


def set_option(cloud: Cloud, value: int | None) -> None:
    """Declare the option, or take it back."""
    options = {"mysqld": {OPTION: value}} if value else None
    patch = json.dumps({"spec": {"config": {"mariadb": options}}})
    cloud.kubectl.run("patch", "cloudcontroller", cloud.name, "--type=merge", "--patch", patch)


@pytest.fixture(autouse=True)
def restored(cloud: Cloud, kubectl: Kubectl) -> Iterator[None]:
    """Leave the options as they were: this sample declares none of the database."""
    cloud.wait_ready()
    found = (kubectl.get("cloudcontroller", cloud.name) or {})["spec"].get("config", {})
    assert "mariadb" not in found
    yield
    set_option(cloud, None)
    cloud.wait_ready(ROLL_SECONDS)


def created(cloud: Cloud) -> dict[str, str]:
    """Return when each member's pod was made."""
    return {
        pod["metadata"]["name"]: pod["metadata"]["creationTimestamp"]
        for pod in cloud.pods("mariadb")
    }


def test_a_changed_option_costs_no_write(
    cloud: Cloud, kubectl: Kubectl, client: Client, measurements: Measurements
) -> None:
    members = cloud.members("mariadb")
    before, writer = created(cloud), cloud.resource()["status"]["writer"]
    value = int(cloud.sql(writer, f"SELECT @@{OPTION}").strip()) + 1
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)
    started = time.time()
    set_option(cloud, value)

    def rolled() -> tuple[bool, str]:
        now = created(cloud)
        fresh = [name for name in members if now.get(name, before[name]) != before[name]]
        return len(fresh) == len(members), f"made again: {fresh}"

    kubectl.wait("new pods of all members", rolled, seconds=ROLL_SECONDS)
    cloud.wait_synced(members, ROLL_SECONDS)
    ended = time.time()
    cloud.wait_ready(ROLL_SECONDS)
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)

    assert {cloud.sql(member, f"SELECT @@{OPTION}").strip() for member in members} == {str(value)}
    assert max(created(cloud).items(), key=lambda item: item[1])[0] == writer
    rows = [row for row in client.rows() if row.sent >= started]
    failed = [row for row in rows if not row.acknowledged]
    measurements.record(
        "roll of the database",
        seconds=ended - started,
        rows_acknowledged=len(rows) - len(failed),
        rows_failed=len(failed),
        longest_gap_seconds=longest_gap(client.rows(), started),
    )
    assert failed == []
    assert len({row.host for row in rows}) > 1, "the writer never moved"

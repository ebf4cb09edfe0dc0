"""The database gets more and fewer members while a client writes: nothing acknowledged is lost."""

import json
from collections.abc import Iterator

import pytest

from lab.kubectl import Kubectl
from tests.support.client import Client
from tests.support.cloud import Cloud, wait_gone
from tests.support.resources import small_cloud

NAME = "e2e-size"
SIZE_SECONDS = 900
READY_SECONDS = 300
GONE_SECONDS = 150


def members_of(cloud: Cloud, size: int) -> list[str]:
    return [f"{cloud.name}-mariadb-{number}" for number in range(size)]


def resize(cloud: Cloud, size: int) -> None:
    """Set the number of members, and wait until exactly these are synced and have volumes."""
    patch = {"spec": {"roles": {"mariadb": {"clustering": {"replicas": size}}}}}
    cloud.kubectl.run(
        "patch", "cloudcontroller", cloud.name, "--type=merge", f"--patch={json.dumps(patch)}"
    )
    wanted = members_of(cloud, size)

    def check() -> tuple[bool, str]:
        pods = sorted(pod["metadata"]["name"] for pod in cloud.pods("mariadb"))
        claims = sorted(
            claim["metadata"]["name"]
            for claim in cloud.kubectl.items("persistentvolumeclaims")
            if claim["metadata"]["name"].startswith(f"data-{cloud.name}-mariadb-")
        )
        done = pods == wanted and claims == [f"data-{pod}" for pod in wanted]
        return done, f"pods {pods}, claims {claims}"

    cloud.kubectl.wait(f"{size} members with their volumes", check, seconds=SIZE_SECONDS)
    cloud.wait_synced(wanted, SIZE_SECONDS)


@pytest.fixture
def three(cloud: Cloud) -> Iterator[Cloud]:
    """A cloud with three members, which it has again afterwards."""
    assert len(cloud.members("mariadb")) == 3
    yield cloud
    resize(cloud, 3)


@pytest.fixture
def single(kubectl: Kubectl) -> Iterator[Cloud]:
    """A small cloud whose database has one member."""
    kubectl.apply(small_cloud(NAME, {"clustering": {"replicas": 1}}, deletionPolicy="Delete"))
    cloud = Cloud(kubectl, NAME)
    cloud.wait_synced(members_of(cloud, 1), READY_SECONDS)
    yield cloud
    kubectl.run("delete", "cloudcontroller", NAME, "--ignore-not-found", "--wait=false")
    wait_gone(kubectl, "cloudcontroller", NAME, GONE_SECONDS)


def test_three_members_become_five_and_three_again_under_writes(
    three: Cloud, loaded: Client
) -> None:
    for size in (5, 3):
        resize(three, size)
        three.wait_ready(SIZE_SECONDS)
        acknowledged = {row.identity for row in loaded.rows() if row.acknowledged}
        assert acknowledged
        for member in members_of(three, size):
            assert acknowledged <= loaded.stored(member)
    assert three.resource()["status"]["writer"] in members_of(three, 3)


def test_one_member_becomes_three_and_one_again_with_its_data(single: Cloud) -> None:
    [first] = members_of(single, 1)
    single.sql(
        first,
        "CREATE DATABASE e2e_size; "
        "CREATE TABLE e2e_size.kept (id INT PRIMARY KEY) ENGINE=InnoDB; "
        "INSERT INTO e2e_size.kept VALUES (7)",
    )
    for size in (3, 1):
        resize(single, size)
        for member in members_of(single, size):
            assert single.sql(member, "SELECT id FROM e2e_size.kept").split() == ["7"]

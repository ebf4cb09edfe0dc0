"""A database with one member becomes one with three, and one with one again, with its data."""

from collections.abc import Iterator

import pytest

from lab.kubectl import Kubectl
from tests.support.cloud import Cloud, wait_gone
from tests.support.resources import small_cloud
from tests.support.sizes import members_of, resize

NAME = "e2e-size"
READY_SECONDS = 300
GONE_SECONDS = 150


@pytest.fixture
def single(kubectl: Kubectl) -> Iterator[Cloud]:
    """A small cloud whose database has one member."""
    kubectl.apply(small_cloud(NAME, {"clustering": {"replicas": 1}}, deletionPolicy="Delete"))
    cloud = Cloud(kubectl, NAME)
    cloud.wait_synced(members_of(cloud, 1), READY_SECONDS)
    yield cloud
    kubectl.run("delete", "cloudcontroller", NAME, "--ignore-not-found", "--wait=false")
    wait_gone(kubectl, "cloudcontroller", NAME, GONE_SECONDS)


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

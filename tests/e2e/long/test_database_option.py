"""A new cloud whose database refuses an option says so and comes up when it is corrected."""

from collections.abc import Iterator

import pytest

from lab.kubectl import Kubectl
from tests.support.cloud import Cloud, wait_gone, wait_reason
from tests.support.resources import small_cloud

NAME = "e2e-option"
OPTION = "no_such_option"
MEMBERS = {"clustering": {"replicas": 3}}
TOLD_SECONDS = 240
READY_SECONDS = 300
GONE_SECONDS = 150


@pytest.fixture(scope="module", autouse=True)
def tidy(kubectl: Kubectl) -> Iterator[None]:
    """Remove the small cloud, whose policy is to leave nothing."""
    yield
    kubectl.run("delete", "cloudcontroller", NAME, "--ignore-not-found", "--wait=false")
    wait_gone(kubectl, "cloudcontroller", NAME, GONE_SECONDS)


def test_the_databases_own_error_is_in_a_condition(kubectl: Kubectl) -> None:
    bad = {"mariadb": {"mysqld": {OPTION: 1}}}
    kubectl.apply(small_cloud(NAME, MEMBERS, config=bad, deletionPolicy="Delete"))

    condition = wait_reason(
        kubectl, "cloudcontroller", NAME, "Progressing", "Crashing",
        seconds=TOLD_SECONDS, contains=OPTION,
    )  # fmt: skip
    assert "mariadb" in condition["message"]


def test_the_corrected_option_brings_it_up(kubectl: Kubectl) -> None:
    kubectl.apply(small_cloud(NAME, MEMBERS, deletionPolicy="Delete"))
    members = [f"{NAME}-mariadb-{number}" for number in range(3)]

    Cloud(kubectl, NAME).wait_synced(members, READY_SECONDS)

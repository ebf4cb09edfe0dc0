"""The database gets more and fewer members while a client writes: nothing acknowledged is lost."""

from collections.abc import Iterator

import pytest

from tests.support.client import Client
from tests.support.cloud import Cloud
from tests.support.sizes import SIZE_SECONDS, members_of, resize


@pytest.fixture
def three(cloud: Cloud) -> Iterator[Cloud]:
    """A cloud with three members, which it has again afterwards."""
    assert len(cloud.members("mariadb")) == 3
    yield cloud
    resize(cloud, 3)


def test_three_members_become_five_and_three_again_under_writes(
    three: Cloud, client: Client
) -> None:
    for size in (5, 3):
        resize(three, size)
        three.wait_ready(SIZE_SECONDS)
        acknowledged = {row.identity for row in client.rows() if row.acknowledged}
        assert acknowledged
        for member in members_of(three, size):
            assert acknowledged <= client.stored(member)
    assert three.resource()["status"]["writer"] in members_of(three, 3)

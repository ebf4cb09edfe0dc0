"""A database of 2 GB is backed up about as fast as by hand, and in little memory."""

from collections.abc import Iterator

import pytest

from tests.support.backups import Policies
from tests.support.cloud import Cloud
from tests.support.copies import compare, copied_by_hand
from tests.support.measurements import Measurements
from tests.support.s3 import S3

MEBIBYTES = 2048
# Of the rate of `mariadb-backup --stream | restic backup --stdin` by hand.
SHARE = 0.8
TRIES = 3
MEMORY_MIB = 512
PARTS = {"database", "ovn-nb", "ovn-sb", "secrets", "state", "resources", "manifest"}


@pytest.fixture(scope="module")
def password(cloud: Cloud) -> Iterator[str]:
    """Who may copy a database of 2 GiB by hand."""
    with copied_by_hand(cloud, MEBIBYTES) as known:
        yield known


@pytest.mark.parametrize("where", ["volume", "s3"])
def test_the_whole_chain_is_nearly_as_fast_as_a_copy_by_hand(
    password: str, policies: Policies, s3: S3, measurements: Measurements, where: str
) -> None:
    # What else the machine does between a run and its copy by hand moves their ratio by a tenth
    # (0.76 to 0.87 seen): the chain is too slow when it never keeps up.
    for number in range(TRIES):
        name = f"large-{where}-{number}"
        found = compare(name, policies, s3, password, measurements, volume=where == "volume")
        if found.share >= SHARE:
            break

    assert found.status["verified"] is True
    assert {step["name"] for step in found.status["steps"]} >= PARTS
    assert "progress" not in found.status
    assert found.size > 2_000_000_000
    assert found.memory < MEMORY_MIB
    assert found.share >= SHARE, f"{found.chain / 1e6:.1f} of {found.hand / 1e6:.1f} MB/s"

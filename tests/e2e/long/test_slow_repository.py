"""A slow repository takes what it can; one that stalls or refuses holds up its own run alone."""

import time
from collections.abc import Iterator

import pytest

from lab.kubectl import Kubectl, condition_of
from tests.support.backups import Policies, wait_copied
from tests.support.cloud import Cloud, wait_reason
from tests.support.copies import compare, copied_by_hand
from tests.support.measurements import Measurements
from tests.support.relay import relaying
from tests.support.s3 import S3

MEBIBYTES = 512
# So slow that the copy is seen under way; some 100 MB more are taken by restic once it stalls.
RATE = 8e6
BEGUN_BYTES = 1 << 20
STARTED_SECONDS = 120
MESSAGE_SECONDS = 120
STALLED_SECONDS = 420
RUN_SECONDS = 400
SLOW_RATE = 16e6
# Of the rate of `mariadb-backup --stream | restic backup --stdin` by hand.
SHARE = 0.8


@pytest.fixture(scope="module", autouse=True)
def password(cloud: Cloud) -> Iterator[str]:
    """Who may copy a database by hand that is not copied before its repository stalls."""
    with copied_by_hand(cloud, MEBIBYTES) as known:
        yield known


def test_a_slow_repository_is_used_at_nearly_the_rate_of_a_copy_by_hand(
    password: str, policies: Policies, s3: S3, measurements: Measurements
) -> None:
    found = compare("slow", policies, s3, password, measurements, rate=SLOW_RATE)

    assert found.status["verified"] is True
    assert found.chain < 1.2 * SLOW_RATE, "the link was not the slowest part"
    assert found.share >= SHARE, f"{found.chain / 1e6:.1f} of {found.hand / 1e6:.1f} MB/s"


def test_a_repository_that_stalls_holds_up_no_other_and_ends_its_run_with_its_message(
    kubectl: Kubectl, policies: Policies, s3: S3, measurements: Measurements
) -> None:
    with relaying(s3.address, s3.address[0], RATE) as relay:
        stalled = policies.run(policies.bucket("stalled", s3, (s3.address[0], relay.port)))
        wait_copied(kubectl, stalled, BEGUN_BYTES, STARTED_SECONDS)
        s3.freeze()
        began = time.time()
        other = policies.run(policies.volume("other"))

        def message_says() -> tuple[bool, str]:
            message = condition_of(kubectl.get("backup", stalled) or {}, "Complete").get(
                "message", ""
            )
            return "repository does not get on" in message, message

        kubectl.wait("the repository's message", message_says, seconds=MESSAGE_SECONDS)
        seconds_until_reported = time.time() - began
        condition = wait_reason(
            kubectl, "backup", stalled, "Complete", "RepositoryStalled", seconds=STALLED_SECONDS
        )
        failed = time.time() - began
        s3.thaw()
        measurements.record(
            "a repository that stalls",
            message_seconds=seconds_until_reported,
            failed_seconds=failed,
        )
        ended = (kubectl.get("backup", stalled) or {})["status"]
        found = kubectl.wait_condition("backup", other, "Complete", seconds=RUN_SECONDS)
        policies.remove()  # while the repository is reached
    assert "does not get on" in condition["message"]
    assert "signal" not in condition["message"], "what restic says when it is ended is no cause"
    assert found["status"]["startedAt"] < ended["completedAt"]
    assert found["status"]["source"] != ended["source"]


def test_a_repository_that_refuses_the_keys_is_reported_within_two_minutes(
    kubectl: Kubectl, policies: Policies, s3: S3
) -> None:
    refused = policies.run(policies.bucket("refused", s3, s3.address, key="not the key"))

    condition = wait_reason(
        kubectl, "backup", refused, "Complete", "RepositoryStalled",
        seconds=MESSAGE_SECONDS + STARTED_SECONDS,
    )  # fmt: skip

    assert "signature" in condition["message"]

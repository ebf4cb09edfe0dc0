"""A cloud is set back to a time between two sets, to the transaction, though a member was lost."""

import random
import statistics
import time
from datetime import UTC, datetime

from lab.kubectl import Kubectl, Object
from tests.support.backups import Policies
from tests.support.client import Client
from tests.support.cloud import Cloud
from tests.support.measurements import Measurements
from tests.support.resources import resource
from tests.support.restores import check_rows_until, phase_seconds

NAME = "e2e-point-in-time"
RUN_SECONDS = 300
WINDOW_SECONDS = 300
WRITES_SECONDS = 60
FOLLOW_SECONDS = 180
RESTORE_SECONDS = 1200
READY_SECONDS = 600
# Each is so long that many shipments fall into it.
STRETCH_SECONDS = 120
GOAL_SECONDS = 60


def test_a_cloud_is_set_back_to_a_chosen_time(
    kubectl: Kubectl, cloud: Cloud, policies: Policies, client: Client, measurements: Measurements
) -> None:
    cloud.wait_ready()
    policy = policies.shipped("point-in-time")
    taken = kubectl.wait_condition("backup", policies.run(policy), seconds=RUN_SECONDS)
    kubectl.wait_condition("backuppolicy", policy, "PointInTimeReady", seconds=WINDOW_SECONDS)
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)

    exposed = follow(kubectl, policy, time.time() + STRETCH_SECONDS)
    followed = status(kubectl, policy)["pointInTime"]["member"].partition(".")[0]
    kubectl.run("delete", "pod", followed, "--force", "--grace-period=0")
    lost = follow(kubectl, policy, time.time() + STRETCH_SECONDS)
    cloud.wait_ready(READY_SECONDS)

    oldest = datetime.fromisoformat(taken["status"]["completedAt"]).timestamp()
    newest = datetime.fromisoformat(status(kubectl, policy)["recoverable"]["until"]).timestamp()
    at = random.randint(int(oldest) + 1, int(newest))
    client.wait_acknowledged(time.time(), seconds=WRITES_SECONDS)
    spec = {
        "backup": policy,
        "pointInTime": datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z"),
        "overwrite": cloud.name,
        "safetyBackup": "Never",
    }
    kubectl.run("delete", "restore", NAME, "--ignore-not-found")
    kubectl.apply(resource("Restore", NAME, spec))
    found = kubectl.wait_condition("restore", NAME, "Complete", seconds=RESTORE_SECONDS)

    cloud.wait_ready(READY_SECONDS)
    check_rows_until(cloud, client, at, found)
    reached = datetime.fromisoformat(found["status"]["recoveryPoint"]).timestamp()
    assert reached <= at
    p99 = statistics.quantiles(exposed, n=100)[98]
    measurements.record(
        "point in time",
        transactions=found["status"]["transactions"],
        before_the_end_seconds=newest - at,
        exposed_p99_seconds=p99,
        exposed_while_a_member_was_lost_seconds=max(lost),
        **phase_seconds(found),
    )
    assert p99 <= GOAL_SECONDS
    kubectl.run("delete", "restore", NAME)


def status(kubectl: Kubectl, policy: str) -> Object:
    """Return the status of a policy."""
    return dict((kubectl.get("backuppolicy", policy) or {}).get("status") or {})


def follow(kubectl: Kubectl, policy: str, moment: float) -> list[float]:
    """Wait until transactions up to a moment are stored; return what a loss would have cost.

    Returns:
        At each look, the seconds since the newest recoverable point.
    """
    exposed: list[float] = []

    def check() -> tuple[bool, str]:
        window = status(kubectl, policy).get("recoverable") or {}
        until = window.get("until", "1970-01-01T00:00:00Z")
        stored = datetime.fromisoformat(until).timestamp()
        exposed.append(time.time() - stored)
        return stored >= moment, until

    seconds = moment - time.time() + FOLLOW_SECONDS
    kubectl.wait(f"transactions of {policy} up to {moment:.0f}", check, seconds=seconds)
    return exposed

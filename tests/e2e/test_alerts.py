"""A broker freezes: a shipped alert fires on the operator's metrics until it is back with all."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.install import Site
from lab.kubectl import condition_of
from tests.support.alerts import Prometheus, prometheus
from tests.support.broker_status import lacking
from tests.support.cloud import Cloud

ALERT = "StackrolesQuorumAtRisk"
FIRES_SECONDS = 120
ENDS_SECONDS = 180
TOGETHER_SECONDS = 180
PERIOD = "4s"
PROGRAM = "beam.smp"


@pytest.fixture
def watching(site: Site, cloud: Cloud, tmp_path: Path) -> Iterator[Prometheus]:
    """A Prometheus that evaluates the chart's alerts, each after seconds instead of minutes."""
    cloud.wait_ready()
    with prometheus(site, tmp_path, PERIOD) as found:
        yield found


@pytest.fixture
def frozen(cloud: Cloud) -> Iterator[str]:
    """A broker that is continued at the end."""
    member = cloud.members("rabbitmq")[-1]
    yield member
    cloud.exec(member, "pkill", "--signal", "CONT", "--exact", PROGRAM)
    cloud.wait_ready()


def test_a_frozen_broker_puts_the_quorum_at_risk_until_it_continues(
    cloud: Cloud, watching: Prometheus, frozen: str
) -> None:
    def fires() -> tuple[bool, str]:
        firing = watching.firing()
        return ALERT in firing, f"firing: {sorted(firing)}"

    def ended() -> tuple[bool, str]:
        done, text = fires()
        return not done, text

    assert ALERT not in watching.firing()
    cloud.exec(frozen, "pkill", "--signal", "STOP", "--exact", PROGRAM)
    cloud.kubectl.wait(f"{ALERT} firing", fires, seconds=FIRES_SECONDS)
    cloud.exec(frozen, "pkill", "--signal", "CONT", "--exact", PROGRAM)
    cloud.kubectl.wait(f"the end of {ALERT}", ended, seconds=ENDS_SECONDS)

    # Frozen for so long, it was down to the others: RabbitMQ leaves them parted when they meet.
    def together() -> tuple[bool, str]:
        found = lacking(cloud, cloud.members("rabbitmq"))
        degraded = condition_of(cloud.resource(), "MessagingDegraded")
        return not found and degraded.get("status") == "False", f"{found} {degraded}"

    cloud.kubectl.wait("all brokers together", together, seconds=TOGETHER_SECONDS)
